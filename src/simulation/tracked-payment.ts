/** What an all-seeing observer knows of one payment. */
import type { ProcessorIndex } from '../domain/payment.ts';
import type { PaymentView } from '../payments/api.ts';
import type { Process } from './event-loop.ts';

export interface Acknowledged {
  readonly cents: number;
  readonly atMs: number;
  readonly process: Process;
}

/** What an attempt carries that the next may only change after a certain refusal. */
interface Intent {
  readonly to: ProcessorIndex;
  readonly requestedAtMs: number;
}

export interface Attempt extends Intent {
  readonly payment: TrackedPayment;
  readonly process: Process;
  refusedAtMs: number;
}

/** One correlationId as its client and an all-seeing observer know it. */
export class TrackedPayment {
  readonly id: string;
  readonly firstSentAtMs: number;
  readonly amounts = new Set<number>();
  readonly acknowledged: Acknowledged[] = [];
  /** It has to be settled in the end. */
  owed = false;
  /** A purge forgot it: processors may know it from before, and no rule links its attempts any more. */
  forgotten = false;
  /** Attempts of the present intent whose outcome is not a certain refusal. */
  open = 0;
  last: Attempt | undefined;
  /**
   * The process that sent the first attempt of the present intent: others have to take its outcome for
   * unknown.
   */
  intendedBy: Process | undefined;
  /** Intents for default since the last one for fallback. */
  tries = 0;
  /** The latest generation of a session that read a request for it. */
  generation = 0;
  /** The instance whose intent the store has. */
  intentOf = '';
  isBooked = false;
  recordedBy: ProcessorIndex | undefined;
  shownSettled: PaymentView | undefined;
  shownSettledAtMs = 0;
  /** What the store says of its last attempt may be older than that, and was not brought up to date yet. */
  isInstantLost = false;

  constructor(id: string, firstSentAtMs: number) {
    this.id = id;
    this.firstSentAtMs = firstSentAtMs;
  }

  /** A session of `generation` read a request for it. */
  readIn(generation: number): void {
    this.generation = Math.max(this.generation, generation);
  }
}
