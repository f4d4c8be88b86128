/**
 * Payments on their way from the store's thread: rows of numbers in one buffer, with the columns of a batch,
 * which cross without being copied and become objects only where they are used.
 */

import type { Cents } from '../domain/money.ts';
import {
  type ProcessorIndex,
  readIdWords,
  type State,
  type StoredPayment,
  writeIdBytes,
} from '../domain/payment.ts';
import * as column from './batch.ts';

/** The columns of the table of payments in the order of `packRows`. */
export const STORED_COLUMNS =
  'seq, id, cents, accepted_at, state, processor, requested_at, attempts, tries, settled_at';

type StoredRow = readonly [number, Uint8Array, ...number[]];

/** Packs rows that were read as arrays of `STORED_COLUMNS`. */
export function packRows(stored: readonly StoredRow[]): Float64Array {
  const rows = new Float64Array(stored.length * column.COLUMNS);
  for (let index = 0; index < stored.length; index++) {
    const start = index * column.COLUMNS;
    const [seq, id, ...numbers] = stored[index]!;
    rows[start + column.SEQ] = seq;
    readIdWords(new DataView(id.buffer, id.byteOffset, 16), 0, rows, start + column.ID);
    rows.set(numbers, start + column.CENTS);
  }
  return rows;
}

/** Makes payments of packed rows. */
export function unpackRows(rows: Float64Array): StoredPayment[] {
  const ids = new Uint8Array((rows.length / column.COLUMNS) * 16);
  const payments: StoredPayment[] = [];
  for (let start = 0, idStart = 0; start < rows.length; start += column.COLUMNS, idStart += 16) {
    writeIdBytes(rows, start + column.ID, ids, idStart);
    const processor = rows[start + column.PROCESSOR]!;
    payments.push({
      seq: rows[start + column.SEQ]!,
      id: ids.subarray(idStart, idStart + 16),
      cents: rows[start + column.CENTS] as Cents,
      acceptedAtMs: rows[start + column.ACCEPTED_AT]!,
      state: rows[start + column.STATE] as State,
      processor: processor < 0 ? undefined : (processor as ProcessorIndex),
      requestedAtMs: rows[start + column.REQUESTED_AT]!,
      attempts: rows[start + column.ATTEMPTS]!,
      tries: rows[start + column.TRIES]!,
      settledAtMs: rows[start + column.SETTLED_AT]!,
    });
  }
  return payments;
}
