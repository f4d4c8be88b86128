/**
 * Inspection in SQL, over a connection of its own that only reads: opened when somebody looks, in nobody's
 * way.
 */
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { idText, type ProcessorIndex, type State } from '../../../domain/payment.ts';
import type { History, InspectedAttempt, InspectedPayment } from '../../inspection.ts';
import { indexFile } from './tables.ts';

/** Attempts shown of one payment: a processor that is away for a day makes tens of thousands. */
const ATTEMPTS_MAX = 200;
const CACHE_KIB = 512;

const PAYMENT = `SELECT id, cents, accepted_at, state, processor, requested_at, attempts, tries, settled_at, origin
  FROM payments`;

interface PaymentRow {
  readonly id: Uint8Array;
  readonly cents: number;
  readonly accepted_at: number;
  readonly state: State;
  readonly processor: number;
  readonly requested_at: number;
  readonly attempts: number;
  readonly tries: number;
  readonly settled_at: number;
  readonly origin: number;
}

export class Inspector {
  readonly #database: DatabaseSync;
  readonly #latest: StatementSync;
  readonly #one: StatementSync;
  readonly #attempts: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#latest = this.#database.prepare(`${PAYMENT} ORDER BY seq DESC LIMIT ?`);
    this.#one = this.#database.prepare(`${PAYMENT} WHERE id = ?`);
    this.#attempts = this.#database.prepare(
      `SELECT n AS number, processor, requested_at AS requestedAtMs, ended_at AS endedAtMs,
         duration_ms AS durationMs, outcome
       FROM attempts WHERE id = ? ORDER BY n DESC, ended_at DESC LIMIT ${ATTEMPTS_MAX}`,
    );
  }

  /** Over the store in `directory`, which has to be there. */
  static of(directory: string): Inspector {
    const database = new DatabaseSync(join(directory, indexFile), { readOnly: true, timeout: 100 });
    database.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
    return new Inspector(database);
  }

  latest(limit: number): InspectedPayment[] {
    return (this.#latest.all(limit) as unknown as PaymentRow[]).map(payment);
  }

  history(id: Uint8Array): History | undefined {
    const row = this.#one.get(id) as PaymentRow | undefined;
    if (row === undefined) return undefined;
    const attempts = this.#attempts.all(id) as unknown as InspectedAttempt[];
    return { payment: payment(row), attempts: attempts.map(attempt => ({ ...attempt })).reverse() };
  }

  close(): void {
    this.#database.close();
  }
}

const payment = (row: PaymentRow): InspectedPayment => ({
  correlationId: idText(row.id),
  cents: row.cents,
  state: row.state,
  processor: row.processor < 0 ? undefined : (row.processor as ProcessorIndex),
  acceptedAtMs: row.accepted_at,
  requestedAtMs: row.requested_at,
  settledAtMs: row.settled_at,
  attempts: row.attempts,
  tries: row.tries,
  owner: String(row.origin),
});
