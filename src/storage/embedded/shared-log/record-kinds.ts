/** The kinds of the log's records, and what several of them say. */

/** What happened to a payment. All of these have the id at 8 and the origin (below) at 24. */
export const ACCEPT = 1;
/** An attempt will leave for the processor `detail`. */
export const INTEND = 2;
/** An attempt ended and did not settle the payment, which is in state `detail` now. */
export const END_ATTEMPT = 3;
/** The processor `detail` has booked it. */
export const BOOK = 4;
/** It is held, in state `detail`: an operator has to look. */
export const HOLD = 5;
/** An operator did something to it, having seen it in state `detail`; with who, and why. */
export const ACT = 6;
export const LAST_PAYMENT_KIND = ACT;
/** What the instances tell each other. */
export const JOIN = 16;
export const LEAVE = 17;
export const FENCE = 18;
export const BEAT = 19;
/** Takes the lease `detail`. */
export const LEASE = 20;
/** The health of the processor `detail`. */
export const REPORT = 21;
export const PURGE = 22;
export const ADOPT = 23;
/** The index has everything before a position; `detail`: 1 when it is safe from a power loss there. */
export const INDEXED = 24;
/** No unsettled payment has a dead epoch as its origin; `detail`: 1 when its name is forgotten too. */
export const EMPTY = 25;
/** The segment ends here; it goes on in another. */
export const SEAL = 26;
/**
 * The machine has started anew, or its disk was away: what the disk had not got may be missing in front of
 * this. `detail`: see `boots`.
 */
export const BOOT = 27;
/** The processors' addresses, as they are from here on. */
export const URLS = 28;

/** How far an unsettled payment is, after an attempt. */
export interface LoggedProgress {
  readonly state: number;
  /** Of the last attempt; -1: none yet. */
  readonly processor: number;
  readonly requestedAtMs: number;
  readonly attempts: number;
  readonly tries: number;
}

/** Who appends a batch, and what it knew when it was made. */
export interface BatchOrigin {
  readonly store: number;
  readonly instance: number;
  /** 0: of no epoch yet, it holds a JOIN and `number` is one that nobody else chose. */
  readonly epoch: number;
  readonly number: number;
  readonly generation: number;
  readonly marksSeen: number;
}
