/**
 * The processors over HTTP, through undici: pooled, kept-alive connections, one request at a time on each.
 *
 * undici's own retries stay out: they know nothing of pins. A connection that answered with an error is
 * closed: what it says next may belong to the request before.
 */
import { type Dispatcher, Pool } from 'undici';
import { centsNamed, isForeignBody, isIdOf, isJsonType } from '../domain/answer-body.ts';
import { formatInstant, parseInstant } from '../domain/instant.ts';
import { decimal } from '../domain/money.ts';
import { type AttemptResult, lostBecause } from '../domain/outcome.ts';
import type { ProcessorIndex } from '../domain/payment.ts';
import type { Found, Health, PaymentRequest, Processors } from './port.ts';
import { type ProcessorUrl, processorUrl } from './processor-url.ts';
import { retryAfterMs } from './retry-after.ts';

export interface ClientOptions {
  /** By ProcessorIndex. */
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

/** After a status line that decides, its body is waited for only so long. */
const BODY_TIMEOUT_MS = 1000;

const JSON_HEADERS = ['content-type', 'application/json'];

export class UndiciClient implements Processors {
  readonly #pools: readonly [Pool, Pool];
  readonly #urls: readonly [ProcessorUrl, ProcessorUrl];
  /** Fields of each request, and of each with a body. */
  readonly #fields: readonly [string[], string[]];
  readonly #jsonFields: readonly [string[], string[]];
  readonly #attemptTimeoutMs: number;

  constructor(options: ClientOptions) {
    const { urls, attemptTimeoutMs, connections } = options;
    this.#attemptTimeoutMs = attemptTimeoutMs;
    this.#urls = [processorUrl(urls[0]), processorUrl(urls[1])];
    const pool = ({ origin }: ProcessorUrl): Pool =>
      new Pool(origin, {
        connections: connections + 4,
        pipelining: 1,
        keepAliveTimeout: KEEP_ALIVE_MS,
        keepAliveMaxTimeout: KEEP_ALIVE_MS,
        connect: { timeout: CONNECT_TIMEOUT_MS, noDelay: true },
      });
    this.#pools = [pool(this.#urls[0]), pool(this.#urls[1])];
    const fields = ({ authorization }: ProcessorUrl): string[] =>
      authorization === undefined ? [] : ['authorization', authorization];
    this.#fields = [fields(this.#urls[0]), fields(this.#urls[1])];
    this.#jsonFields = [
      [...JSON_HEADERS, ...this.#fields[0]],
      [...JSON_HEADERS, ...this.#fields[1]],
    ];
  }

  post(processor: ProcessorIndex, request: PaymentRequest, reply: (ending: AttemptResult) => void): void {
    const { correlationId, cents, requestedAtMs, traceparent } = request;
    const requestedAt = formatInstant(requestedAtMs);
    this.#pools[processor].dispatch(
      {
        method: 'POST',
        path: `${this.#urls[processor].prefix}/payments`,
        headers: traced(this.#jsonFields[processor], traceparent),
        body: `{"correlationId":"${correlationId}","amount":${decimal(cents)},"requestedAt":"${requestedAt}"}`,
        headersTimeout: this.#attemptTimeoutMs,
        bodyTimeout: BODY_TIMEOUT_MS,
      },
      new Attempt(request, reply),
    );
  }

  find(
    processor: ProcessorIndex,
    correlationId: string,
    reply: (found: Found) => void,
    traceparent?: string,
  ): void {
    const headers = traced(this.#fields[processor], traceparent);
    this.#get(
      processor,
      `/payments/${correlationId}`,
      headers,
      this.#attemptTimeoutMs,
      (status, body, isForeign) => {
        // A gateway that has no such page knows nothing of the payment.
        if (status === 404 && !isForeign) reply({ is: 'absent' });
        else reply((status === 200 && recordIn(body, correlationId)) || { is: 'unavailable' });
      },
    );
  }

  health(processor: ProcessorIndex, reply: (health: Health | undefined) => void): void {
    this.#get(
      processor,
      '/payments/service-health',
      this.#fields[processor],
      HEALTH_TIMEOUT_MS,
      (status, body) => {
        reply(status === 200 ? healthIn(body) : undefined);
      },
    );
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
    reply: QuestionReply,
  ): void {
    this.#pools[processor].dispatch(
      {
        method: 'GET',
        path: `${this.#urls[processor].prefix}${path}`,
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

/**
 * One attempt: decided by its status line, unless the body of a `200` or `422` shows that something else
 * answered. A body that is cut short, or does not come in time, decides nothing.
 */
class Attempt implements Dispatcher.DispatchHandler {
  readonly #request: PaymentRequest;
  readonly #reply: (ending: AttemptResult) => void;
  #sent = false;
  #over = false;
  #status = 0;
  #contentType: string | undefined;
  #body = '';

  constructor(request: PaymentRequest, reply: (ending: AttemptResult) => void) {
    this.#request = request;
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
    if (status === 200 || status === 422) {
      this.#status = status;
      this.#contentType = oneOf(headers['content-type']);
      return;
    }
    const waitMs = retryAfterMs(oneOf(headers['retry-after']), oneOf(headers['date']), Date.now());
    this.#end(waitMs === undefined ? { status } : { status, retryAfterMs: waitMs });
    controller.abort(new Error(`answered ${status}`));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#body += chunk.toString('latin1');
    if (this.#body.length <= ANSWER_BYTES_MAX) return;
    this.#answered(false);
    controller.abort(new Error('the answer is too long'));
  }

  onResponseEnd(): void {
    this.#answered(true);
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error & { code?: string }): void {
    if (this.#status !== 0) this.#answered(false);
    else this.#end({ sent: this.#sent, because: lostBecause(codeOf(error)) });
  }

  #answered(isWhole: boolean): void {
    const isForeign = isForeignBody(this.#contentType, this.#body, isWhole, this.#request);
    this.#end(isForeign ? { status: this.#status, isForeign } : { status: this.#status });
  }

  #end(ending: AttemptResult): void {
    if (this.#over) return;
    this.#over = true;
    this.#reply(ending);
  }
}

/** Some errors of the parser have no code. */
const codeOf = ({ code, name }: Error & { code?: string }): string =>
  code ?? (name === 'HTTPParserError' ? 'HPE_' : '');

/** A field that is there more than once counts as the list that it is. */
const oneOf = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value.join(', ') : value;

/** `isForeign`: there is a body, and it is not JSON. */
type QuestionReply = (status: number, body: unknown, isForeign: boolean) => void;

/** A question whose whole answer counts; status 0 stands for none. */
class Question implements Dispatcher.DispatchHandler {
  readonly #reply: QuestionReply;
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #status = 0;
  #isForeign = false;

  constructor(reply: QuestionReply) {
    this.#reply = reply;
  }

  onRequestStart(): void {}

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    const type = oneOf(headers['content-type']);
    this.#status = status;
    this.#isForeign = type !== undefined && !isJsonType(type);
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
      this.#isForeign ||= this.#bytes > 0;
    }
    this.#reply(this.#status, body, this.#isForeign);
  }

  onResponseError(): void {
    this.#reply(0, undefined, false);
  }
}

/** The record in an answer; undefined where there is none, or one of another payment. */
function recordIn(body: unknown, id: string): Found | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { correlationId, requestedAt, amount } = body as Record<string, unknown>;
  if (correlationId !== undefined && !isIdOf(id, correlationId)) return undefined;
  const cents = centsNamed(amount);
  if (typeof requestedAt !== 'string' || cents === undefined) return undefined;
  // The official service leaves the Z away and means UTC all the same.
  const zoned = /(?:z|[+-]\d\d:?\d\d)$/i.test(requestedAt) ? requestedAt : `${requestedAt}Z`;
  const instant = parseInstant(zoned);
  return instant && { is: 'there', requestedAtMs: instant.ms, cents };
}

function healthIn(body: unknown): Health | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { failing, minResponseTime } = body as Record<string, unknown>;
  if (typeof failing !== 'boolean' || typeof minResponseTime !== 'number') return undefined;
  if (!Number.isFinite(minResponseTime)) return undefined;
  return { failing, minResponseMs: minResponseTime };
}
