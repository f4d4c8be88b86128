/**
 * Inspection in SQL, over a connection of its own that only reads: opened when somebody looks, in nobody's
 * way.
 */
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import {
  HOLD_REASONS,
  type Hold,
  idText,
  type ProcessorIndex,
  SETTLED,
  type State,
} from '../../../domain/payment.ts';
import { ACT_KINDS, type ActKind } from '../../acts.ts';
import type {
  HeldCounts,
  History,
  InspectedAttempt,
  InspectedPayment,
  SettledPage,
} from '../../inspection.ts';
import { certain } from '../shared-log/row-changes.ts';
import { NOT_RETRIED } from './statements.ts';
import { indexFile } from './tables.ts';

/** Attempts shown of one payment: a processor that is away for a day makes tens of thousands. */
const ATTEMPTS_MAX = 200;
const CACHE_KIB = 512;

const PAYMENT = `SELECT seq, id, cents, accepted_at, state, processor, requested_at, attempts, tries, settled_at, origin, held
  FROM payments`;

interface PaymentRow {
  readonly seq: number;
  readonly id: Uint8Array;
  readonly cents: number;
  readonly accepted_at: number;
  readonly state: number;
  readonly processor: number;
  readonly requested_at: number;
  readonly attempts: number;
  readonly tries: number;
  readonly settled_at: number;
  readonly origin: number;
  readonly held: Hold;
}

interface ActRow {
  readonly at: number;
  readonly kind: number;
  readonly who: string;
  readonly text: string;
}

export class Inspector {
  readonly #database: DatabaseSync;
  readonly #latest: StatementSync;
  readonly #one: StatementSync;
  readonly #attempts: StatementSync;
  readonly #acts: StatementSync;
  readonly #heldCounts: StatementSync;
  readonly #held: StatementSync;
  readonly #settled: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#latest = this.#database.prepare(`${PAYMENT} ORDER BY seq DESC LIMIT ?`);
    this.#one = this.#database.prepare(
      `${PAYMENT} WHERE id = ?1
       UNION ALL SELECT 0, id, cents, requested_at - accepted_before, ${SETTLED}, processor, requested_at, attempts, 0,
         requested_at, 0, 0 FROM archived WHERE id = ?1`,
    );
    this.#attempts = this.#database.prepare(
      `SELECT n AS number, processor, requested_at AS requestedAtMs, ended_at AS endedAtMs,
         duration_ms AS durationMs, outcome
       FROM attempts WHERE id = ? ORDER BY n DESC, ended_at DESC LIMIT ${ATTEMPTS_MAX}`,
    );
    this.#acts = this.#database.prepare('SELECT at, kind, who, text FROM acts WHERE id = ? ORDER BY n');
    this.#heldCounts = this.#database.prepare(
      'SELECT held, count(*) AS count FROM payments WHERE held > 0 GROUP BY held',
    );
    this.#held = this.#database.prepare(`${PAYMENT} WHERE held > 0 ORDER BY +seq LIMIT ?`);
    this.#settled = this.#database.prepare(
      `${PAYMENT} WHERE seq > ? AND state = ${SETTLED} ORDER BY seq LIMIT ?`,
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
    const acts = (this.#acts.all(id) as unknown as ActRow[]).map(({ at, kind, who, text }) => {
      return { kind: ACT_KINDS[kind] as ActKind, atMs: at, who, text };
    });
    return { payment: payment(row), attempts: attempts.map(attempt => ({ ...attempt })).reverse(), acts };
  }

  heldCounts(): HeldCounts {
    const counts = HOLD_REASONS.map(() => 0);
    for (const { held, count } of this.#heldCounts.all() as { held: number; count: number }[])
      counts[held] = count;
    return counts;
  }

  held(limit: number): InspectedPayment[] {
    return (this.#held.all(limit) as unknown as PaymentRow[]).map(payment);
  }

  settled(after: number, limit: number): SettledPage {
    const rows = this.#settled.all(after, limit) as unknown as PaymentRow[];
    return { payments: rows.map(payment), after: rows.length < limit ? 0 : rows.at(-1)!.seq };
  }

  close(): void {
    this.#database.close();
  }
}

const payment = (row: PaymentRow): InspectedPayment => ({
  correlationId: idText(row.id),
  cents: row.cents,
  state: certain(row.state) as State,
  isUncertain: row.state < 0,
  processor: row.processor < 0 ? undefined : (row.processor as ProcessorIndex),
  acceptedAtMs: row.accepted_at,
  requestedAtMs: row.requested_at,
  settledAtMs: row.held > 0 ? 0 : row.settled_at,
  attempts: row.attempts,
  tries: row.tries,
  held: row.held,
  retryAtMs: row.held === 0 ? 0 : row.settled_at === NOT_RETRIED ? Infinity : row.settled_at,
  owner: String(row.origin),
});
