/**
 * A client of soquete in one file, over `fetch`: copy it, or import it. Runs in Node.js, in browsers and
 * wherever `fetch` is.
 *
 * A payment may be sent as often as needed: it is known by its `correlationId` and processed once. So what
 * fails on the way (no connection, no answer, 408, 429, 5xx) is sent again, with the same id, after a pause
 * that doubles and is partly chance, or after what `Retry-After` asks for. What soquete refuses is thrown at
 * once as a `Refusal` that says what to mend.
 *
 *     const soquete = new Soquete('http://localhost:9999');
 *     await soquete.pay({ correlationId: crypto.randomUUID(), amount: 19.9 });
 */

export interface NewPayment {
  /** A UUID that names the payment. Keep it until the payment is acknowledged. */
  readonly correlationId: string;
  /** Greater than 0, with at most two decimals; text such as `'19.90'` where a number might not be exact. */
  readonly amount: number | string;
}

/** What a request says of itself, for whoever looks for it later. */
export interface Label {
  /** Comes back in the answer: 1 to 128 characters of visible ASCII. */
  readonly requestId?: string;
  /** The trace that the payment belongs to (W3C Trace Context); the processors get it, too. */
  readonly traceparent?: string;
}

export type ProcessorName = 'default' | 'fallback';

export interface Payment {
  readonly correlationId: string;
  readonly amount: number;
  /** `held`: only a person can settle it now. `closed`: an operator did, and it will not be settled. */
  readonly status: 'queued' | 'settled' | 'held' | 'closed';
  /** Of the last attempt. */
  readonly processor: ProcessorName | null;
  /** As in the books of the processor. */
  readonly requestedAt: string | null;
  readonly acceptedAt: string;
  readonly attempts: number;
  /** Of one that is held or closed. */
  readonly reason?: string;
}

export interface SummaryTotal {
  readonly totalRequests: number;
  readonly totalAmount: number;
}

export type PaymentsSummary = Readonly<Record<ProcessorName, SummaryTotal>>;

/** RFC 9457. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What to mend. */
  readonly detail: string;
}

/** soquete said no, and will say no again. */
export class Refusal extends Error {
  override name = 'Refusal';
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(`${problem.title}: ${problem.detail}`);
    this.problem = problem;
  }
}

/**
 * There was no usable answer, however often it was tried. The payment may or may not have been accepted: send
 * it again.
 */
export class Unreachable extends Error {
  override name = 'Unreachable';
}

export interface Options {
  /** How often a request is sent at most. Default 8. */
  readonly attemptsMax?: number;
  /** The pause after the first failure, and the longest one. Default 100 and 5000 ms. */
  readonly pauseMinMs?: number;
  readonly pauseMaxMs?: number;
  /** How long to wait for one answer. Default 10,000 ms. */
  readonly timeoutMs?: number;
  /** In place of the global one. */
  readonly fetch?: typeof fetch;
  /** Chance from 0 to 1, and a pause: for tests. */
  readonly random?: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
}

/** Whatever says that another try may succeed. */
const WORTH_ANOTHER: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

export class Soquete {
  readonly #origin: string;
  readonly #options: Required<Options>;

  /** `origin` is where soquete is, such as `http://localhost:9999`. */
  constructor(origin: string, options: Options = {}) {
    this.#origin = origin.replace(/\/+$/, '');
    this.#options = {
      attemptsMax: 8,
      pauseMinMs: 100,
      pauseMaxMs: 5000,
      timeoutMs: 10_000,
      fetch: (...request) => fetch(...request),
      random: Math.random,
      sleep: ms => new Promise(resolve => setTimeout(resolve, ms)),
      ...options,
    };
  }

  /** Has a payment accepted; when this resolves it will be settled. Throws `Refusal` or `Unreachable`. */
  async pay({ correlationId, amount }: NewPayment, { requestId, traceparent }: Label = {}): Promise<void> {
    const body = `{"correlationId":${JSON.stringify(correlationId)},"amount":${numberText(amount)}}`;
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (requestId !== undefined) headers['x-request-id'] = requestId;
    if (traceparent !== undefined) headers['traceparent'] = traceparent;
    await this.#send('/payments', { method: 'POST', headers, body });
  }

  /** How far a payment is; undefined when it is not known. Throws `Refusal` or `Unreachable`. */
  async find(correlationId: string): Promise<Payment | undefined> {
    try {
      return (await this.#send(`/payments/${encodeURIComponent(correlationId)}`, {})) as Payment;
    } catch (error) {
      if (error instanceof Refusal && error.problem.status === 404) return undefined;
      throw error;
    }
  }

  /**
   * What was settled, both ends inclusive; an end that is left out is open. Throws `Refusal` or
   * `Unreachable`.
   */
  async summary(window: { from?: Date; to?: Date } = {}): Promise<PaymentsSummary> {
    const query = new URLSearchParams();
    if (window.from !== undefined) query.set('from', window.from.toISOString());
    if (window.to !== undefined) query.set('to', window.to.toISOString());
    const suffix = query.size === 0 ? '' : `?${query}`;
    return (await this.#send(`/payments-summary${suffix}`, {})) as PaymentsSummary;
  }

  /** The body of the answer, once there is one that is no failure. */
  async #send(path: string, init: RequestInit): Promise<unknown> {
    const { attemptsMax, timeoutMs, sleep } = this.#options;
    for (let attempt = 1; ; attempt++) {
      let failure: string;
      let retryAfter: string | null = null;
      try {
        const signal = AbortSignal.timeout(timeoutMs);
        const answer = await this.#options.fetch(this.#origin + path, { ...init, signal });
        const text = await answer.text();
        if (answer.ok) return text === '' ? undefined : JSON.parse(text);
        const problem = problemIn(answer.status, text);
        if (!WORTH_ANOTHER.has(answer.status)) throw new Refusal(problem);
        failure = `${problem.status} ${problem.title}`;
        retryAfter = answer.headers.get('retry-after');
      } catch (error) {
        if (error instanceof Refusal) throw error;
        failure = error instanceof Error ? error.message : String(error);
      }
      if (attempt >= attemptsMax) throw new Unreachable(`${failure}, after ${attempt} attempts`);
      await sleep(this.#pauseMs(attempt, retryAfter));
    }
  }

  /**
   * Half of the pause is certain, the other half is chance: those that failed together do not come back
   * together.
   */
  #pauseMs(failures: number, retryAfter: string | null): number {
    const { pauseMinMs, pauseMaxMs, random } = this.#options;
    const doubled = Math.min(pauseMinMs * 2 ** Math.min(failures - 1, 30), pauseMaxMs);
    return Math.max(doubled * (0.5 + random() / 2), askedMs(retryAfter));
  }
}

/** What `Retry-After` asks for, in seconds or as a date, in ms and at most a minute. */
function askedMs(retryAfter: string | null): number {
  if (retryAfter === null) return 0;
  const seconds = Number(retryAfter);
  const ms = Number.isNaN(seconds) ? Date.parse(retryAfter) - Date.now() : seconds * 1000;
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), 60_000);
}

/** An amount as JSON, digit by digit where it is text. */
function numberText(amount: number | string): string {
  const text = String(amount);
  if (!/^\d+(\.\d+)?$/.test(text) || (typeof amount === 'string' && /^0\d/.test(text))) {
    throw new TypeError(`amount must be a number such as 19.90, not ${JSON.stringify(amount)}`);
  }
  return text;
}

function problemIn(status: number, text: string): Problem {
  try {
    const problem = JSON.parse(text);
    if (typeof problem?.title === 'string' && typeof problem.detail === 'string')
      return { status, ...problem };
  } catch {
    // Something between has its own way of refusing.
  }
  return { type: 'about:blank', title: `HTTP ${status}`, status, detail: text.slice(0, 200) };
}
