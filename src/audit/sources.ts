/**
 * The three that an auditor asks, over HTTP: soquete and the two processors.
 *
 * Whoever cannot be asked, or answers something else than the contract says, ends the audit with one line
 * that says what to mend.
 */
import { Pool } from 'undici';
import type { SettledLines } from '../dashboard/api.ts';
import { PROCESSORS, type Processor } from '../domain/payment.ts';
import { CannotOperate, OperationsClient } from '../operator/client.ts';
import {
  AdminClient,
  type BooksWindow,
  type ListedPayment,
  NoAdminAnswer,
  type PaymentsSum,
  type ProcessorSum,
  type RecordedPayment,
  readObject,
  readSum,
  reasonOf,
  UnexpectedAdminAnswer,
  utcMs,
  windowQuery,
} from '../processor-simulator/admin-client.ts';
import { roundedCents } from '../processor-simulator/decimal.ts';
import type { Booked } from './reconciliation.ts';

export interface Addresses {
  readonly url: string;
  readonly default: string;
  readonly fallback: string;
  /** What the processors take as `X-Rinha-Token`. */
  readonly token: string;
  /** What soquete takes as `OPS_TOKEN`. */
  readonly opsToken?: string | undefined;
}

/** Someone could not be asked; the message says who, and what to mend. */
export class CannotAsk extends Error {
  override name = 'CannotAsk';
}

/** Questions at work at once, each on a connection of its own. */
export const QUESTIONS_MAX = 64;
const PAGE_ROWS = 2000;
const TIMEOUT_MS = 15_000;

const STATUSES = ['settled', 'queued', 'held', 'closed'] as const;

export class Sources {
  readonly #addresses: Addresses;
  readonly operations: OperationsClient;
  readonly #ours: Pool;
  readonly #theirs: Readonly<Record<Processor, AdminClient>>;

  /** Throws `CannotAsk` for an address that is none. Connects when asked. */
  constructor(addresses: Addresses) {
    const { url, token, opsToken } = addresses;
    for (const address of [url, addresses.default, addresses.fallback]) {
      if (!URL.canParse(address)) {
        throw new CannotAsk(`${address} is not an address; it has to look like http://localhost:9999`);
      }
    }
    this.#addresses = addresses;
    this.operations = new OperationsClient(url, opsToken);
    this.#ours = new Pool(new URL(url).origin, {
      connections: QUESTIONS_MAX,
      pipelining: 1,
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      connectTimeout: TIMEOUT_MS,
    });
    this.#theirs = {
      default: new AdminClient(addresses.default, { token }),
      fallback: new AdminClient(addresses.fallback, { token }),
    };
  }

  async close(): Promise<void> {
    const { default: first, fallback: second } = this.#theirs;
    await this.operations[Symbol.asyncDispose]();
    await Promise.all([this.#ours.destroy(), first[Symbol.asyncDispose](), second[Symbol.asyncDispose]()]);
  }

  /** soquete's summary of a window. */
  async summary(window: BooksWindow): Promise<Record<Processor, PaymentsSum>> {
    const path = `/payments-summary${windowQuery(window)}`;
    const { status, text } = await this.#askOurs(path);
    const value = readObject(text);
    const sums = { default: readSum(value?.['default']), fallback: readSum(value?.['fallback']) };
    if (status !== 200 || sums.default === undefined || sums.fallback === undefined) {
      throw this.#unexpected(path, status, text);
    }
    return { default: sums.default, fallback: sums.fallback };
  }

  /**
   * How many payments soquete holds, by reason; undefined where its metrics are not open to this client.
   */
  async held(): Promise<ReadonlyMap<string, number> | undefined> {
    const { status, text } = await this.#askOurs('/metrics');
    if (status !== 200) return undefined;
    const found = text.matchAll(/^soquete_payments_held\{reason="([^"]+)"\} (\d+)$/gm);
    return new Map([...found].map(([, reason, count]) => [reason!, Number(count)]));
  }

  /** What soquete settled, page by page; nothing where its operations are not open to this client. */
  async *settledPages(): AsyncGenerator<SettledLines['payments']> {
    try {
      yield* this.operations.settled();
    } catch (error) {
      if (!(error instanceof CannotOperate)) throw error;
    }
  }

  /** What operators did to this payment; empty where its story is not open to this client. */
  async acts(correlationId: string): Promise<readonly string[]> {
    const story = await this.operations.story(correlationId).catch((error: unknown) => {
      if (error instanceof CannotOperate) return undefined;
      throw error;
    });
    return story?.events.flatMap(({ act }) => act ?? []) ?? [];
  }

  /** One payment as soquete shows it. */
  async booked(correlationId: string): Promise<Booked | undefined> {
    const path = `/payments/${correlationId}`;
    const { status, text } = await this.#askOurs(path);
    if (status === 404) return undefined;
    const value = readObject(text);
    const cents = roundedCents(String(value?.['amount']));
    if (status !== 200 || value === undefined || cents === undefined) {
      throw this.#unexpected(path, status, text);
    }
    return {
      cents,
      status: STATUSES.find(status => status === value['status']) ?? 'queued',
      ...(typeof value['reason'] === 'string' ? { reason: value['reason'] } : {}),
      processor: PROCESSORS.find(processor => processor === value['processor']) ?? null,
      requestedAtMs: typeof value['requestedAt'] === 'string' ? utcMs(value['requestedAt']) : null,
      attempts: Number(value['attempts']),
    };
  }

  /** One processor's own summary of a window. */
  processorSummary(processor: Processor, window: BooksWindow): Promise<ProcessorSum> {
    return this.#askTheirs(processor, admin => admin.summary(window));
  }

  /** One payment as a processor shows it. */
  recorded(processor: Processor, correlationId: string): Promise<RecordedPayment | undefined> {
    return this.#askTheirs(processor, admin => admin.recorded(correlationId));
  }

  /**
   * What a processor recorded, page by page in the order of recording; undefined where it keeps no such list.
   */
  async *pages(processor: Processor): AsyncGenerator<readonly ListedPayment[] | undefined> {
    for (let after = 0; ; ) {
      const page = await this.#askTheirs(processor, admin => admin.listed(after, PAGE_ROWS));
      if (page?.length === 0) return;
      yield page;
      if (page === undefined) return;
      after = page.at(-1)!.seq;
    }
  }

  async #askOurs(path: string): Promise<{ status: number; text: string }> {
    try {
      const { statusCode, body } = await this.#ours.request({ method: 'GET', path });
      return { status: statusCode, text: await body.text() };
    } catch (error) {
      throw noAnswer('soquete', this.#addresses.url, 'url', reasonOf(error));
    }
  }

  #unexpected(path: string, status: number, text: string): CannotAsk {
    const answer = new UnexpectedAdminAnswer(`GET ${this.#addresses.url}${path}`, { status, text });
    return new CannotAsk(`soquete ${answer.message}`);
  }

  async #askTheirs<Value>(
    processor: Processor,
    question: (admin: AdminClient) => Promise<Value>,
  ): Promise<Value> {
    try {
      return await question(this.#theirs[processor]);
    } catch (error) {
      if (error instanceof NoAdminAnswer) {
        throw noAnswer(processor, this.#addresses[processor], processor, error.reason);
      }
      if (!(error instanceof UnexpectedAdminAnswer)) throw error;
      throw new CannotAsk(
        error.status === 401
          ? `the ${processor} processor wants another token; give it with --token`
          : `${processor} ${error.message}`,
      );
    }
  }
}

const noAnswer = (name: string, address: string, option: string, reason: string): CannotAsk =>
  new CannotAsk(
    `${name} does not answer at ${address} (${reason}); is it running? Another address is given with --${option}`,
  );
