/**
 * A batch as one text of bytes: 80 for each row, laid out so that `write` cuts records out of it.
 *
 *      0  id     16       25  state        1       42  requestedAt  6       57  retryAt           8
 *     16  kind    1       26  processor    1       48  attempts     4       65  settledAt, ended  6
 *     17  seq     6       27  cents        5       52  tries        4       71  duration          8
 *     23  owner   2       32  acceptedAt   6       56  held         1       79  outcome           1
 *                         38  origin       4
 */
import { writeIdBytes } from '../../domain/payment.ts';
import * as column from '../batch.ts';
import { ATTEMPT, type Batch, COLUMNS, INSERT, PUT_ON_HOLD, SETTLE } from '../batch.ts';
import { DONE, FORGOTTEN, KNOWN, OTHER_AMOUNT, type Written } from '../ports.ts';

export const PACKED_ROW_BYTES = 80;

/** `owner`: the number of the instance. */
export function packBatch({ rows, count }: Batch, owner: number): Buffer {
  const packed = Buffer.alloc(count * PACKED_ROW_BYTES);
  for (let row = 0; row < count; row++) packRow(rows, row * COLUMNS, packed, row * PACKED_ROW_BYTES, owner);
  return packed;
}

function packRow(rows: Float64Array, start: number, packed: Buffer, at: number, owner: number): void {
  const kind = rows[start + column.KIND]!;
  const isEnd = kind === ATTEMPT;
  const isHold = kind === PUT_ON_HOLD;
  writeIdBytes(rows, start + column.ID, packed, at);
  packed[at + 16] = kind;
  packed.writeUIntBE(rows[start + column.SEQ]!, at + 17, 6);
  packed.writeUInt16BE(owner, at + 23);
  const state = rows[start + (isEnd || isHold ? column.NEXT : column.STATE)]!;
  packed[at + 25] = state < 0 ? ~state + 128 : state;
  packed[at + 26] = rows[start + column.PROCESSOR]! + 1;
  packed.writeUIntBE(rows[start + column.REQUESTED_AT]!, at + 42, 6);
  packed.writeUInt32BE(rows[start + column.ATTEMPTS]!, at + 48);
  packed.writeUInt32BE(rows[start + column.TRIES]!, at + 52);
  if (isEnd) {
    packed.writeUIntBE(rows[start + column.ACCEPTED_AT]!, at + 65, 6);
    packed.writeDoubleBE(rows[start + column.CENTS]!, at + 71);
    packed[at + 79] = rows[start + column.STATE]!;
    return;
  }
  packed.writeUIntBE(rows[start + column.CENTS]!, at + 27, 5);
  if (kind === INSERT) {
    packed.writeUIntBE(rows[start + column.ACCEPTED_AT]!, at + 32, 6);
    packed.writeUInt32BE(rows[start + column.ORIGIN]!, at + 38);
  }
  if (isHold) {
    packed[at + 56] = rows[start + column.HELD]!;
    packed.writeDoubleBE(rows[start + column.SETTLED_AT]!, at + 57);
  }
  if (kind === SETTLE) packed.writeUIntBE(rows[start + column.SETTLED_AT]!, at + 65, 6);
}

/** One byte a row, as `write` answers; a payment that is new has the next seq. */
const CODES: Readonly<Record<number, number>> = { 1: DONE, 2: KNOWN, 3: OTHER_AMOUNT, 4: FORGOTTEN };

/** `first`: the last seq before the batch. */
export function unpackResults(generation: number, first: number, codes: Buffer): Written {
  let seq = first;
  const results = Float64Array.from(codes, code => {
    if (code > 0) return CODES[code]!;
    seq += 1;
    return seq;
  });
  return { generation, results };
}
