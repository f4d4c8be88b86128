/**
 * The promises, checked at every step by an observer that sees everything: what clients were answered, what
 * left for the processors, what they recorded, what the store booked.
 *
 * A payment is owed from its `202` on. It may leave with a new processor or a new `requestedAt` only when
 * every attempt so far was refused for certain: that one rule is what `settled exactly once` rests on, and it
 * is checked when a request leaves, long before two books show what came of it.
 */

import { type AttemptResult, classify } from '../domain/outcome.ts';
import {
  DEFAULT,
  FALLBACK,
  HELD_AMOUNT,
  idText,
  PINNED,
  PROCESSORS,
  type ProcessorIndex,
  SETTLED,
  type StoredPayment,
  WAITING,
} from '../domain/payment.ts';
import type { Policy } from '../domain/settlement.ts';
import type { PaymentView } from '../payments/api.ts';
import type { Book } from '../processor-simulator/book.ts';
import type { PaymentRequest } from '../processors/port.ts';
import type { MemoryState } from '../storage/memory/state.ts';
import type { SimulatedAddresses } from './addresses.ts';
import { type EventLoop, type Process, processLabel, WALL_START_MS, type WallClock } from './event-loop.ts';
import { staysHeld } from './stays-held.ts';
import { type Attempt, TrackedPayment, type Violation } from './tracked-payment.ts';
import { UsesOfDefault } from './uses-of-default.ts';

export interface ChecksParts {
  readonly eventLoop: EventLoop;
  readonly addresses: SimulatedAddresses;
  readonly policy: Policy;
  readonly attemptTimeoutMs: number;
  /** The wall clock of an instance, and since when it was not turned. */
  readonly wallOf: (instance: string) => WallClock & { readonly turnedAtMs: number };
  readonly anyWallTurned: () => boolean;
  readonly say: (id: string | undefined, who: string, what: () => string) => void;
}

/** What is known of a `202`. */
export interface PromisedPayment {
  readonly cents: number;
  readonly process: Process;
  /** Of the session that read the request. */
  readonly generation: number;
  /**
   * The instance has yet to notice that the disk was taken out: it may say again what only its memory knows.
   */
  readonly isUnaware: boolean;
}

const NOT_ASKED = 'left after a restore, before both processors had said that they do not have it';

export class Invariants {
  readonly violations: Violation[] = [];
  readonly payments = new Map<string, TrackedPayment>();
  /** Payments that were lost with the power, or whose amount was, whatever processors made of them. */
  forgotten = 0;
  /** Processors keep what a purge forgot. */
  isPurged = false;
  /** How often what was booked may have been lost. */
  losses = 0;
  /** Set once the store exists: it reports what it books. */
  memory!: MemoryState;
  readonly #parts: ChecksParts;
  /** Rows that were looked at. */
  readonly #rows = new Map<Book, number>();
  readonly #usesOfDefault: UsesOfDefault;
  #generation = 1;
  #term = 1;
  #wentBackAtMs = -1;

  constructor(parts: ChecksParts) {
    this.#parts = parts;
    this.#usesOfDefault = new UsesOfDefault(() => parts.eventLoop.nowMs);
  }

  /** A broken promise. The first one ends the run. */
  fail(id: string | undefined, what: string): void {
    this.violations.push({ what, id, atMs: this.#parts.eventLoop.nowMs });
    this.#parts.say(id, 'CHECK', () => what);
  }

  /** A client sends a payment, for the first time or again. */
  sent(id: string, cents: number): TrackedPayment {
    let payment = this.payments.get(id);
    if (payment === undefined) {
      payment = new TrackedPayment(id, this.#parts.eventLoop.nowMs);
      this.payments.set(id, payment);
    }
    payment.amounts.add(cents);
    return payment;
  }

  /** A client gets its `202`. */
  acknowledge(payment: TrackedPayment, acceptance: PromisedPayment): void {
    const { cents, process, generation, isUnaware } = acceptance;
    const { nowMs } = this.#parts.eventLoop;
    const other = payment.acknowledged.find(earlier => earlier.cents !== cents);
    if (other !== undefined && payment.owed)
      this.fail(payment.id, `202 for ${cents} cents, ${other.cents} had been accepted before`);
    // Accepted by one that did not yet know of a purge: forgotten by it. So is what was lost with the disk
    // already.
    if (generation < this.memory.generation || (isUnaware && !this.memory.payments.has(payment.id))) {
      payment.forgotten = true;
      return;
    }
    if (process.joiningAtMs < this.#wentBackAtMs && !this.memory.payments.has(payment.id)) {
      payment.isLost = true;
      return;
    }
    payment.acknowledged.push({ cents, atMs: nowMs, process });
    payment.owed = true;
  }

  /** The power was lost, with what had not been waited for: of payments, where `202` does not wait. */
  losePower(mayForget: boolean): void {
    this.losses += 1;
    for (const payment of this.payments.values()) {
      const row = this.memory.payments.get(payment.id);
      if (mayForget && row === undefined) {
        this.forgotten += 1;
        payment.forget();
        continue;
      }
      // It came again after a restore, and was refused.
      if (row === undefined && payment.mustAsk && !payment.owed) payment.isLost = true;
      if (row?.state !== SETTLED) {
        payment.isBooked = false;
        payment.shownSettled = undefined;
      }
      payment.tries = 0;
      payment.intendedBy = undefined;
      payment.isInstantLost = true;
    }
  }

  /**
   * The store is an older copy of itself from now on. What it does not have is lost until its client sends it
   * again; whatever it says of the rest, nothing leaves that both processors were not asked for.
   */
  restored(): void {
    this.losses += 1;
    this.#generation = this.memory.generation;
    for (const payment of this.payments.values()) payment.restoredTo(this.memory.payments.get(payment.id));
  }

  /**
   * The store went back under its users. What it has as it was before is nobody's loss; of the rest nothing
   * leaves that both processors were not asked for.
   */
  wentBack(before: MemoryState['payments']): void {
    this.losses += 1;
    this.#wentBackAtMs = this.#parts.eventLoop.nowMs;
    for (const payment of this.payments.values())
      payment.wentBack(before.get(payment.id), this.memory, this.#wentBackAtMs);
  }

  /** A request leaves for a processor. */
  leaves(process: Process, to: ProcessorIndex, request: PaymentRequest): Attempt {
    const { correlationId, cents, requestedAtMs } = request;
    const payment = this.payments.get(correlationId);
    if (payment === undefined) {
      this.fail(correlationId, 'left for a processor, though no client ever sent it');
      return this.leaves(process, to, { ...request, correlationId: this.sent(correlationId, cents).id });
    }
    // Whoever had joined before still knows what became of it, until the store says that it does not.
    const isKnown = process.joiningAtMs < payment.restoredAtMs;
    if (payment.mustAsk && payment.absentAt.size < 2 && !isKnown) this.fail(correlationId, NOT_ASKED);
    if (isKnown) payment.absentAt.clear();
    else payment.asked();
    const { last } = payment;
    const attempt: Attempt = { payment, to, requestedAtMs, process, refusedAtMs: -1 };
    if (!payment.forgotten && !isKnown) {
      if (!payment.isInstantLost) this.#checkStored(attempt);
      if (!payment.amounts.has(cents)) this.fail(correlationId, `left with ${cents} cents`);
      const same = last?.to === to && (last.requestedAtMs === requestedAtMs || payment.isInstantLost);
      payment.isInstantLost &&= !this.#isIntent(attempt);
      if (last !== undefined && same) this.#checkAgain(attempt, last);
      else this.#checkAnew(attempt);
    }
    payment.open += 1;
    payment.last = attempt;
    if (to === DEFAULT) this.#usesOfDefault.count(process, 1);
    return attempt;
  }

  /** What a worker learns of an attempt. */
  ended(attempt: Attempt, ending: AttemptResult): void {
    if (attempt.to === DEFAULT) this.#usesOfDefault.count(attempt.process, -1);
    if (classify(ending).verdict !== 'not processed') return;
    attempt.payment.open -= 1;
    attempt.refusedAtMs = this.#parts.eventLoop.nowMs;
  }

  /** The store has a payment from now on. */
  stored(id: string): void {
    const payment = this.payments.get(id);
    if (payment === undefined) return;
    payment.isLost = false;
    payment.restoredAtMs = -1; // whoever takes it anew knows nothing of what became of it
    if (payment.generation < this.memory.generation)
      this.fail(id, 'was stored after a purge, though no session after it had read of it');
  }

  /** The store has an intent that `owner` formed. */
  intended(id: string, owner: string): void {
    const payment = this.payments.get(id);
    if (payment !== undefined) payment.intentOf = owner;
  }

  /** The store booked a settlement. */
  booked(row: StoredPayment): void {
    const id = idText(row.id);
    const entry = this.#parts.addresses.entry(row.processor!, id);
    const name = PROCESSORS[row.processor!];
    const payment = this.payments.get(id);
    if (payment?.isBooked) this.fail(id, 'is booked twice');
    if (payment !== undefined) payment.isBooked = true;
    if (entry === undefined) this.fail(id, `booked as settled by ${name}, which does not have it`);
    else if (entry.requestedAtMs !== row.requestedAtMs) {
      this.fail(id, `booked as of ${row.requestedAtMs}, in the book of ${name} as of ${entry.requestedAtMs}`);
    } else if (entry.cents !== row.cents && !payment?.forgotten) {
      this.fail(id, `booked with ${row.cents} cents, in the book of ${name} with ${entry.cents}`);
    }
  }

  /** An instance showed a payment. */
  shown(payment: TrackedPayment, view: PaymentView | undefined, process: Process, askedAtMs: number): void {
    if (view === undefined) {
      const first = payment.acknowledged[0];
      const isKnown = first !== undefined && askedAtMs >= first.atMs && payment.owed && !payment.forgotten;
      if (isKnown) this.fail(payment.id, `${processLabel(process)} does not know it`);
      return;
    }
    const before = payment.shownSettled;
    if (before !== undefined) {
      // An answer that was long on its way may be older than one that overtook it.
      if (askedAtMs < payment.shownSettledAtMs) return;
      const same = view.status === 'settled' && view.processor === before.processor;
      if (!same || view.requestedAtMs !== before.requestedAtMs) {
        this.fail(payment.id, `was shown as settled, is shown as ${view.status} by ${view.processor}`);
      }
    } else if (view.status === 'settled' && !payment.forgotten) {
      payment.shownSettled = view;
      payment.shownSettledAtMs = this.#parts.eventLoop.nowMs;
    }
  }

  /** Called after every event: looks at what is new. */
  step(): void {
    for (const which of [DEFAULT, FALLBACK] as const) {
      for (const { book } of this.#parts.addresses.all[which]) {
        const seen = this.#rows.get(book) ?? 0;
        for (let row = seen; row < book.size; row++) this.#recorded(which, book.entry(row));
        if (seen < book.size) this.#rows.set(book, book.size);
      }
    }
    if (this.memory.generation !== this.#generation) this.#purged();
    if (this.memory.term !== this.#term) this.#newTerm();
    if (this.memory.bySeq.size !== this.memory.payments.size) {
      this.fail(undefined, 'the store holds one correlationId twice');
    }
  }

  /** Everything has healed and is quiet: nothing may be open any more. */
  atRest(): void {
    for (const payment of this.payments.values()) {
      if (payment.owed) this.#checkSettled(payment);
    }
    for (const row of this.memory.payments.values()) {
      if (row.state < SETTLED && !this.isHeldForGood(row))
        this.fail(idText(row.id), 'is still unsettled in the store');
    }
    for (const payment of this.payments.values()) {
      if (payment.recordedBy === undefined || payment.forgotten || payment.isLost) continue;
      const row = this.memory.payments.get(payment.id);
      if (row?.processor === payment.recordedBy || (row && this.isHeldForGood(row))) continue;
      this.fail(payment.id, `recorded by ${PROCESSORS[payment.recordedBy]}, not in the summary there`);
    }
  }

  /** See `staysHeld`. */
  isHeldForGood(row: StoredPayment): boolean {
    const { eventLoop, anyWallTurned, addresses } = this.#parts;
    const recorded = row.held === HELD_AMOUNT ? addresses.amounts(idText(row.id)) : [];
    return staysHeld(row, recorded, anyWallTurned(), WALL_START_MS + eventLoop.nowMs);
  }

  #checkSettled(payment: TrackedPayment): void {
    const row = this.memory.payments.get(payment.id);
    if (row === undefined) this.fail(payment.id, 'was accepted, and is lost');
    else if (!payment.amounts.has(row.cents)) {
      this.fail(payment.id, `is settled with ${row.cents} cents, which nobody sent`);
    }
  }

  /** Nothing may leave that a crash would forget. */
  #checkStored(attempt: Attempt): void {
    const { payment, to, requestedAtMs } = attempt;
    const row = this.memory.payments.get(payment.id);
    if (row === undefined) this.fail(payment.id, 'left without being in the store');
    else if (row.state === WAITING) this.fail(payment.id, 'left before the store had its intent');
    else if (row.state !== SETTLED && !this.#isIntent(attempt)) {
      this.fail(payment.id, `left for ${PROCESSORS[to]} as of ${requestedAtMs}, which is not its intent`);
    }
  }

  #isIntent({ payment, to, requestedAtMs }: Attempt): boolean {
    const row = this.memory.payments.get(payment.id);
    return row?.state !== WAITING && row?.processor === to && row.requestedAtMs === requestedAtMs;
  }

  /** The same processor and the same instant once more. */
  #checkAgain({ payment, process }: Attempt, last: Attempt): void {
    const certain = payment.open === 0 && last.refusedAtMs >= 0 && payment.intendedBy === process;
    // An instant may come twice if the wall clock was turned back, or if a refusal took less than a
    // millisecond.
    const { turnedAtMs } = this.#parts.wallOf(process.name);
    if (certain && !process.rejoined && turnedAtMs < last.refusedAtMs && this.#isStale(last)) {
      this.fail(payment.id, 'left again with the requestedAt of an attempt that was refused for certain');
    }
  }

  #isStale(last: Attempt): boolean {
    const { offsetMs } = this.#parts.wallOf(last.process.name);
    return last.requestedAtMs < Math.floor(WALL_START_MS + last.refusedAtMs + offsetMs);
  }

  /** Another processor, or another instant, or the first attempt. */
  #checkAnew({ payment, to, requestedAtMs, process }: Attempt): void {
    const { last } = payment;
    if (payment.open > 0) {
      const before = `${PROCESSORS[last!.to]} as of ${last!.requestedAtMs}`;
      this.fail(payment.id, `left for ${PROCESSORS[to]} as of ${requestedAtMs}; ${before} is unknown`);
    }
    const wall = this.#parts.wallOf(process.name);
    const startedWallMs = WALL_START_MS + process.startedMs + wall.offsetMs;
    const isOwn =
      payment.intentOf === process.name &&
      wall.turnedAtMs < process.startedMs &&
      requestedAtMs >= startedWallMs;
    // An earlier process may have stored this intent, and died before it left.
    payment.intendedBy = isOwn ? process : undefined;
    const { policy, eventLoop, attemptTimeoutMs } = this.#parts;
    if (to === DEFAULT) {
      payment.tries += 1;
      if (payment.tries > policy.defaultAttempts) {
        this.fail(payment.id, `attempt ${payment.tries} on default, without one on fallback between`);
      }
      return;
    }
    payment.tries = 0;
    // The store counts attempts that were written and never left, too. What is pinned there has no choice.
    const { tries, state } = this.memory.payments.get(payment.id) ?? { tries: 0, state: WAITING };
    // An instance that takes it over counts in whole milliseconds of the wall clock.
    const waitedMs = eventLoop.nowMs - payment.firstSentAtMs + 2;
    const turned = this.#parts.anyWallTurned();
    const isIdle = this.#usesOfDefault.isIdle(process, attemptTimeoutMs);
    const isInTime = waitedMs < policy.fallbackAfterMs && isIdle;
    if (tries < policy.defaultAttempts && isInTime && !turned && state !== PINNED) {
      this.fail(payment.id, `on fallback after ${tries} attempts on default and ${waitedMs} ms`);
    }
  }

  #recorded(which: ProcessorIndex, entry: { correlationId: string; cents: number }): void {
    const payment = this.payments.get(entry.correlationId);
    this.#parts.say(entry.correlationId, PROCESSORS[which], () => `records ${entry.cents} cents`);
    if (payment === undefined) {
      this.fail(entry.correlationId, 'was recorded, though no client ever sent it');
      return;
    }
    if (payment.recordedBy !== undefined && !payment.forgotten) {
      this.fail(
        payment.id,
        `is settled twice: by ${PROCESSORS[payment.recordedBy]} and ${PROCESSORS[which]}`,
      );
    }
    payment.recordedBy = which;
    if (!payment.amounts.has(entry.cents)) this.fail(payment.id, `was recorded with ${entry.cents} cents`);
  }

  /** What waited is pinned, to where its last attempt went, however that ended. */
  #newTerm(): void {
    this.#term = this.memory.term;
    for (const payment of this.payments.values()) payment.intendedBy = undefined;
  }

  #purged(): void {
    this.#generation = this.memory.generation;
    this.isPurged = true;
    this.#parts.say(undefined, 'store', () => `purged, generation ${this.#generation}`);
    for (const payment of this.payments.values()) payment.forget();
  }
}
