/**
 * A client as it should be: it sends a payment until it is told that it is accepted, with the same id. Now
 * and then it sends one twice at once, or again with another amount, as clients should not.
 */
import { randomUUID } from 'node:crypto';
import { Pool } from 'undici';
import { below, type Chance } from '../domain/random.ts';

/**
 * What clients should not do, as shares of all payments: sent twice at once; once more later with another
 * amount.
 */
const MISUSE = { twice: 0.05, otherAmount: 0.01 };
const RETRY_MS = 20;

/** A payment that got its `202`. */
export interface Accepted {
  readonly id: string;
  readonly cents: number;
  /** By the monotonic clock. */
  readonly atMs: number;
}

export class Client {
  /** In the order of their `202`s. */
  readonly payments: Accepted[] = [];
  /** Answers by status or by the error's code. */
  readonly answers = new Map<string, number>();
  /** How long the slowest of all answers took, in ms. */
  slowestMs = 0;
  /** Each of its lanes begins a payment so often at most, in ms. */
  everyMs = 0;
  #stopped = false;
  readonly #misuse: typeof MISUSE;
  readonly #pool: Pool;
  readonly #connections: number;
  readonly #draw: Chance;

  constructor(url: string, connections: number, draw: Chance, misuse = MISUSE) {
    this.#misuse = misuse;
    this.#pool = new Pool(url, {
      connections: connections * 2,
      pipelining: 1,
      bodyTimeout: 20_000,
      headersTimeout: 20_000,
    });
    this.#connections = connections;
    this.#draw = draw;
  }

  get accepted(): number {
    return this.payments.length;
  }

  get ids(): string[] {
    return this.payments.map(({ id }) => id);
  }

  /**
   * Sends `count` payments, or as many as it can until it is stopped, and resolves when each of them is
   * accepted.
   */
  async send(count: number): Promise<void> {
    let sent = 0;
    const lane = async (): Promise<void> => {
      while (sent < count && !this.#stopped) {
        sent += 1;
        const dueMs = performance.now() + this.everyMs;
        await this.#pay();
        const restMs = dueMs - performance.now();
        if (restMs > 0) await new Promise(resolve => setTimeout(resolve, restMs));
      }
    };
    await Promise.all(Array.from({ length: this.#connections }, lane));
  }

  stop(): void {
    this.#stopped = true;
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #pay(): Promise<void> {
    const correlationId = randomUUID();
    const cents = 1 + below(this.#draw, 100_000);
    const kind = this.#draw();
    const twin = kind < this.#misuse.twice ? this.sendOne(correlationId, cents) : undefined;
    await Promise.all([twin, this.sendOne(correlationId, cents)]);
    this.payments.push({ id: correlationId, cents, atMs: performance.now() });
    if (kind > 1 - this.#misuse.otherAmount) await this.#post(correlationId, cents + 1, ' (other amount)');
  }

  /** Sends a payment until it is accepted. */
  async sendOne(correlationId: string, cents: number): Promise<void> {
    while ((await this.#post(correlationId, cents, '')) !== 202) {
      await new Promise(resolve => setTimeout(resolve, RETRY_MS));
    }
  }

  async #post(correlationId: string, cents: number, note: string): Promise<number> {
    let status = 0;
    let name: string;
    const startedMs = performance.now();
    try {
      const { statusCode, body } = await this.#pool.request({
        method: 'POST',
        path: '/payments',
        body: `{"correlationId":"${correlationId}","amount":${cents / 100}}`,
      });
      await body.dump();
      status = statusCode;
      name = String(statusCode);
    } catch (error) {
      name = (error as { code?: string }).code ?? String(error);
    }
    this.slowestMs = Math.max(this.slowestMs, performance.now() - startedMs);
    this.answers.set(name + note, (this.answers.get(name + note) ?? 0) + 1);
    return status;
  }
}
