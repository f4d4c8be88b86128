/**
 * A client as it should be: it sends a payment until it is told that it is accepted, with the same id. Now and
 * then it sends one twice at once, or again with another amount, as clients should not.
 */
import { randomUUID } from 'node:crypto';
import { Pool } from 'undici';
import type { Chance } from '../chance.ts';

/** Of 100 payments: sent twice at once; sent once more later with another amount. */
const TWICE = 0.05;
const OTHER_AMOUNT = 0.01;
const RETRY_MS = 20;

export class Client {
  /** Ids that got their `202`. */
  readonly ids: string[] = [];
  /** Answers by status or by the error's code. */
  readonly answers = new Map<string, number>();
  readonly #pool: Pool;
  readonly #connections: number;
  readonly #draw: Chance;

  constructor(url: string, connections: number, draw: Chance) {
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
    return this.ids.length;
  }

  /** Sends `count` payments and resolves when each of them is accepted. */
  async send(count: number): Promise<void> {
    let sent = 0;
    const lane = async (): Promise<void> => {
      while (sent < count) {
        sent += 1;
        await this.#pay();
      }
    };
    await Promise.all(Array.from({ length: this.#connections }, lane));
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }

  async #pay(): Promise<void> {
    const correlationId = randomUUID();
    const cents = 1 + Math.floor(this.#draw() * 100_000);
    const kind = this.#draw();
    const twin = kind < TWICE ? this.#untilAccepted(correlationId, cents) : undefined;
    await Promise.all([twin, this.#untilAccepted(correlationId, cents)]);
    this.ids.push(correlationId);
    if (kind > 1 - OTHER_AMOUNT) await this.#post(correlationId, cents + 1, ' (other amount)');
  }

  async #untilAccepted(correlationId: string, cents: number): Promise<void> {
    while ((await this.#post(correlationId, cents, '')) !== 202) {
      await new Promise(resolve => setTimeout(resolve, RETRY_MS));
    }
  }

  async #post(correlationId: string, cents: number, note: string): Promise<number> {
    let status = 0;
    let name: string;
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
    this.answers.set(name + note, (this.answers.get(name + note) ?? 0) + 1);
    return status;
  }
}
