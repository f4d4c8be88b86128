/**
 * A client of what a processor has under `/admin/`: its books, and how it is set. Sums are read from their
 * digits into integer cents.
 */
import { Pool } from 'undici';
import { processorUrl } from '../processors/processor-url.ts';
import { parseWithDigits, roundedCents } from './decimal.ts';
import type { Faults } from './faults.ts';
import { TOKEN } from './token.ts';

const CONNECTIONS_MAX = 64;
const TIMEOUT_MS = 15_000;

type Method = 'GET' | 'POST' | 'PUT';

export interface AdminOptions {
  readonly token?: string;
  readonly timeoutMs?: number;
  readonly answerBytesMax?: number;
}

export interface AdminAnswer {
  readonly status: number;
  readonly text: string;
}

export interface PaymentsSum {
  readonly count: number;
  readonly cents: bigint;
}

export interface ProcessorSum extends PaymentsSum {
  /** As the processor wrote it. */
  readonly fee: string;
  readonly feePerTransaction: number;
}

export interface RecordedPayment {
  readonly cents: bigint;
  readonly requestedAtMs: number;
}

/** `seq` counts from 1 in the order of recording. */
export interface ListedPayment extends RecordedPayment {
  readonly seq: number;
  readonly correlationId: string;
}

/** What can be set, by the name in its path. */
export interface ProcessorSettings {
  readonly delay: { readonly delay: number };
  readonly failure: { readonly failure: boolean };
  readonly faults: Partial<Faults>;
}

/** Both ends are inclusive, in ms since 1970; infinite ones are allowed. */
export interface BooksWindow {
  readonly fromMs: number;
  readonly toMs: number;
}

export const EVERYTHING: BooksWindow = { fromMs: -Infinity, toMs: Infinity };

/** A processor gave no answer. */
export class NoAdminAnswer extends Error {
  override name = 'NoAdminAnswer';
  readonly reason: string;

  constructor(url: string, cause: unknown) {
    const reason = reasonOf(cause);
    super(`${url} does not answer (${reason})`, { cause });
    this.reason = reason;
  }
}

/** A processor answered something else than it was asked for. */
export class UnexpectedAdminAnswer extends Error {
  override name = 'UnexpectedAdminAnswer';
  readonly status: number;

  constructor(question: string, { status, text }: AdminAnswer) {
    super(`answered ${status} to ${question}: ${text.slice(0, 200) || 'nothing'}`);
    this.status = status;
  }
}

export class AdminClient implements AsyncDisposable {
  readonly #url: string;
  readonly #path: string;
  readonly #pool: Pool;
  readonly #fields: string[];

  /** Of the processor at `url`, which may have a path. Connects when it asks. */
  constructor(
    url: string,
    { token = TOKEN, timeoutMs = TIMEOUT_MS, answerBytesMax = -1 }: AdminOptions = {},
  ) {
    const { origin, prefix, authorization, identity } = processorUrl(url);
    this.#url = identity;
    this.#path = prefix;
    const user = authorization === undefined ? [] : ['authorization', authorization];
    this.#fields = ['content-type', 'application/json', 'x-rinha-token', token, ...user];
    this.#pool = new Pool(origin, {
      connections: CONNECTIONS_MAX,
      pipelining: 1,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      connectTimeout: timeoutMs,
      maxResponseSize: answerBytesMax,
    });
  }

  /** Sets `delay`, `failure` or `faults`. */
  async set<Name extends keyof ProcessorSettings>(name: Name, to: ProcessorSettings[Name]): Promise<void> {
    await this.#read('PUT', `/admin/configurations/${name}`, text => text, [], to);
  }

  /** How everything is set, and what goes on. */
  async settings(): Promise<object> {
    return (await this.#read('GET', '/admin/configurations', text => JSON.parse(text)))!;
  }

  /** Forgets all payments. */
  async purge(): Promise<void> {
    await this.#read('POST', '/admin/purge-payments', text => text);
  }

  /** The sum of a window; of everything without one. */
  async summary(window = EVERYTHING): Promise<ProcessorSum> {
    return (await this.#read('GET', `/admin/payments-summary${windowQuery(window)}`, readProcessorSum))!;
  }

  /** One payment; undefined where it is not recorded. */
  recorded(correlationId: string): Promise<RecordedPayment | undefined> {
    return this.#read('GET', `/payments/${correlationId}`, text => readRecorded(readObject(text)), [404]);
  }

  /** What was recorded after the first `after` payments; undefined where the processor keeps no such list. */
  listed(after: number, limit: number): Promise<readonly ListedPayment[] | undefined> {
    return this.#read('GET', `/admin/payments?after=${after}&limit=${limit}`, readList, [404, 405]);
  }

  /** Asks for anything, whatever the answer is. */
  ask(method: Method, path: string, body?: unknown): Promise<AdminAnswer> {
    return new Promise((resolve, reject) => {
      let status = 0;
      const chunks: Buffer[] = [];
      // A backend has nothing more of undici than this.
      this.#pool.dispatch(
        {
          method,
          path: this.#path + path,
          headers: this.#fields,
          body: body === undefined ? null : JSON.stringify(body),
        },
        {
          onRequestStart() {},
          onResponseStart(_controller, answered) {
            status = answered;
          },
          onResponseData(_controller, chunk) {
            chunks.push(chunk);
          },
          onResponseEnd() {
            resolve({ status, text: Buffer.concat(chunks).toString() });
          },
          onResponseError: (_controller, error) => reject(new NoAdminAnswer(this.#url, error)),
        },
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy();
  }

  /** What `read` makes of a 200; undefined for a status that says that there is `none`. */
  async #read<Value>(
    method: Method,
    path: string,
    read: (text: string) => Value | undefined,
    none: readonly number[] = [],
    body?: unknown,
  ): Promise<Value | undefined> {
    const answer = await this.ask(method, path, body);
    if (none.includes(answer.status)) return undefined;
    const value = answer.status === 200 ? read(answer.text) : undefined;
    if (value === undefined) throw new UnexpectedAdminAnswer(`${method} ${this.#url}${path}`, answer);
    return value;
  }
}

const FIRST_INSTANT = '1970-01-01T00:00:00.000Z';
const LAST_INSTANT = '9999-12-31T23:59:59.999Z';

/** Both ends, always: the processors take a window with one end for no window at all. */
export function windowQuery({ fromMs, toMs }: BooksWindow): string {
  const from = fromMs === -Infinity ? FIRST_INSTANT : new Date(fromMs).toISOString();
  const to = toMs === Infinity ? LAST_INSTANT : new Date(toMs).toISOString();
  return `?from=${from}&to=${to}`;
}

/** The object in a JSON text, numbers as their digits; undefined for any other text. */
export function readObject(text: string): Record<string, unknown> | undefined {
  try {
    const value = parseWithDigits(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** A sum as soquete and the processors write it. */
export function readSum(value: unknown): PaymentsSum | undefined {
  const { totalRequests, totalAmount } = (value ?? {}) as Record<string, unknown>;
  const count = Number(totalRequests);
  const cents = roundedCents(String(totalAmount));
  return Number.isSafeInteger(count) && cents !== undefined ? { count, cents } : undefined;
}

function readProcessorSum(text: string): ProcessorSum | undefined {
  const value = readObject(text);
  const sum = readSum(value);
  if (sum === undefined) return undefined;
  const { totalFee, feePerTransaction } = value!;
  return { ...sum, fee: String(totalFee), feePerTransaction: Number(feePerTransaction) };
}

function readRecorded(value: Record<string, unknown> | undefined): RecordedPayment | undefined {
  const cents = roundedCents(String(value?.['amount']));
  const requestedAtMs = utcMs(String(value?.['requestedAt']));
  return cents !== undefined && !Number.isNaN(requestedAtMs) ? { cents, requestedAtMs } : undefined;
}

/** One payment a line. */
function readList(text: string): readonly ListedPayment[] | undefined {
  const page = text
    .split('\n')
    .filter(line => line !== '')
    .map(readListed);
  return page.includes(undefined) ? undefined : (page as ListedPayment[]);
}

function readListed(line: string): ListedPayment | undefined {
  const value = readObject(line);
  const recorded = readRecorded(value);
  if (recorded === undefined) return undefined;
  return { ...recorded, seq: Number(value?.['seq']), correlationId: String(value?.['correlationId']) };
}

/** Milliseconds since 1970 of an instant; one without an offset is UTC, as the processors print it. */
export const utcMs = (text: string): number =>
  Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`);

/** Why there was no answer, in a word where there is one. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}
