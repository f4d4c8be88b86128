/**
 * What a person may ask of the store beside what payments need: the latest payments, and the story of one.
 */
import type { Hold, ProcessorIndex, State } from '../domain/payment.ts';
import type { ActKind } from './acts.ts';
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
  readonly held: Hold;
  /** As in `StoredPayment`. */
  readonly retryAtMs: number;
  /** Both processors are asked for it before it leaves. */
  readonly isUncertain: boolean;
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

/** What an operator did to a payment. */
export interface InspectedAct {
  readonly kind: ActKind;
  readonly atMs: number;
  readonly who: string;
  readonly text: string;
}

export interface History {
  readonly payment: InspectedPayment;
  /** In order; of many, the last ones. */
  readonly attempts: readonly InspectedAttempt[];
  /** All of them, in order. */
  readonly acts: readonly InspectedAct[];
}

/** Settled payments in the order of their arrival. */
export interface SettledPage {
  readonly payments: readonly InspectedPayment[];
  /** What to ask for the next page with; 0: there is none. */
  readonly after: number;
}

/** How many payments are held, by place in `HOLD_REASONS`. */
export type HeldCounts = readonly number[];

export interface Inspection {
  /** The payments that came to the store last, latest first. */
  latest(limit: number, reply: Reply<InspectedPayment[]>): void;
  /** One payment by its 16 bytes, with its attempts; undefined when the store does not know it. */
  history(id: Uint8Array, reply: Reply<History | undefined>): void;
  /** How many payments are held at present, in all of the deployment. */
  heldCounts(reply: Reply<HeldCounts>): void;
  /** Held payments of all instances, those held longest first. */
  held(limit: number, reply: Reply<InspectedPayment[]>): void;
  /** Settled payments of all instances behind `after` of another page, 0 for the first. */
  settled(after: number, limit: number, reply: Reply<SettledPage>): void;
}
