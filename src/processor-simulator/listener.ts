/**
 * One processor on one TCP port.
 *
 * The HTTP of soquete, with a shell of its own around it: this one can reset a connection, leave a request
 * without an answer for good, and stop listening for a while.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { ProcessorIndex } from '../domain/payment.ts';
import { Connection, type Turn } from '../http/connection.ts';
import { sweepMs } from '../http/limits.ts';
import type { Request } from '../http/request.ts';
import { dateText, type Answer as HttpAnswer } from '../http/response.ts';
import { systemClock } from '../system-clock.ts';
import { httpAnswer } from './http-answer.ts';
import { type ProcessorClock, SimulatedProcessor } from './processor.ts';
import { handle, type ProcessorRequest as PlainRequest } from './routes.ts';

export interface ProcessorServer {
  readonly processor: SimulatedProcessor;
  /** Where it listens, such as `http://127.0.0.1:8001`. */
  readonly url: string;
  /** Cuts every connection and stops. */
  close(): Promise<void>;
}

/** Serves a processor on `port` of `host`; port 0 takes any free one. Rejects when it cannot listen there. */
export async function serveProcessor(
  which: ProcessorIndex,
  port: number,
  host = '127.0.0.1',
): Promise<ProcessorServer> {
  const listener = new Listener(new SimulatedProcessor(which, CLOCK));
  const bound = await listener.listen(port, host);
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    processor: listener.processor,
    url: `http://${name}:${bound}`,
    close: () => listener.close(),
  };
}

interface Link {
  readonly socket: Socket;
  readonly connection: Connection;
  /** The connection's end is to be a reset. */
  isReset: boolean;
}

/** The real clock, with timers that do not keep a process alive once no one listens any more. */
const CLOCK: ProcessorClock = {
  monotonicMs: systemClock.monotonicMs,
  after(delayMs, task) {
    const timeout = setTimeout(task, Math.max(1, Math.ceil(delayMs))).unref();
    return { cancel: () => clearTimeout(timeout) };
  },
};

/** Nothing is stored, so no answer waits for a commit: the same turn for ever. */
const TURN: Turn = { batch: 1, needsCommit: false };

const backlog = 1024;
/** A listening socket that cannot be opened again at once is tried again after so long. */
const LISTEN_AGAIN_MS = 50;

class Listener {
  readonly processor: SimulatedProcessor;
  readonly #links = new Set<Link>();
  readonly #server = createServer({ noDelay: true, allowHalfOpen: true }, socket => this.#open(socket));
  #sweep: NodeJS.Timeout | undefined;
  #again: NodeJS.Timeout | undefined;
  #port = 0;
  #host = '';
  #isClosed = false;
  #isRefusing = false;
  #dateSecond = 0;
  #date = '';

  constructor(processor: SimulatedProcessor) {
    this.processor = processor;
  }

  /** The port that it listens on. */
  async listen(port: number, host: string): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ port, host, backlog }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
    this.#host = host;
    this.#server.on('error', () => this.#listenAgain(LISTEN_AGAIN_MS));
    this.#sweep = setInterval(() => this.#tick(), sweepMs);
    return this.#port;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#sweep);
    clearTimeout(this.#again);
    for (const { socket } of this.#links) socket.destroy();
    if (this.#server.listening) await new Promise(resolve => this.#server.close(resolve));
  }

  #open(socket: Socket): void {
    const link: Link = {
      socket,
      connection: new Connection(request => this.#answer(request, link), TURN, performance.now()),
      isReset: false,
    };
    const { connection } = link;
    this.#links.add(link);
    connection.onReady = () => this.#flush(link);
    socket.on('data', (bytes: Buffer) => {
      connection.receive(bytes, 0, bytes.length, performance.now());
      this.#flush(link);
    });
    socket.on('end', () => {
      connection.receiveEnd(performance.now());
      this.#flush(link);
    });
    socket.on('drain', () => {
      connection.drained(performance.now());
      this.#flush(link);
    });
    socket.on('error', () => {}); // callers leave as they like; 'close' follows
    socket.on('close', () => {
      connection.abandon(performance.now());
      this.#links.delete(link);
    });
  }

  #answer(request: Request, link: Link): HttpAnswer | Promise<HttpAnswer> {
    const { minor } = request;
    let now: HttpAnswer | undefined;
    let later: ((answer: HttpAnswer) => void) | undefined;
    handle(this.processor, plainRequest(request), said => {
      if (said.delivery === 'never') return;
      if (said.delivery === 'reset') link.isReset = true;
      const answer = httpAnswer(said, minor);
      if (later === undefined) now = answer;
      else later(answer);
    });
    if (!this.#isRefusing && this.processor.refusingMs > 0) this.#refuse(link);
    return now ?? new Promise(resolve => (later = resolve));
  }

  #flush(link: Link): void {
    const { connection, socket } = link;
    if (socket.destroyed) return;
    const nowMs = performance.now();
    for (;;) {
      const output = connection.take(this.#dateNow(), nowMs);
      if (output !== '') {
        if (!socket.write(output, 'latin1')) connection.stalled(nowMs);
      } else if (!connection.resume(nowMs)) break;
    }
    if (connection.phase === 'gone') {
      if (link.isReset) socket.resetAndDestroy();
      else socket.destroySoon();
    } else if (connection.phase === 'ending') {
      socket.resume();
      if (!socket.writableEnded) socket.end();
    } else if (connection.wantsBytes === socket.isPaused()) {
      if (connection.wantsBytes) socket.resume();
      else socket.pause();
    }
  }

  #dateNow(): string {
    const wallMs = Date.now();
    const second = Math.floor(wallMs / 1000);
    if (second !== this.#dateSecond) {
      this.#dateSecond = second;
      this.#date = dateText(wallMs);
    }
    return this.#date;
  }

  #tick(): void {
    const nowMs = performance.now();
    for (const link of this.#links) {
      link.connection.tick(nowMs);
      this.#flush(link);
    }
  }

  /**
   * Stops listening and resets all connections but the one on which this was asked for; that one is let end.
   */
  #refuse(asked: Link): void {
    this.#isRefusing = true;
    this.#server.close();
    for (const link of this.#links) {
      if (link === asked) link.connection.finish(performance.now());
      else link.socket.resetAndDestroy();
    }
    // A timer may be early by a part of a millisecond; the first caller would start it all over.
    this.#listenAgain(Math.ceil(this.processor.refusingMs) + 1);
  }

  #listenAgain(delayMs: number): void {
    this.#again = setTimeout(() => {
      this.#isRefusing = false;
      if (!this.#isClosed) this.#server.listen({ port: this.#port, host: this.#host, backlog });
    }, delayMs);
  }
}

const CONTENT_TYPE = /\ncontent-type:[ \t]*([^\r]*)/i;
const TOKEN = /\nx-rinha-token:[ \t]*([^\r]*)/i;

/** A request as plain values, which last longer than the bytes that it came in. */
function plainRequest(request: Request): PlainRequest {
  const { bodyStart, bodyEnd } = request;
  const bytes = Buffer.from(request.bytes.buffer, request.bytes.byteOffset);
  // From the end of the request line on, so that each field stands behind a line's end.
  const fields = bytes.toString('latin1', request.fieldsStart - 1, bodyStart);
  return {
    method: request.methodName,
    target: bytes.toString('latin1', request.pathStart, request.targetEnd) || '/',
    contentType: CONTENT_TYPE.exec(fields)?.[1]?.trimEnd() ?? '',
    token: TOKEN.exec(fields)?.[1]?.trimEnd() ?? '',
    body: bytes.toString('utf8', bodyStart, bodyEnd),
  };
}
