/**
 * What a long history costs: one backend that starts on it within 100 MB, page cache included, and takes
 * payments of which every other one is known already. Nothing of the history is in the machine's memory when
 * it starts.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { idText } from '../../src/domain/payment.ts';
import { indexFile } from '../../src/storage/embedded/index/tables.ts';
import { simulatedProcessors, spawnBackend, storeDirectory } from '../../src/testing/backends.ts';
import { until } from '../../src/testing/until.ts';
import { type MemoryLimit, memoryLimit } from '../tools/memory-limit.ts';
import { cpuMs, readBytes, residentMiB } from '../tools/process-usage.ts';
import { latencyOf, Samples } from '../tools/statistics.ts';
import { benchmark, type Contender, type Definition, type Measurements, type Round } from './benchmark.ts';
import { removeDirectory } from './fill.ts';
import { fillHistory, HISTORY_CENTS, historyId } from './long-history.ts';

const LIMIT_BYTES = 100e6;
const PER_SECOND = 2000;
const CONNECTIONS = 64;
/** Goes through all that are stored, in leaps: a prime that divides no power of ten. */
const STRIDE = 1_000_003;
/** One of so many known ids comes with another amount. */
const CONFLICT_EVERY = 10;
const PATIENCE_MS = 60_000;
const PAGE_BYTES = 4096;

const COLUMNS = [
  { figure: 'first', title: 'ms to the first 202' },
  { figure: 'perSecond', title: 'payments/s' },
  { figure: 'p50', title: 'p50 ms', ratio: true },
  { figure: 'p99', title: 'p99 ms', ratio: true },
  { figure: 'max', title: 'max ms' },
  { figure: 'cpu', title: 'CPU ms of 1,000' },
  { figure: 'resident', title: 'resident MiB' },
  { figure: 'reads', title: 'pages read an id', mayBeZero: true },
] as const;

export const history: Definition = {
  name: 'history',
  about: `one backend within 100 MB on a long history, at ${PER_SECOND.toLocaleString('en-US')} payments a second, half of them known`,
  open: ({ small, large }) => {
    const payments = small ? 1e4 : large ? 1e8 : 1e6;
    let filled: Promise<string> | undefined;
    const limit = memoryLimit(LIMIT_BYTES);
    const contenders: Contender[] = [
      { name: 'an empty store', run: round => taken(round, storeDirectory(round.children), 0, limit) },
      {
        name: `${payments.toLocaleString('en-US')} stored`,
        run: async round => {
          filled ??= fillHistory(payments, round.tell);
          return taken(round, await filled, payments, limit);
        },
      },
    ];
    return benchmark(COLUMNS, contenders, {
      notes:
        limit === undefined ? ['not limited to 100 MB: that takes a user who may make control groups'] : [],
      dispose: async () => {
        limit?.[Symbol.dispose]();
        if (filled !== undefined) removeDirectory(await filled);
      },
    });
  },
};

/** Of a store in `directory` with so many payments that `fillHistory` has put there. */
export async function taken(
  { children, number, seconds }: Round,
  directory: string,
  stored: number,
  limit: MemoryLimit | undefined,
): Promise<Measurements> {
  const file = join(directory, indexFile);
  // Has the kernel let go of it.
  if (existsSync(file)) spawnSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
  const processors = await simulatedProcessors(children);
  const path = join(children.directory, 'backend-1.sock');
  const options = { processors, storeDirectory: directory };
  const backend = spawnBackend(children, 'backend-1', `unix:${path}`, options);
  limit?.add(backend.pid);
  await until(() => isTaken(path), 'a payment to be accepted', PATIENCE_MS, 1);
  const first = performance.now() - backend.startedAtMs;
  const before = { cpu: cpuMs(backend.pid), read: readBytes(backend.pid) };
  let resident = 0;
  const watch = setInterval(() => {
    resident = Math.max(resident, residentMiB(backend.pid));
  }, 100);
  const samples = await load(path, stored, seconds, number).finally(() => clearInterval(watch));
  const spent = cpuMs(backend.pid) - before.cpu;
  return {
    first,
    perSecond: samples.count / seconds,
    ...latencyOf(samples),
    cpu: (spent / samples.count) * 1000,
    resident,
    reads: (readBytes(backend.pid) - before.read) / PAGE_BYTES / samples.count,
    work: samples.count,
  };
}

async function isTaken(path: string): Promise<boolean> {
  try {
    const sender = await Sender.open(path, new Samples(1));
    sender.post(newId(), HISTORY_CENTS, 202);
    await sender.end();
    return true;
  } catch {
    return false;
  }
}

/**
 * Latencies in ms; every other id is known, of those that `stored` counts or of those accepted before. A
 * connection posts again when it has its answer, so what is asked of a busy machine is what it can do.
 */
async function load(path: string, stored: number, seconds: number, round: number): Promise<Samples> {
  const samples = new Samples(PER_SECOND * Math.ceil(seconds));
  const senders = await Promise.all(Array.from({ length: CONNECTIONS }, () => Sender.open(path, samples)));
  const startedAt = performance.now();
  const accepted: Uint8Array[] = [];
  let known = round * PER_SECOND * 1000;
  for (let sent = 0; ; ) {
    const passedMs = performance.now() - startedAt;
    if (passedMs >= seconds * 1000) break;
    for (const sender of senders) {
      if (sent >= (passedMs / 1000) * PER_SECOND) break;
      if (!sender.isFree) continue;
      sent += 1;
      if (sent % 2 === 1 || (stored === 0 && accepted.length < CONNECTIONS)) {
        const id = newId();
        sender.post(id, HISTORY_CENTS, 202, () => accepted.push(id));
        continue;
      }
      known += 1;
      const isConflict = known % CONFLICT_EVERY === 0;
      const id = stored > 0 ? historyId(1 + ((known * STRIDE) % stored)) : accepted[known % accepted.length]!;
      sender.post(id, isConflict ? HISTORY_CENTS + 1 : HISTORY_CENTS, isConflict ? 409 : 202);
    }
    await sleep(1);
  }
  await Promise.all(senders.map(sender => sender.end()));
  return samples;
}

const newId = (): Uint8Array => randomFillSync(new Uint8Array(16));

/** A connection that stays open. */
class Sender {
  readonly #socket: Socket;
  readonly #samples: Samples;
  readonly #sent: { atMs: number; status: number; then?: (() => void) | undefined }[] = [];
  readonly #ended = Promise.withResolvers<void>();
  #isEnding = false;
  #rest = '';

  static async open(path: string, samples: Samples): Promise<Sender> {
    const socket = connect(path);
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new Sender(socket, samples);
  }

  private constructor(socket: Socket, samples: Samples) {
    this.#socket = socket;
    this.#samples = samples;
    socket.setEncoding('latin1').on('data', (text: string) => {
      try {
        this.#receive(text);
      } catch (error) {
        this.#ended.reject(error);
      }
    });
    socket.on('close', () => this.#ended.reject(new Error('the backend closed a connection')));
    // Whoever waits for the end says so.
    this.#ended.promise.catch(() => {});
  }

  get isFree(): boolean {
    return this.#sent.length === 0;
  }

  /** `then`: called when the expected answer came. */
  post(id: Uint8Array, cents: number, status: number, then?: () => void): void {
    const body = `{"correlationId":"${idText(id)}","amount":${(cents / 100).toFixed(2)}}`;
    const head = `POST /payments HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n`;
    this.#sent.push({ atMs: performance.now(), status, then });
    this.#socket.write(head + body);
  }

  /** Rejects if there was an answer that should not have been. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.#endIfDone();
    await this.#ended.promise;
    this.#socket.destroy();
  }

  #receive(text: string): void {
    const heads = (this.#rest + text).split('HTTP/1.1 ');
    this.#rest = '';
    for (const head of heads) {
      if (head === '') continue;
      if (!head.includes('\r\n\r\n') || !/^\d{3}/.test(head)) {
        this.#rest = `HTTP/1.1 ${head}`;
        continue;
      }
      const sent = this.#sent.shift();
      if (sent === undefined) continue;
      assert.equal(Number(head.slice(0, 3)), sent.status, `an answer is wrong: ${head}`);
      this.#samples.add(performance.now() - sent.atMs);
      sent.then?.();
    }
    this.#endIfDone();
  }

  #endIfDone(): void {
    if (this.#isEnding && this.#sent.length === 0) this.#ended.resolve();
  }
}
