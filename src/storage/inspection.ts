/**
 * What a person may ask of the store beside what payments need: the latest payments, and the story of one.
 */
import type { ProcessorIndex, State } from '../domain/payment.ts';
import type { Reply } from './ports.ts';

/** A payment with who has it in hand. Times are wall-clock milliseconds since 1970; 0 stands for none. */
export interface InspectedPayment {
  readonly correlationId: string;
  readonly cents: number;
  readonly state: State;
  /** Of the last attempt; undefined before the first. */
  readonly processor: ProcessorIndex | undefined;
  readonly acceptedAtMs: number;
  readonly requestedAtMs: number;
  readonly settledAtMs: number;
  readonly attempts: number;
  /** Attempts on default in the present round. */
  readonly tries: number;
  /** The instance that has it. */
  readonly owner: string;
}

/** An attempt that did not settle its payment. */
export interface InspectedAttempt {
  readonly number: number;
  readonly processor: ProcessorIndex;
  readonly requestedAtMs: number;
  readonly endedAtMs: number;
  readonly durationMs: number;
  /** A place in `OUTCOMES`. */
  readonly outcome: number;
}

export interface History {
  readonly payment: InspectedPayment;
  /** In order; of many, the last ones. */
  readonly attempts: readonly InspectedAttempt[];
}

export interface Inspection {
  /** The payments that came to the store last, latest first. */
  latest(limit: number, reply: Reply<InspectedPayment[]>): void;
  /** One payment by its 16 bytes, with its attempts; undefined when the store does not know it. */
  history(id: Uint8Array, reply: Reply<History | undefined>): void;
}
