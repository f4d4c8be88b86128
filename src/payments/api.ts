/**
 * What the HTTP side asks of the payments side: the one seam between bytes and money.
 */
import type { Cents } from '../domain/money.ts';
import type { Processor, Summary } from '../domain/payment.ts';

/** Accepted: `202`, to be sent only after the next `commit()` said true. Also for the same payment again. */
export const ACCEPTED = 1;
/** Known with another amount: `409`. */
export const CONFLICT = 2;
/** The queue is full or the store cannot take it: `503` with `Retry-After`. */
export const UNAVAILABLE = 3;
export type Acceptance = typeof ACCEPTED | typeof CONFLICT | typeof UNAVAILABLE;
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
