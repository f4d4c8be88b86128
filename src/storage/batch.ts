/**
 * A batch of operations for the store: rows of numbers in one buffer, so that a turn's worth of
 * payments crosses to the store's thread in one message, without an object a payment.
 */

/** Insert a payment with its state so far, unless the id is there already. */
export const INSERT = 0;
/** Record the intent of an attempt on a payment that is ours and unsettled, before it leaves. */
export const MARK = 1;
/** Record a settlement and add it to the totals; only of a payment that is ours and unsettled. */
export const SETTLE = 2;
/** Record how an attempt ended that did not settle the payment, and the state that this leaves it in. */
export const ATTEMPT = 3;
/** Record that an unsettled payment is held, and when it is to be tried again. */
export const PUT_ON_HOLD = 4;

/** The columns of a row. */
export const KIND = 0;
export const SEQ = 1;
export const ID = 2; // to 5: four words
export const CENTS = 6; // PUT, SETTLE; of ATTEMPT the duration in ms
export const ACCEPTED_AT = 7; // PUT; of ATTEMPT when it ended (wall clock, ms)
export const STATE = 8; // of ATTEMPT the outcome: an index into OUTCOMES of processors/outcome
export const PROCESSOR = 9; // -1: none yet
export const REQUESTED_AT = 10;
export const ATTEMPTS = 11;
export const TRIES = 12;
export const SETTLED_AT = 13; // of PUT_ON_HOLD when it is tried again (wall clock, ms; Infinity: never)
/** The epoch that accepted the payment, as the store said. */
export const ORIGIN = 14;
export const NEXT = 15; // of ATTEMPT and PUT_ON_HOLD the state that the payment is in now
export const HELD = 16; // MARK, ATTEMPT, PUT_ON_HOLD: a place in HOLD_REASONS
export const COLUMNS = 17;

export class Batch {
  readonly epoch: number;
  readonly generation: number;
  /**
   * Rises within the epoch: a batch that is written again is known by it. Given to a batch whose rows will
   * not change any more; without one (0) it is not known again.
   */
  number = 0;
  rows: Float64Array;
  count = 0;
  /** The disk has to have it before the reply, whatever durability the store has otherwise. */
  isFlushed = false;

  constructor(epoch: number, generation: number, capacity = 16) {
    this.epoch = epoch;
    this.generation = generation;
    this.rows = new Float64Array(capacity * COLUMNS);
  }

  /** The start of a new, zeroed row. */
  add(kind: number): number {
    const start = this.count * COLUMNS;
    if (start + COLUMNS > this.rows.length) {
      const grown = new Float64Array(this.rows.length * 2);
      grown.set(this.rows);
      this.rows = grown;
    }
    this.rows[start + KIND] = kind;
    this.count += 1;
    return start;
  }
}

export function bringsPayments({ rows, count }: Batch): boolean {
  for (let row = 0; row < count; row++) if (rows[row * COLUMNS + KIND] === INSERT) return true;
  return false;
}

/** Whether it makes the store grow, or asks whether it may: what does not is taken by a full one, too. */
export const needsRoom = (batch: Batch): boolean => batch.count === 0 || bringsPayments(batch);
