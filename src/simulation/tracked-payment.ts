/** What an all-seeing observer knows of one payment. */
import { isDeepStrictEqual } from 'node:util';
import { idTextWords, type ProcessorIndex, SETTLED, type StoredPayment } from '../domain/payment.ts';
import type { PaymentView } from '../payments/api.ts';
import type { MemoryState } from '../storage/memory/state.ts';
import type { Process } from './event-loop.ts';

export interface Violation {
  readonly what: string;
  /** The payment concerned, if it is one. */
  readonly id: string | undefined;
  readonly atMs: number;
}

export interface Acknowledged {
  readonly cents: number;
  readonly atMs: number;
  readonly process: Process;
}

type OwnedPayment = StoredPayment & { readonly owner: string };

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
  readonly words: Int32Array;
  readonly firstSentAtMs: number;
  readonly amounts = new Set<number>();
  acknowledged: Acknowledged[] = [];
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
  /** The store was restored from a copy that does not have it, and nobody has sent it again since. */
  isLost = false;
  /** The store was restored, and did not have it as settled: both processors have to be asked for it. */
  mustAsk = false;
  /** When the store went back under its users, and had it otherwise before. */
  restoredAtMs = -1;
  /** Processors that have said since that they do not have it. */
  readonly absentAt = new Set<ProcessorIndex>();

  constructor(id: string, firstSentAtMs: number) {
    this.id = id;
    this.words = idTextWords(id);
    this.firstSentAtMs = firstSentAtMs;
  }

  /** The store is an older copy of itself, which has this of the payment. */
  restoredTo(row: StoredPayment | undefined): void {
    const isSettled = row?.state === SETTLED;
    this.isLost = row === undefined;
    if (this.isLost) this.owed = false;
    // Of two copies the one may have another amount than the other.
    this.acknowledged = this.acknowledged.filter(({ cents }) => cents === row?.cents);
    if (!isSettled) this.shownSettled = undefined;
    this.isBooked = isSettled;
    this.mustAsk = !isSettled;
    this.absentAt.clear();
    this.open = 0;
    this.last = undefined;
    this.tries = 0;
    this.intendedBy = undefined;
    this.isInstantLost = false;
  }

  /** The store went back under its users to what it has now: nothing, if of this one that is as it was. */
  wentBack(was: OwnedPayment | undefined, store: MemoryState, nowMs: number): void {
    const is = store.payments.get(this.id);
    if (isDeepStrictEqual(was, is)) return;
    // All that was acknowledged to its owner is there: what is missing is written again.
    if (was !== undefined && is !== undefined && !store.isBehind(was.owner) && !store.isBehind(is.owner)) {
      this.isBooked = is.state === SETTLED;
      if (!this.isBooked) this.shownSettled = undefined;
      return;
    }
    // What never left need not be asked for.
    const mayBeThere = this.mustAsk || this.last !== undefined;
    this.restoredTo(is);
    this.mustAsk &&= mayBeThere;
    this.restoredAtMs = nowMs;
  }

  /** Processors may know it, soquete does not: from here on it is another payment of the same id. */
  forget(): void {
    this.forgotten = true;
    this.owed = false;
    this.acknowledged.length = 0;
    this.shownSettled = undefined;
    this.isBooked = false;
  }

  /** Both processors were asked for it, if they had to be: what left before arrived nowhere. */
  asked(): void {
    if (!this.mustAsk) return;
    this.mustAsk = false;
    this.open = 0;
    this.last = undefined;
  }

  /** A session of `generation` read a request for it. */
  readIn(generation: number): void {
    this.generation = Math.max(this.generation, generation);
  }
}
