/** A payment of the pool as a row of a batch. */
import { ATTEMPTS, HELD, ID, ORIGIN, PROCESSOR, REQUESTED_AT, SEQ, STATE, TRIES } from '../storage/batch.ts';
import { NONE, type PaymentPool } from './payment-pool.ts';

/** Fills the columns that most kinds of row have, as the payment stands now. */
export function fillRow(rows: Float64Array, start: number, pool: PaymentPool, slot: number): void {
  rows[start + SEQ] = pool.seq[slot]!;
  for (let word = 0; word < 4; word++) rows[start + ID + word] = pool.words[slot * 4 + word]!;
  rows[start + ORIGIN] = pool.origin[slot]!;
  rows[start + STATE] = pool.state[slot]!;
  rows[start + PROCESSOR] = pool.attempts[slot]! > 0 ? pool.processor[slot]! : NONE;
  rows[start + REQUESTED_AT] = pool.requestedAtMs[slot]!;
  rows[start + ATTEMPTS] = pool.attempts[slot]!;
  rows[start + TRIES] = pool.tries[slot]!;
  rows[start + HELD] = pool.held[slot]!;
}
