/**
 * Looks into the index over a connection that only reads, on the thread that asks: a transaction or a
 * checkpoint of the one that writes, which may take a tenth of a second, holds up no answer.
 */
import type { DatabaseSync } from 'node:sqlite';
import { addTotal, emptyTotal, type Total } from '../../../domain/money.ts';
import type { ProcessorIndex, Summary } from '../../../domain/payment.ts';
import { rangesOf } from '../../rollups.ts';
import {
  FIND_PAYMENT,
  type IndexedPayment,
  inArrays,
  inObjects,
  lazyStatements,
  type PaymentRow,
  rowOf,
} from './statements.ts';

export const readingOf = lazyStatements({
  find: inArrays(FIND_PAYMENT),
  closed: inObjects('SELECT text FROM acts WHERE id = ? ORDER BY n DESC LIMIT 1'),
  sum: inArrays(
    `SELECT processor, sum(count), sum(high), sum(low) FROM totals
     WHERE level = ? AND bucket BETWEEN ? AND ? GROUP BY processor`,
  ),
  position: inObjects('SELECT position FROM log'),
});

export class IndexReader {
  readonly #database: DatabaseSync;
  readonly #statements: ReturnType<typeof readingOf>;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#statements = readingOf(database);
  }

  /** One payment by its 16 bytes. */
  find(id: Uint8Array): IndexedPayment | undefined {
    const found = this.#statements.find.get(id) as unknown as PaymentRow | undefined;
    return found && rowOf(found);
  }

  /** Of a payment that is closed: why. */
  closedBecause(id: Uint8Array): string {
    return (this.#statements.closed.get(id) as { text: string } | undefined)?.text ?? '';
  }

  /** Settled payments by `requestedAt`, and the position up to which they are counted. */
  summary(fromMs: number, toMs: number): { readonly summary: Summary; readonly position: number } {
    return atOneMoment(this.#database, () => {
      const { position } = this.#statements.position.get() as { position: number };
      const totals: [Total, Total] = [emptyTotal(), emptyTotal()];
      rangesOf(fromMs, toMs, (level, from, to) => {
        for (const sums of this.#statements.sum.all(level, from, to)) {
          const [processor, count, high, low] = sums as unknown as [ProcessorIndex, number, number, number];
          addTotal(totals[processor], { count, high, low });
        }
      });
      return { summary: { default: totals[0], fallback: totals[1] }, position };
    });
  }

  close(): void {
    this.#database.close();
  }
}

/** What `read` finds is of one moment. */
export function atOneMoment<T>(database: DatabaseSync, read: () => T): T {
  database.exec('BEGIN');
  try {
    return read();
  } finally {
    database.exec('COMMIT');
  }
}
