/**
 * When an attempt may leave. Every limit is asked here, and nowhere else:
 *
 *     circuit   is the processor worth an attempt?                           processors/circuit-breaker
 *     limit     how many attempts may it have at work at once?               processors/adaptive-limit
 *     rate      how fast may a backlog drain while payments come in?         drain-rate
 *     steps     which attempts start together?                               start-steps
 *     outlook   how many may wait for default, and have their turn in time?  outlook
 *     aside     how much may be spent on payments that are refused as they are? domain/suspicion
 *     turn      how long may starting and sending hold up one turn of the event loop?
 *
 * Rate and turn say the same on two scales: accepting goes first.
 *
 * Pure: time comes in as monotonic milliseconds.
 */
import assert from 'node:assert/strict';
import type { Judgement } from '../domain/outcome.ts';
import { DEFAULT, FALLBACK, type ProcessorIndex } from '../domain/payment.ts';
import type { Permits } from '../domain/settlement.ts';
import { AdaptiveLimit } from '../processors/adaptive-limit.ts';
import type { CircuitBreaker } from '../processors/circuit-breaker.ts';
import { DrainRate } from './drain-rate.ts';
import { Outlook } from './outlook.ts';
import { StartSteps } from './start-steps.ts';

/**
 * The time that starting and sending attempts may take in one turn, at least one attempt: the intents of a
 * page are stored together, and a payment that is read meanwhile waits until all of them have left. Starting
 * takes some 5 us, sending 30.
 */
export const TURN_BUDGET_MS = 0.25;

/**
 * Attempts a second that payments put aside may always take; they are more while more are accepted, and
 * without a bound while none are.
 */
const ASIDE_RATE_MIN = 20;
/** And for each payment accepted a second. */
const ASIDE_TIMES_ACCEPTED = 0.5;
/** What they leave free of a processor's places for the others: a quarter. */
const ASIDE_SHARE = 0.75;
/** And how many of them are at work at once. */
export const asideAtWorkMax = 16;

/** What an attempt shows of its processor besides its judgement. */
export interface AttemptShown {
  readonly durationMs: number;
  readonly restMs: number;
  readonly isProbe: boolean;
  /** Of a payment that was put aside: that it fails says nothing of the processor. */
  readonly isAside?: boolean;
}

export class DispatchGate {
  readonly #breakers: readonly [CircuitBreaker, CircuitBreaker];
  readonly #limits: readonly [AdaptiveLimit, AdaptiveLimit];
  readonly #rate = new DrainRate();
  readonly #asideRate = new DrainRate(ASIDE_RATE_MIN, ASIDE_TIMES_ACCEPTED);
  readonly #outlook: Outlook;
  readonly #atWork: [number, number] = [0, 0];
  readonly #permits = { default: false, fallback: false, defaultWorks: false, fallbackHasRoom: false };
  readonly #asidePermits = { ...this.#permits };
  #asideAtWork = 0;
  /** When the attempt left that was settled last, of those that left latest; by processor. */
  readonly #settledStartMs: [number, number] = [-Infinity, -Infinity];
  #isAsideHeldBack = false;
  #turnEndsMs = -Infinity;
  /** The rate alone kept the last attempt back. */
  #isHeldBack = false;
  readonly #steps: StartSteps | undefined;
  /** The last attempt waits for the next step. */
  #isGathering = false;

  /**
   * `concurrency`: attempts at work at once on each processor, so that one that hangs takes no place from the
   * other. `fallbackAfterMs`: as in `Policy`. `inSteps`: attempts start together (`StartSteps`).
   */
  constructor(
    concurrency: number,
    breakers: readonly [CircuitBreaker, CircuitBreaker],
    fallbackAfterMs: number,
    inSteps = false,
  ) {
    assert(concurrency >= 1);
    this.#breakers = breakers;
    this.#steps = inSteps ? new StartSteps() : undefined;
    this.#outlook = new Outlook(fallbackAfterMs);
    this.#limits = [new AdaptiveLimit(concurrency), new AdaptiveLimit(concurrency)];
  }

  /** Attempts at work, on both processors. */
  get atWork(): number {
    return this.#atWork[DEFAULT] + this.#atWork[FALLBACK];
  }

  /** A payment was accepted: a backlog may drain at a multiple of that rate. */
  accepted(nowMs: number): void {
    this.#rate.accepted(nowMs);
    this.#asideRate.accepted(nowMs);
    this.#outlook.accepted(nowMs);
  }

  /** A turn of the event loop begins. */
  beginTurn(nowMs: number): void {
    this.#turnEndsMs = nowMs + TURN_BUDGET_MS;
    this.#isHeldBack = false;
    this.#isGathering = false;
    this.#isAsideHeldBack = false;
  }

  /** Whether this turn has time left for starting or sending one more attempt. */
  hasTime(nowMs: number): boolean {
    return nowMs < this.#turnEndsMs;
  }

  /** Whether steps and rate let one more attempt start, wherever it goes; if so, it is counted as started. */
  mayStart(nowMs: number): boolean {
    this.#isGathering = this.#steps?.isOpen(nowMs) === false;
    if (this.#isGathering) return false;
    this.#isHeldBack = !this.#rate.take(nowMs, this.#steps?.stepMs);
    if (this.#isHeldBack) this.#steps?.heldBack();
    else this.#steps?.started(nowMs);
    return !this.#isHeldBack;
  }

  /** Of what waits, nothing may start: there is no place for it, or nothing waits. */
  foundNone(isEmpty: boolean): void {
    if (isEmpty) this.#steps?.ranEmpty();
    else this.#steps?.foundNoPlace();
  }

  /**
   * What may leave now, while something waits to. The object is the same each time: it holds until the next
   * call.
   */
  permits(nowMs: number): Permits {
    const breakers = this.#breakers;
    const defaultHasRoom = this.#hasRoom(DEFAULT);
    const fallbackHasRoom = this.#hasRoom(FALLBACK);
    this.#permits.default = defaultHasRoom && breakers[DEFAULT].allows(nowMs);
    this.#permits.fallback = fallbackHasRoom && breakers[FALLBACK].allows(nowMs);
    this.#permits.defaultWorks = breakers[DEFAULT].circuit === 'closed';
    this.#permits.fallbackHasRoom = fallbackHasRoom;
    return this.#permits;
  }

  /** Whether one more payment that was put aside may start; if so, it is counted as started. */
  mayStartAside(nowMs: number): boolean {
    if (this.#asideAtWork >= asideAtWorkMax) return false;
    this.#isAsideHeldBack = !this.#asideRate.take(nowMs);
    return !this.#isAsideHeldBack;
  }

  /** As `permits`, for payments that were put aside: they are no probes, and one of them always has room. */
  asidePermits(nowMs: number): Permits {
    const breakers = this.#breakers;
    const hasRoom = (at: ProcessorIndex): boolean =>
      this.#asideAtWork === 0 || this.#atWork[at] < this.#limits[at].value * ASIDE_SHARE;
    const fallbackHasRoom = hasRoom(FALLBACK);
    this.#asidePermits.default = hasRoom(DEFAULT) && breakers[DEFAULT].allowsAside(nowMs);
    this.#asidePermits.fallback = fallbackHasRoom && breakers[FALLBACK].allowsAside(nowMs);
    this.#asidePermits.defaultWorks = breakers[DEFAULT].circuit === 'closed';
    this.#asidePermits.fallbackHasRoom = fallbackHasRoom;
    return this.#asidePermits;
  }

  /** Whether an attempt that left after `sinceMs` was settled by this processor. */
  hasSettledSince(to: ProcessorIndex, sinceMs: number): boolean {
    return this.#settledStartMs[to] > sinceMs;
  }

  /** How many payments may wait for default and still have their turn in time; Infinity: as many as do. */
  turnsInTime(nowMs: number): number {
    const isFull = this.#breakers[DEFAULT].circuit === 'closed' && !this.#hasRoom(DEFAULT);
    return isFull ? this.#outlook.turnsInTime(this.#atWork[DEFAULT], this.#rate.perMs, nowMs) : Infinity;
  }

  /** Whether there is a place for a look-up at both processors at once, whatever their circuits say. */
  get mayAsk(): boolean {
    return this.#hasRoom(DEFAULT) && this.#hasRoom(FALLBACK);
  }

  /** When waiting payments are worth another look, in monotonic ms; Infinity: an event has to come first. */
  nextAtMs(nowMs: number): number {
    let nextMs = Infinity;
    if (this.#isGathering || this.#isHeldBack) {
      const byRate = this.#isHeldBack ? this.#rate.nextAtMs : -Infinity;
      nextMs = Math.max(byRate, this.#steps?.nextAtMs(nowMs) ?? -Infinity);
    }
    if (this.#isAsideHeldBack) nextMs = Math.min(nextMs, this.#asideRate.nextAtMs);
    for (const { askAgainAtMs } of this.#breakers) {
      if (askAgainAtMs > nowMs) nextMs = Math.min(nextMs, askAgainAtMs);
    }
    return nextMs;
  }

  /** An attempt takes its place. True: it is the probe of a half-open circuit. */
  took(to: ProcessorIndex): boolean {
    this.tookLookUp(to);
    return this.#breakers[to].start();
  }

  /** An attempt on a payment that was put aside takes its place; it is no probe. */
  tookAside(to: ProcessorIndex): void {
    this.tookLookUp(to);
    this.#asideAtWork += 1;
  }

  /** As `left`, of one that `tookAside`. */
  leftAside(to: ProcessorIndex): void {
    this.left(to);
    this.#asideAtWork -= 1;
    assert(this.#asideAtWork >= 0);
  }

  /** A look-up takes a place: it loads the processor as an attempt does, and proves nothing of it. */
  tookLookUp(to: ProcessorIndex): void {
    this.#atWork[to] += 1;
  }

  /** The place of an attempt or a look-up is free again. */
  left(to: ProcessorIndex): void {
    this.#atWork[to] -= 1;
    assert(this.#atWork[to] >= 0, 'an attempt gave back a place that it did not have');
  }

  /** An attempt that took a place was never sent. */
  abandoned(to: ProcessorIndex, isProbe: boolean): void {
    this.left(to);
    this.#breakers[to].abandoned(isProbe);
  }

  /**
   * What the end of an attempt, which still has its place, shows of the processor. `restMs`: it asked to be
   * left alone for so long; 0: it did not.
   */
  learn(
    to: ProcessorIndex,
    { outcome, verdict, processor: sign }: Judgement,
    { durationMs, restMs, isProbe, isAside = false }: AttemptShown,
    nowMs: number,
  ): void {
    const isAnswered = outcome === 'processed';
    if (isAnswered) this.#settledStartMs[to] = Math.max(this.#settledStartMs[to], nowMs - durationMs);
    if (isAnswered) this.#limits[to].answered(durationMs, nowMs);
    if (isAnswered && to === DEFAULT) {
      this.#outlook.answered(durationMs);
      this.#steps?.answered(durationMs);
    }
    if (outcome === 'overloaded' || outcome === 'unavailable') this.#limits[to].refused(durationMs, nowMs);
    const breaker = this.#breakers[to];
    if (verdict === 'processed') breaker.succeeded();
    else if (sign === 'fails' && !isAside) breaker.failed(nowMs, isProbe);
    // A refusal shows that it works, but no payment has gone through: the next one may be the probe.
    else breaker.abandoned(isProbe);
    if (restMs > 0) breaker.rests(nowMs, restMs);
  }

  #hasRoom(at: ProcessorIndex): boolean {
    const limit = this.#limits[at];
    if (this.#atWork[at] < limit.value) return true;
    limit.inTheWay();
    return false;
  }

  /**
   * No end of an attempt is noticed any more. A probe among them would leave its circuit half-open for ever.
   */
  close(): void {
    for (const breaker of this.#breakers) breaker.abandoned(true);
  }
}
