/** The one transaction of the hot path: a batch of puts, marks, settlements and attempts. */

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type ProcessorIndex, writeIdBytes } from '../../../domain/payment.ts';
import * as column from '../../batch.ts';
import { DONE, FORGOTTEN, KNOWN, StoreFault, type Written } from '../../ports.ts';
import { TotalsSum } from '../../rollups.ts';

export class BatchWriter {
  readonly #id = new Uint8Array(16);
  readonly #check: StatementSync;
  readonly #put: StatementSync;
  readonly #mark: StatementSync;
  readonly #settle: StatementSync;
  readonly #attempt: StatementSync;
  readonly #total: StatementSync;
  readonly #count: StatementSync;

  constructor(database: DatabaseSync) {
    this.#check = database.prepare(
      `SELECT generation, (SELECT epoch FROM instances WHERE number = ?),
         max(purged_to, coalesce((SELECT max(seq) FROM payments), 0)) FROM shared`,
    );
    this.#check.setReturnArrays(true);
    this.#put = database.prepare(
      `INSERT OR IGNORE INTO payments
         (seq, id, cents, accepted_at, state, processor, requested_at, attempts, tries, settled_at, owner)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`,
    );
    this.#mark = database.prepare(
      `UPDATE payments SET state = ?, processor = ?, requested_at = ?, attempts = ?, tries = ?
       WHERE seq = ? AND owner = ? AND state < 3`,
    );
    // A settlement need not say how many attempts there were.
    this.#settle = database.prepare(
      `UPDATE payments SET state = 3, processor = ?, requested_at = ?, attempts = max(attempts, ?), settled_at = ?
       WHERE seq = ? AND owner = ? AND state < 3`,
    );
    this.#attempt = database.prepare('INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?)');
    this.#total = database.prepare(
      `INSERT INTO totals VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
       SET count = count + excluded.count, high = high + excluded.high, low = low + excluded.low`,
    );
    this.#count = database.prepare('UPDATE instances SET unsettled = unsettled + ? WHERE number = ?');
  }

  /**
   * Carries out `count` rows for instance `number` inside the caller's transaction. Throws `StoreFault` when
   * the epoch has passed, and whatever SQLite throws.
   */
  write(number: number, epoch: number, generation: number, rows: Float64Array, count: number): Written {
    const [present, epochNow, lastSeq] = this.#check.get(number) as unknown as [number, number, number];
    if (epochNow !== epoch) throw new StoreFault('fenced', `epoch ${epoch} has passed, it is ${epochNow}`);
    const results = new Float64Array(count);
    if (present !== generation) return { generation: present, results: results.fill(FORGOTTEN) };

    const totals = new TotalsSum();
    let seq = lastSeq;
    let unsettled = 0;
    for (let index = 0; index < count; index++) {
      const start = index * column.COLUMNS;
      switch (rows[start + column.KIND]) {
        case column.INSERT: {
          const isNew = this.#putRow(rows, start, seq + 1, number);
          if (isNew) {
            seq += 1;
            unsettled += 1;
          }
          results[index] = isNew ? seq : KNOWN;
          break;
        }
        case column.MARK:
          results[index] = this.#markRow(rows, start, number) ? DONE : KNOWN;
          break;
        case column.SETTLE: {
          const isOurs = this.#settleRow(rows, start, number);
          if (isOurs) {
            const processor = rows[start + column.PROCESSOR] as ProcessorIndex;
            totals.add(processor, rows[start + column.REQUESTED_AT]!, rows[start + column.CENTS]!);
            unsettled -= 1;
          }
          results[index] = isOurs ? DONE : KNOWN;
          break;
        }
        case column.ATTEMPT:
          this.#attemptRow(rows, start);
          results[index] = DONE;
          break;
        default:
          throw new StoreFault('broken', `unknown operation ${rows[start + column.KIND]}`);
      }
    }
    totals.each((level, bucket, processor, total) => {
      this.#total.get(level, bucket, processor, total.count, total.high, total.low);
    });
    if (unsettled !== 0) this.#count.get(unsettled, number);
    return { generation, results };
  }

  #putRow(rows: Float64Array, start: number, seq: number, owner: number): boolean {
    writeIdBytes(rows, start + column.ID, this.#id, 0);
    const { changes } = this.#put.run(
      seq,
      this.#id,
      rows[start + column.CENTS]!,
      rows[start + column.ACCEPTED_AT]!,
      rows[start + column.STATE]!,
      rows[start + column.PROCESSOR]!,
      rows[start + column.REQUESTED_AT]!,
      rows[start + column.ATTEMPTS]!,
      rows[start + column.TRIES]!,
      owner,
    );
    return changes === 1;
  }

  #markRow(rows: Float64Array, start: number, owner: number): boolean {
    const { changes } = this.#mark.run(
      rows[start + column.STATE]!,
      rows[start + column.PROCESSOR]!,
      rows[start + column.REQUESTED_AT]!,
      rows[start + column.ATTEMPTS]!,
      rows[start + column.TRIES]!,
      rows[start + column.SEQ]!,
      owner,
    );
    return changes === 1;
  }

  #settleRow(rows: Float64Array, start: number, owner: number): boolean {
    const { changes } = this.#settle.run(
      rows[start + column.PROCESSOR]!,
      rows[start + column.REQUESTED_AT]!,
      rows[start + column.ATTEMPTS]!,
      rows[start + column.SETTLED_AT]!,
      rows[start + column.SEQ]!,
      owner,
    );
    return changes === 1;
  }

  #attemptRow(rows: Float64Array, start: number): void {
    this.#attempt.get(
      rows[start + column.SEQ]!,
      rows[start + column.ATTEMPTS]!,
      Math.round(rows[start + column.ACCEPTED_AT]!),
      rows[start + column.PROCESSOR]!,
      rows[start + column.REQUESTED_AT]!,
      rows[start + column.STATE]!,
      Math.round(rows[start + column.CENTS]!),
    );
  }
}
