/** What records make of a row of the tail. */
import { DEFAULT, PINNED, SETTLED, WAITING } from '../../../domain/payment.ts';
import * as record from './records.ts';
import { recordDetail } from './records.ts';
import * as row from './tail-table.ts';
import { STATE_CLOSED } from './tail-table.ts';

/** What a record that counts says of its payment, put in the row at `start`; `state`: the one before. */
export function writeRow(
  kind: number,
  view: DataView,
  at: number,
  rows: Float64Array,
  start: number,
  state: number,
): void {
  const detail = recordDetail(view, at);
  switch (kind) {
    case record.INTEND:
      // On top of one that may be on its way: whatever becomes of this one, that one stays unknown.
      rows[start + row.ROW_STATE] = state === WAITING ? view.getUint32(at + 40, true) : PINNED;
      rows[start + row.ROW_PROCESSOR] = detail;
      rows[start + row.ROW_REQUESTED_AT] = view.getFloat64(at + 28, true);
      rows[start + row.ROW_ATTEMPTS] = view.getUint16(at + 36, true);
      rows[start + row.ROW_TRIES] = view.getUint16(at + 38, true);
      return;
    case record.END_ATTEMPT:
    case record.HOLD:
      rows[start + row.ROW_STATE] = state === PINNED ? PINNED : detail;
      rows[start + row.ROW_PROCESSOR] = view.getInt8(at + 52);
      rows[start + row.ROW_REQUESTED_AT] = view.getFloat64(at + 28, true);
      rows[start + row.ROW_ATTEMPTS] = view.getUint16(at + 36, true);
      rows[start + row.ROW_TRIES] = view.getUint16(at + 38, true);
      if (kind === record.HOLD) rows[start + row.ROW_HELD] = view.getUint8(at + 53);
      return;
    case record.BOOK:
      rows[start + row.ROW_STATE] = SETTLED;
      rows[start + row.ROW_PROCESSOR] = detail;
      rows[start + row.ROW_REQUESTED_AT] = view.getFloat64(at + 28, true);
      rows[start + row.ROW_SETTLED_AT] = view.getFloat64(at + 36, true);
      rows[start + row.ROW_CENTS] = view.getFloat64(at + 44, true);
      rows[start + row.ROW_ATTEMPTS] = view.getUint16(at + 52, true);
      rows[start + row.ROW_HELD] = 0;
      return;
    default:
      rows[start + row.ROW_STATE] = STATE_CLOSED;
  }
}

/** Makes of a payment that waits one that may have been sent already. */
export function pinRow(rows: Float64Array, start: number): void {
  rows[start + row.ROW_STATE] = PINNED;
  rows[start + row.ROW_PROCESSOR] = Math.max(DEFAULT, rows[start + row.ROW_PROCESSOR]!);
  rows[start + row.ROW_REQUESTED_AT] ||= rows[start + row.ROW_ACCEPTED_AT]!;
  rows[start + row.ROW_ATTEMPTS] = Math.max(1, rows[start + row.ROW_ATTEMPTS]!);
}
