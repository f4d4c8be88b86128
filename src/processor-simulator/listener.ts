/**
 * One processor on one TCP port.
 *
 * The HTTP server of soquete, with a handler that may reset a connection, leave a request without an answer
 * for good, and stop listening for a while.
 */
import type { ProcessorIndex } from '../domain/payment.ts';
import type { Connection } from '../http/connection.ts';
import type { Request } from '../http/request.ts';
import type { Answer as HttpAnswer } from '../http/response.ts';
import { type ListenAddress, Server } from '../http/server.ts';
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
  const { port: bound } = await listener.listen({ port, host });
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    processor: listener.processor,
    url: `http://${name}:${bound}`,
    close: () => listener.close(),
  };
}

/** The real clock, with timers that do not keep a process alive once no one listens any more. */
const CLOCK: ProcessorClock = {
  monotonicMs: () => performance.now(),
  after(delayMs, task) {
    const timeout = setTimeout(task, Math.max(1, Math.ceil(delayMs))).unref();
    return { cancel: () => clearTimeout(timeout) };
  },
};

/** A port that cannot be listened on again at once is tried again after so long. */
const LISTEN_AGAIN_MS = 50;
/** The client that asked for the refusal gets so long to take its answer. */
const LAST_ANSWER_MS = 1_000;

type TcpAddress = Extract<ListenAddress, { port: number }>;

class Listener {
  readonly processor: SimulatedProcessor;
  /** A new one after each time of refusal: a server that was closed stays closed. */
  #server = this.#newServer();
  #address: TcpAddress = { port: 0, host: '' };
  #isClosed = false;
  #isRefusing = false;
  #again: NodeJS.Timeout | undefined;

  constructor(processor: SimulatedProcessor) {
    this.processor = processor;
  }

  async listen(address: TcpAddress): Promise<TcpAddress> {
    this.#address = (await this.#server.listen(address)) as TcpAddress;
    return this.#address;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#again);
    await this.#server.close(0);
  }

  #newServer(): Server {
    return new Server({ handler: (request, connection) => this.#answer(request, connection) });
  }

  #answer(request: Request, connection: Connection): HttpAnswer | Promise<HttpAnswer> {
    const { minor } = request;
    let now: HttpAnswer | undefined;
    let later: ((answer: HttpAnswer) => void) | undefined;
    handle(this.processor, plainRequest(request), said => {
      if (said.delivery === 'never') return;
      const answer = httpAnswer(said, minor);
      if (later === undefined) now = answer;
      else later(answer);
    });
    if (!this.#isRefusing && this.processor.refusingMs > 0) this.#refuse(connection);
    return now ?? new Promise(resolve => (later = resolve));
  }

  /**
   * Stops listening and resets all connections but the one on which this was asked for; that one is let end.
   */
  #refuse(asked: Connection): void {
    this.#isRefusing = true;
    this.#server.resetAllBut(asked);
    void this.#server.close(LAST_ANSWER_MS);
    // A timer may be early by a part of a millisecond; the first caller would start it all over.
    this.#listenAgain(Math.ceil(this.processor.refusingMs) + 1);
  }

  #listenAgain(delayMs: number): void {
    this.#again = setTimeout(async () => {
      const server = this.#newServer();
      try {
        await server.listen(this.#address);
      } catch (error) {
        // Expected: another process has the port for the moment.
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
        this.#listenAgain(LISTEN_AGAIN_MS);
        return;
      }
      this.#isRefusing = false;
      if (this.#isClosed) await server.close(0);
      else this.#server = server;
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
