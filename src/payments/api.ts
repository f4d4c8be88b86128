/**
 * What the HTTP side asks of the payments side: the one seam between bytes and money.
 */
import type { Cents } from '../domain/money.ts';
import type { Processor, Summary } from '../domain/payment.ts';

/** Accepted: `202`, to be sent only after the next `commit()` said true. Also for the same payment again. */
export const ACCEPTED = 1;
/** Known with another amount: `409`. */
export const CONFLICT = 2;
/** The store cannot take it at this moment: `503`, and again after a second. */
export const UNAVAILABLE = 3;
/** The queue or the store's disk is too full: `503`, and again after `waitSeconds`. */
export const OVER_CAPACITY = 4;
export type Acceptance = typeof ACCEPTED | typeof CONFLICT | typeof UNAVAILABLE | typeof OVER_CAPACITY;
/**
 * All of a turn's acceptances stand; none does; or each as it says, by its place in the order of the calls.
 */
export type Kept = boolean | ((place: number) => Acceptance);

export interface PaymentView {
  readonly correlationId: string;
  readonly cents: Cents;
  readonly status: 'queued' | 'settled' | 'held' | 'closed';
  /** Why it is held or was closed; null otherwise. */
  readonly reason: string | null;
  readonly processor: Processor | null;
  /** Wall-clock milliseconds, or null before the first attempt. */
  readonly requestedAtMs: number | null;
  readonly acceptedAtMs: number;
  readonly attempts: number;
}

export interface Readiness {
  readonly ready: boolean;
  /** What is amiss, one short sentence each; empty when ready. */
  readonly reasons: readonly string[];
  readonly instance: string;
}

export interface Payments {
  /**
   * The hot path: called for each valid payment in the turn of the event loop in which its last byte arrived.
   * `id` (four words, big-endian) is a scratch array: it is read before this returns, and so is `trace` (see
   * `trace-context.ts`), of a payment that belongs to one.
   */
  accept(id: Int32Array, cents: number, trace?: Int32Array): Acceptance;
  /** Of what was refused as `OVER_CAPACITY` last: whole seconds until another try is worth it, 1 to 60. */
  readonly waitSeconds: number;
  /**
   * Has the store decide on everything accepted since the last call, once for all connections of a turn, and
   * says what became of each of the `waiting` calls of `accept` that said `ACCEPTED`.
   */
  commit(waiting: number): Kept | Promise<Kept>;
  /**
   * One payment by its 16 bytes; undefined when unknown. Throws `Unavailable` when the store cannot be asked.
   */
  find(id: Uint8Array): Promise<PaymentView | undefined>;
  /**
   * Inclusive bounds in wall-clock milliseconds; an open end is -Infinity or Infinity. Throws `Unavailable`.
   */
  summary(fromMs: number, toMs: number): Promise<Summary>;
  /** Forgets everything accepted before. Throws `Unavailable`. */
  purge(): Promise<void>;
  readiness(): Readiness;
}
