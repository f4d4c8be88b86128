/**
 * The processors over HTTP, through undici: pooled, kept-alive connections, one request at a time on each.
 *
 * undici's own retries stay out: they know nothing of pins. A connection that answered with an error is
 * closed: what it says next may belong to the request before.
 */
import { type Dispatcher, Pool } from 'undici';
import { formatInstant } from '../domain/instant.ts';
import { decimal } from '../domain/money.ts';
import type { AttemptResult } from '../domain/outcome.ts';
import type { ProcessorIndex } from '../domain/payment.ts';
import type { Found, Health, PaymentRequest, Processors } from './port.ts';

export interface ClientOptions {
  /** Origins by ProcessorIndex. */
  readonly urls: readonly [string, string];
  readonly attemptTimeoutMs: number;
  /** Connections to each processor: as many as attempts can be at work, and a few for questions. */
  readonly connections: number;
}

/** Below the 5 s of idleness after which a common server closes: losing that race is an unknown outcome. */
const KEEP_ALIVE_MS = 4000;
const CONNECT_TIMEOUT_MS = 2000;
/** A call to `service-health` may have to wait for the next window of 5 s. */
const HEALTH_TIMEOUT_MS = 6000;
/** No answer of a processor is longer; what is, is not read. */
const ANSWER_BYTES_MAX = 64 * 1024;

/**
 * As long as a processor may keep all payments from itself with one answer: it may have slipped with the
 * number.
 */
const RETRY_AFTER_MAX_S = 60;

const JSON_HEADERS = ['content-type', 'application/json'];
const NO_HEADERS: string[] = [];

export class UndiciClient implements Processors {
  readonly #pools: readonly [Pool, Pool];
  readonly #paths: readonly [string, string];
  readonly #attemptTimeoutMs: number;

  constructor(options: ClientOptions) {
    const { urls, attemptTimeoutMs, connections } = options;
    this.#attemptTimeoutMs = attemptTimeoutMs;
    const pool = (url: string): Pool =>
      new Pool(new URL(url).origin, {
        connections: connections + 4,
        pipelining: 1,
        keepAliveTimeout: KEEP_ALIVE_MS,
        keepAliveMaxTimeout: KEEP_ALIVE_MS,
        connect: { timeout: CONNECT_TIMEOUT_MS, noDelay: true },
      });
    this.#pools = [pool(urls[0]), pool(urls[1])];
    const prefix = (url: string): string => new URL(url).pathname.replace(/\/$/, '');
    this.#paths = [prefix(urls[0]), prefix(urls[1])];
  }

  post(processor: ProcessorIndex, request: PaymentRequest, reply: (ending: AttemptResult) => void): void {
    const { correlationId, cents, requestedAtMs, traceparent } = request;
    const requestedAt = formatInstant(requestedAtMs);
    this.#pools[processor].dispatch(
      {
        method: 'POST',
        path: `${this.#paths[processor]}/payments`,
        headers: traced(JSON_HEADERS, traceparent),
        body: `{"correlationId":"${correlationId}","amount":${decimal(cents)},"requestedAt":"${requestedAt}"}`,
        headersTimeout: this.#attemptTimeoutMs,
        bodyTimeout: this.#attemptTimeoutMs,
      },
      new Attempt(reply),
    );
  }

  find(
    processor: ProcessorIndex,
    correlationId: string,
    reply: (found: Found) => void,
    traceparent?: string,
  ): void {
    const headers = traced(NO_HEADERS, traceparent);
    this.#get(processor, `/payments/${correlationId}`, headers, this.#attemptTimeoutMs, (status, body) => {
      if (status === 404) reply({ is: 'absent' });
      else reply((status === 200 && recordIn(body)) || { is: 'unavailable' });
    });
  }

  health(processor: ProcessorIndex, reply: (health: Health | undefined) => void): void {
    this.#get(processor, '/payments/service-health', NO_HEADERS, HEALTH_TIMEOUT_MS, (status, body) => {
      reply(status === 200 ? healthIn(body) : undefined);
    });
  }

  /** Ends every connection. Attempts at work end as reset. */
  async close(): Promise<void> {
    await Promise.all(this.#pools.map(pool => pool.destroy()));
  }

  #get(
    processor: ProcessorIndex,
    path: string,
    headers: string[],
    timeoutMs: number,
    reply: (status: number, body: unknown) => void,
  ): void {
    this.#pools[processor].dispatch(
      {
        method: 'GET',
        path: `${this.#paths[processor]}${path}`,
        headers,
        headersTimeout: timeoutMs,
        bodyTimeout: timeoutMs,
      },
      new Question(reply),
    );
  }
}

/** `headers`, and the trace where there is one. */
const traced = (headers: string[], traceparent: string | undefined): string[] =>
  traceparent === undefined ? headers : [...headers, 'traceparent', traceparent];

/** One attempt: decided by its status line, whatever becomes of the rest. */
class Attempt implements Dispatcher.DispatchHandler {
  readonly #reply: (ending: AttemptResult) => void;
  #sent = false;
  #over = false;

  constructor(reply: (ending: AttemptResult) => void) {
    this.#reply = reply;
  }

  onRequestStart(): void {
    this.#sent = true;
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    const retryAfter = Number(headers['retry-after']);
    const retryAfterMs =
      Number.isFinite(retryAfter) && retryAfter >= 0
        ? Math.min(retryAfter, RETRY_AFTER_MAX_S) * 1000
        : undefined;
    this.#end(retryAfterMs === undefined ? { status } : { status, retryAfterMs });
    if (status !== 200 && status !== 422) controller.abort(new Error(`answered ${status}`));
  }

  onResponseData(): void {}

  onResponseEnd(): void {}

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#end({ sent: this.#sent, because: reason(error) });
  }

  #end(ending: AttemptResult): void {
    if (this.#over) return;
    this.#over = true;
    this.#reply(ending);
  }
}

function reason(error: Error & { code?: string }): 'timed out' | 'reset' | 'garbage' {
  const { code = '' } = error;
  if (code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT') return 'timed out';
  return error.name === 'HTTPParserError' || code === 'UND_ERR_HEADERS_OVERFLOW' ? 'garbage' : 'reset';
}

/** A question whose whole answer counts; status 0 stands for none. */
class Question implements Dispatcher.DispatchHandler {
  readonly #reply: (status: number, body: unknown) => void;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #status = 0;

  constructor(reply: (status: number, body: unknown) => void) {
    this.#reply = reply;
  }

  onRequestStart(): void {}

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > ANSWER_BYTES_MAX) controller.abort(new Error('the answer is too long'));
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    let body: unknown;
    try {
      body = JSON.parse(Buffer.concat(this.#chunks).toString());
    } catch {
      body = undefined;
    }
    this.#reply(this.#status, body);
  }

  onResponseError(): void {
    this.#reply(0, undefined);
  }
}

function recordIn(body: unknown): Found | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { requestedAt, amount } = body as Record<string, unknown>;
  if (typeof requestedAt !== 'string' || typeof amount !== 'number') return undefined;
  // The official service leaves the Z away and means UTC all the same.
  const zoned = /(?:z|[+-]\d\d:?\d\d)$/i.test(requestedAt) ? requestedAt : `${requestedAt}Z`;
  const requestedAtMs = Date.parse(zoned);
  if (Number.isNaN(requestedAtMs)) return undefined;
  return { is: 'there', requestedAtMs, cents: Math.round(amount * 100) };
}

function healthIn(body: unknown): Health | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { failing, minResponseTime } = body as Record<string, unknown>;
  if (typeof failing !== 'boolean' || typeof minResponseTime !== 'number') return undefined;
  return { failing, minResponseMs: minResponseTime };
}
