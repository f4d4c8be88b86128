/** The words of the order: what becomes of batches and records, and what an order is restored from. */
import type { BatchView } from './decoder.ts';
import type { MembersState } from './ordered-members.ts';

/** What becomes of a batch. All but `COUNTED`: nothing of it has happened. */
export const COUNTED = 1;
export const BATCH_REPEATED = 2;
export const BATCH_FENCED = 3;
export const BATCH_PURGED = 4;
export const BATCH_STALE = 5;
export const BATCH_SEALED = 6;
/** Of another store, which happens only if its log was put here. */
export const BATCH_FOREIGN = 7;
export type BatchVerdict = 1 | 2 | 3 | 4 | 5 | 6 | 7;

/**
 * What becomes of a record of a batch that counts. An acceptance: its seq, or one of the first two. A join:
 * its epoch; an adoption: the shares. Anything else: 1 if it counts.
 */
export const SAME_AMOUNT = -1;
export const ANOTHER_AMOUNT = -2;
export const VOID = 0;

export interface OrderedHealth {
  isFailing: boolean;
  minResponseMs: number;
  version: number;
}

/** What an `Order` is restored from, besides the rows of its table. */
export interface OrderState {
  readonly seq: number;
  readonly generation: number;
  readonly marks: number;
  readonly indexedTo: number;
  readonly keptFrom: number;
  readonly durableTo: number;
  readonly sealed: number;
  readonly digest: number;
  readonly boot: number;
  readonly term: number;
  readonly touchedAt: number;
  readonly purgedAt: number;
  readonly termAt: number;
  readonly isDamaged: boolean;
  readonly doubtAt: number;
  readonly asksFirstUntilMs: number;
  readonly isCalm: boolean;
  /** Missing in a state of an older soquete. */
  readonly urls?: readonly string[];
  readonly health: readonly OrderedHealth[];
  readonly members: MembersState;
}

/**
 * Called for each record of a payment that counts, after it took effect. `rowStart`: its row of the table.
 */
export type EachCounted = (kind: number, rowStart: number, batch: BatchView, at: number) => void;
