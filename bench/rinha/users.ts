/**
 * Virtual users: each has one connection that stays open, posts a payment, thinks for a second, and posts the
 * next. Their number grows in a straight line from one to all.
 *
 * What is measured is the time from writing a request to having read its answer. So that this process does
 * not measure itself, a request is written into memory that is there already, and answers are read into one
 * buffer.
 */
import { randomUUID } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { Samples } from '../tools/statistics.ts';

export interface UsersOptions {
  readonly host: string;
  readonly port: number;
  readonly users: number;
  readonly durationMs: number;
  /** In which their number grows to all; the whole time where it is not given. */
  readonly rampMs?: number;
  readonly thinkMs: number;
  readonly cents: number;
  /** Gets each payment that was answered, in ms of `performance.now`. */
  readonly onAnswered?: (id: string, sentMs: number, answeredMs: number) => void;
}

export interface Load {
  /** One latency an answered request, and when it was answered, in ms since the start. */
  readonly latencyMs: Samples;
  readonly answeredAtMs: Samples;
  readonly usersNow: number;
  readonly accepted: number;
  /** Answers that accept nothing, by status. */
  readonly refused: ReadonlyMap<number, number>;
  /** Requests that got no answer. */
  readonly failed: number;
  /** Resolves when the time is over and the last answer is in. */
  readonly done: Promise<void>;
}

/** After the end an answer is waited for this long. */
const LAST_ANSWER_MS = 30_000;
/** What the challenge takes for an acceptance, of whichever entry. */
const ACCEPTED: ReadonlySet<number> = new Set([200, 201, 202, 204]);
const answers = Buffer.alloc(64 * 1024);

export function startUsers(options: UsersOptions): Load {
  return new Users(options);
}

class Users implements Load {
  readonly latencyMs = new Samples(32_768);
  readonly answeredAtMs = new Samples(32_768);
  readonly refused = new Map<number, number>();
  readonly done: Promise<void>;
  accepted = 0;
  failed = 0;
  readonly #options: UsersOptions;
  readonly #startedAt = performance.now();
  readonly #users: User[] = [];

  constructor(options: UsersOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.done = promise;
    const ramp = setInterval(() => this.#ramp(), 5);
    setTimeout(async () => {
      clearInterval(ramp);
      await Promise.all(this.#users.map(user => user.leave()));
      resolve();
    }, options.durationMs);
    this.#ramp();
  }

  get usersNow(): number {
    return this.#users.length;
  }

  answered(status: number, latencyMs: number): void {
    this.latencyMs.add(latencyMs);
    this.answeredAtMs.add(performance.now() - this.#startedAt);
    if (ACCEPTED.has(status)) this.accepted += 1;
    else this.refused.set(status, (this.refused.get(status) ?? 0) + 1);
  }

  #ramp(): void {
    const { users, durationMs, rampMs = durationMs } = this.#options;
    const share = Math.min(1, (performance.now() - this.#startedAt) / rampMs);
    const wanted = 1 + Math.floor((users - 1) * share);
    while (this.#users.length < wanted) this.#users.push(new User(this.#options, this));
  }
}

class User {
  readonly #options: UsersOptions;
  readonly #all: Users;
  readonly #request: Buffer;
  readonly #idAt: number;
  #socket: Socket | undefined;
  #thinking: NodeJS.Timeout | undefined;
  #id = '';
  #sentAt = 0;
  #waiting = false;
  #heard = '';
  #left: (() => void) | undefined;

  constructor(options: UsersOptions, all: Users) {
    this.#options = options;
    this.#all = all;
    const body = `{"correlationId":"${randomUUID()}","amount":${(options.cents / 100).toFixed(2)}}`;
    this.#request = Buffer.from(
      `POST /payments HTTP/1.1\r\nHost: ${options.host}:${options.port}\r\nUser-Agent: soquete-bench\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    this.#idAt = this.#request.length - body.length + '{"correlationId":"'.length;
    this.#post();
  }

  /** Posts no more; resolves when the last answer is in, or was waited for too long. */
  leave(): Promise<void> {
    clearTimeout(this.#thinking);
    return new Promise(resolve => {
      const timer = setTimeout(() => this.#socket?.destroy(), LAST_ANSWER_MS);
      this.#left = () => {
        clearTimeout(timer);
        this.#socket?.destroy();
        resolve();
      };
      if (!this.#waiting) this.#left();
    });
  }

  #post(): void {
    this.#id = randomUUID();
    this.#request.write(this.#id, this.#idAt, 'latin1');
    this.#waiting = true;
    this.#heard = '';
    if (this.#socket === undefined) this.#connect();
    else this.#send();
  }

  #send(): void {
    this.#sentAt = performance.now();
    this.#socket!.write(this.#request);
  }

  #connect(): void {
    const { host, port } = this.#options;
    const socket = connect({
      host,
      port,
      noDelay: true,
      onread: {
        buffer: answers,
        callback: (count: number) => {
          this.#read(answers.toString('latin1', 0, count));
          return true;
        },
      },
    });
    this.#socket = socket;
    socket.once('connect', () => this.#send());
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#socket = undefined;
      if (!this.#waiting) return;
      this.#all.failed += 1;
      this.#next();
    });
  }

  #read(text: string): void {
    if (!this.#waiting) return;
    this.#heard += text;
    const headEnd = this.#heard.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = this.#heard.slice(0, headEnd);
    const bodyLength = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    if (this.#heard.length < headEnd + 4 + bodyLength) return;
    const at = performance.now();
    this.#all.answered(Number(head.slice(9, 12)), at - this.#sentAt);
    this.#options.onAnswered?.(this.#id, this.#sentAt, at);
    if (/^connection: *close/im.test(head)) {
      this.#socket?.destroy();
      this.#socket = undefined;
    }
    this.#next();
  }

  #next(): void {
    this.#waiting = false;
    if (this.#left !== undefined) this.#left();
    else this.#thinking = setTimeout(() => this.#post(), this.#options.thinkMs);
  }
}
