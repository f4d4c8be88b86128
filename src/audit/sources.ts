/**
 * The three that an auditor asks, over HTTP: soquete and the two processors.
 *
 * Amounts are read from their digits into integer cents. Whoever cannot be asked, or answers something else
 * than the contract says, ends the audit with one line that says what to mend.
 */
import { Pool } from 'undici';
import { PROCESSORS, type Processor } from '../domain/payment.ts';
import { parseWithDigits, roundedCents } from '../processor-simulator/decimal.ts';
import type { AuditWindow, Booked, ProcessorSum, Recorded, Sum } from './reconciliation.ts';

export interface Addresses {
  readonly url: string;
  readonly default: string;
  readonly fallback: string;
  /** What the processors take as `X-Rinha-Token`. */
  readonly token: string;
}

/** Someone could not be asked; the message says who, and what to mend. */
export class CannotAsk extends Error {
  override name = 'CannotAsk';
}

/** A payment as a processor lists it. `seq` counts from 1 in the order of recording. */
export interface Listed extends Recorded {
  readonly seq: number;
  readonly correlationId: string;
}

/** Questions at work at once, each on a connection of its own. */
export const QUESTIONS_MAX = 64;
const PAGE_ROWS = 2000;
const TIMEOUT_MS = 15_000;

export class Sources {
  readonly #addresses: Addresses;
  readonly #ours: Pool;
  readonly #theirs: Readonly<Record<Processor, Pool>>;

  /** Throws `CannotAsk` for an address that is none. Connects when asked. */
  constructor(addresses: Addresses) {
    this.#addresses = addresses;
    this.#ours = pool(addresses.url);
    this.#theirs = { default: pool(addresses.default), fallback: pool(addresses.fallback) };
  }

  async close(): Promise<void> {
    await Promise.all([this.#ours, ...Object.values(this.#theirs)].map(each => each.destroy()));
  }

  /** soquete's summary of a window. */
  async summary(window: AuditWindow): Promise<Record<Processor, Sum>> {
    const { status, text } = await this.#askOurs(`/payments-summary${query(window)}`);
    const value = readRecord(text);
    const read = (processor: Processor): Sum | undefined => readSum(value?.[processor]);
    const sums = { default: read('default'), fallback: read('fallback') };
    if (status !== 200 || sums.default === undefined || sums.fallback === undefined) {
      throw unexpected('soquete', `${this.#addresses.url}/payments-summary`, status, text);
    }
    return { default: sums.default, fallback: sums.fallback };
  }

  /** One processor's own summary of a window. */
  async processorSummary(processor: Processor, window: AuditWindow): Promise<ProcessorSum> {
    const { status, text } = await this.#askAdmin(processor, `/admin/payments-summary${query(window)}`);
    const value = readRecord(text);
    const sum = readSum(value);
    if (status !== 200 || sum === undefined) {
      throw unexpected(processor, `${this.#addresses[processor]}/admin/payments-summary`, status, text);
    }
    return { ...sum, fee: String(value?.['totalFee']) };
  }

  /** One payment as soquete shows it. */
  async booked(correlationId: string): Promise<Booked | undefined> {
    const { status, text } = await this.#askOurs(`/payments/${correlationId}`);
    if (status === 404) return undefined;
    const value = readRecord(text);
    const cents = roundedCents(String(value?.['amount']));
    if (status !== 200 || value === undefined || cents === undefined) {
      throw unexpected('soquete', `${this.#addresses.url}/payments/${correlationId}`, status, text);
    }
    return {
      cents,
      status: value['status'] === 'settled' ? 'settled' : 'queued',
      processor: PROCESSORS.find(processor => processor === value['processor']) ?? null,
      requestedAtMs: typeof value['requestedAt'] === 'string' ? utcMs(value['requestedAt']) : null,
      attempts: Number(value['attempts']),
    };
  }

  /** One payment as a processor shows it. */
  async recorded(processor: Processor, correlationId: string): Promise<Recorded | undefined> {
    const path = `/payments/${correlationId}`;
    const { status, text } = await this.#ask(this.#theirs[processor], processor, path, {});
    if (status === 404) return undefined;
    const recorded = readRecorded(readRecord(text));
    if (status !== 200 || recorded === undefined) {
      throw unexpected(processor, `${this.#addresses[processor]}${path}`, status, text);
    }
    return recorded;
  }

  /**
   * What a processor recorded, page by page in the order of recording; undefined where it keeps no such list.
   */
  async *pages(processor: Processor): AsyncGenerator<readonly Listed[] | undefined> {
    for (let after = 0; ; ) {
      const path = `/admin/payments?after=${after}&limit=${PAGE_ROWS}`;
      const { status, text } = await this.#askAdmin(processor, path);
      if (status === 404 || status === 405) {
        yield undefined;
        return;
      }
      const page = text
        .split('\n')
        .filter(line => line !== '')
        .map(readListed);
      if (status !== 200 || page.includes(undefined)) {
        throw unexpected(processor, `${this.#addresses[processor]}${path}`, status, text);
      }
      if (page.length === 0) return;
      yield page as Listed[];
      after = page.at(-1)!.seq;
    }
  }

  #askOurs(path: string): Promise<Said> {
    return this.#ask(this.#ours, 'soquete', path, {});
  }

  async #askAdmin(processor: Processor, path: string): Promise<Said> {
    const headers = { 'x-rinha-token': this.#addresses.token };
    const said = await this.#ask(this.#theirs[processor], processor, path, headers);
    if (said.status === 401)
      throw new CannotAsk(`the ${processor} processor wants another token; give it with --token`);
    return said;
  }

  async #ask(asked: Pool, name: string, path: string, headers: Record<string, string>): Promise<Said> {
    try {
      const { statusCode, body } = await asked.request({ method: 'GET', path, headers });
      return { status: statusCode, text: await body.text() };
    } catch (error) {
      const option = name === 'soquete' ? '--url' : `--${name}`;
      const address = name === 'soquete' ? this.#addresses.url : this.#addresses[name as Processor];
      throw new CannotAsk(
        `${name} does not answer at ${address} (${reason(error)}); is it running? Another address is given with ${option}`,
      );
    }
  }
}

interface Said {
  readonly status: number;
  readonly text: string;
}

function pool(url: string): Pool {
  try {
    return new Pool(new URL(url).origin, {
      connections: QUESTIONS_MAX,
      pipelining: 1,
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      connectTimeout: TIMEOUT_MS,
    });
  } catch {
    throw new CannotAsk(`${url} is not an address; it has to look like http://localhost:9999`);
  }
}

function reason(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reason(error.errors[0]);
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}

function unexpected(name: string, url: string, status: number, text: string): CannotAsk {
  return new CannotAsk(`${name} answered ${status} to GET ${url}: ${text.slice(0, 200) || 'nothing'}`);
}

const FIRST_INSTANT = '1970-01-01T00:00:00.000Z';
const LAST_INSTANT = '9999-12-31T23:59:59.999Z';

/** Both ends, always: the processors take a window with one end for no window at all. */
function query({ fromMs, toMs }: AuditWindow): string {
  const from = fromMs === -Infinity ? FIRST_INSTANT : new Date(fromMs).toISOString();
  const to = toMs === Infinity ? LAST_INSTANT : new Date(toMs).toISOString();
  return `?from=${from}&to=${to}`;
}

/** The object in a JSON text, numbers as their digits; undefined for any other text. */
function readRecord(text: string): Record<string, unknown> | undefined {
  try {
    const value = parseWithDigits(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function readSum(value: unknown): Sum | undefined {
  const { totalRequests, totalAmount } = (value ?? {}) as Record<string, unknown>;
  const count = Number(totalRequests);
  const cents = roundedCents(String(totalAmount));
  return Number.isSafeInteger(count) && cents !== undefined ? { count, cents } : undefined;
}

function readRecorded(value: Record<string, unknown> | undefined): Recorded | undefined {
  const cents = roundedCents(String(value?.['amount']));
  const requestedAtMs = utcMs(String(value?.['requestedAt']));
  return cents !== undefined && !Number.isNaN(requestedAtMs) ? { cents, requestedAtMs } : undefined;
}

function readListed(line: string): Listed | undefined {
  const value = readRecord(line);
  const recorded = readRecorded(value);
  if (recorded === undefined) return undefined;
  return { ...recorded, seq: Number(value?.['seq']), correlationId: String(value?.['correlationId']) };
}

/** Milliseconds since 1970 of an instant; one without an offset is UTC, as the processors print it. */
const utcMs = (text: string): number => Date.parse(/(?:Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`);
