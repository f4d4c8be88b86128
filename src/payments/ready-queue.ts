/**
 * Which payment is next: those that wait for a processor, by what they may still do.
 *
 *   uncertain   both processors are asked for it before it may be anything else
 *   pinned[p]   outcome unknown: only processor p will do
 *   exhausted   their attempts on default are used up: fallback is next
 *   tried       failed before in this session, oldest acceptance first
 *   fresh       never sent, in order of acceptance
 *
 * `tried` is a heap because a payment that failed comes back behind younger ones, and what counts for the
 * deadline is how long it has waited since its acceptance.
 */
import assert from 'node:assert/strict';
import { FixedDeque, Heap } from 'mnemonist';
import { PINNED, type ProcessorIndex, type State, WAITING } from '../domain/payment.ts';
import { destination, type Permits, type Policy } from '../domain/settlement.ts';
import { NONE, type PaymentPool, RETIRED } from './payment-pool.ts';

export class ReadyQueue {
  readonly #pool: PaymentPool;
  readonly #policy: Policy;
  readonly #uncertain: FixedDeque<number>;
  readonly #pinned: readonly [FixedDeque<number>, FixedDeque<number>];
  readonly #exhausted: FixedDeque<number>;
  readonly #tried: Heap<number>;
  readonly #fresh: FixedDeque<number>;
  readonly #progress = { state: WAITING as State, processor: 0 as ProcessorIndex, tries: 0 };

  constructor(pool: PaymentPool, policy: Policy) {
    this.#pool = pool;
    this.#policy = policy;
    const ring = () => new FixedDeque<number>(Int32Array, pool.capacity);
    this.#uncertain = ring();
    this.#pinned = [ring(), ring()];
    this.#exhausted = ring();
    this.#fresh = ring();
    const accepted = pool.acceptedMonotonicMs;
    this.#tried = new Heap<number>((one, other) => accepted[one]! - accepted[other]!);
  }

  /** Payments that were never sent. */
  get fresh(): number {
    return this.#fresh.size;
  }

  /** Payments that would rather go to default, and may. */
  get waitingForDefault(): number {
    return this.#fresh.size + this.#tried.size;
  }

  get size(): number {
    const others = this.#exhausted.size + this.#pinned[0].size + this.#pinned[1].size + this.#uncertain.size;
    return this.waitingForDefault + others;
  }

  /** Puts a payment where it belongs. `adopted`: it may be older than those that wait. */
  enter(slot: number, adopted = false): void {
    const pool = this.#pool;
    assert(pool.state[slot] === WAITING || pool.state[slot] === PINNED, 'nothing is left to send');
    if (pool.uncertain[slot] === 1) this.#uncertain.push(slot);
    else if (pool.state[slot] === PINNED) this.#pinned[pool.processorOf(slot)].push(slot);
    else if (pool.tries[slot]! >= this.#policy.defaultAttempts) this.#exhausted.push(slot);
    else if (adopted || pool.attempts[slot]! > 0) this.#tried.push(slot);
    else this.#fresh.push(slot);
  }

  /**
   * The next payment that may leave now, taken out, with where it goes in `to`; NONE if none may.
   */
  next(nowMs: number, permits: Permits): number {
    return (
      this.#takeFirst(this.#pinned[0], nowMs, permits) ??
      this.#takeFirst(this.#pinned[1], nowMs, permits) ??
      this.#takeFirst(this.#exhausted, nowMs, permits) ??
      this.#takeOldest(nowMs, permits) ??
      NONE
    );
  }

  /**
   * The payment that came in last of those never sent, taken out to go to fallback, which has room; NONE if
   * it may not. For when `next` has none and too many wait for default: the oldest keep their place there.
   */
  youngest(nowMs: number, permits: Permits): number {
    const slot = this.#last();
    if (slot === undefined || !this.#mayLeave(slot, nowMs, permits, Infinity)) return NONE;
    this.#fresh.pop();
    return slot;
  }

  /** The next uncertain payment that the store has, taken out; NONE if there is none. */
  nextUncertain(): number {
    const slot = this.#first(this.#uncertain);
    return slot === undefined || this.#pool.seq[slot] === 0 ? NONE : this.#uncertain.shift()!;
  }

  /** Uncertain payments that wait to be asked for. */
  get uncertain(): number {
    return this.#uncertain.size;
  }

  /** Where the payment that `next` or `youngest` returned goes. */
  to: ProcessorIndex = 0;

  /**
   * When the payment that has waited longest may take its fallback attempt, in monotonic ms; Infinity: none
   * waits.
   */
  get deadlineMs(): number {
    const accepted = this.#pool.acceptedMonotonicMs;
    const [fresh, tried] = [this.#first(this.#fresh), this.#oldestTried()];
    const waitsSinceMs = Math.min(
      fresh === undefined ? Infinity : accepted[fresh]!,
      tried === undefined ? Infinity : accepted[tried]!,
    );
    return waitsSinceMs + this.#policy.fallbackAfterMs;
  }

  #takeFirst(lane: FixedDeque<number>, nowMs: number, permits: Permits): number | undefined {
    const slot = this.#first(lane);
    if (slot === undefined || !this.#mayLeave(slot, nowMs, permits)) return undefined;
    return lane.shift();
  }

  #takeOldest(nowMs: number, permits: Permits): number | undefined {
    const tried = this.#oldestTried();
    const fresh = this.#first(this.#fresh);
    // A probe of a doubtful default spends an attempt: those that spent none yet go first, and of those the
    // one that is least like what failed before: were all old ones refused as they are, no probe would
    // succeed.
    const isProbing = permits.default && !permits.defaultWorks;
    if (isProbing && fresh !== undefined) return this.#takeLast(nowMs, permits);
    if (tried === undefined) return this.#takeFirst(this.#fresh, nowMs, permits);
    const accepted = this.#pool.acceptedMonotonicMs;
    if (fresh !== undefined && accepted[fresh]! <= accepted[tried]!)
      return this.#takeFirst(this.#fresh, nowMs, permits);
    if (!this.#mayLeave(tried, nowMs, permits)) return undefined;
    return this.#tried.pop();
  }

  /** The first of a lane, once those that retired in front of it are freed. */
  #first(lane: FixedDeque<number>): number | undefined {
    for (;;) {
      const slot = lane.peekFirst();
      if (slot === undefined || this.#pool.state[slot] !== RETIRED) return slot;
      lane.shift();
      this.#pool.free(slot);
    }
  }

  #takeLast(nowMs: number, permits: Permits): number | undefined {
    const slot = this.#last();
    if (slot === undefined || !this.#mayLeave(slot, nowMs, permits)) return undefined;
    this.#fresh.pop();
    return slot;
  }

  #last(): number | undefined {
    for (;;) {
      const slot = this.#fresh.peekLast();
      if (slot === undefined || this.#pool.state[slot] !== RETIRED) return slot;
      this.#fresh.pop();
      this.#pool.free(slot);
    }
  }

  #oldestTried(): number | undefined {
    for (;;) {
      const slot = this.#tried.peek();
      if (slot === undefined || this.#pool.state[slot] !== RETIRED) return slot;
      this.#tried.pop();
      this.#pool.free(slot);
    }
  }

  #mayLeave(slot: number, nowMs: number, permits: Permits, untilTurnMs = 0): boolean {
    const pool = this.#pool;
    if (pool.storing[slot] === 1) return false;
    // Taken in as one that a processor has: the store has to know that first.
    if (pool.state[slot] === PINNED && pool.seq[slot] === 0) return false;
    const progress = this.#progress;
    progress.state = pool.stateOf(slot);
    progress.processor = pool.processorOf(slot);
    progress.tries = pool.tries[slot]!;
    const waitedMs = nowMs - pool.acceptedMonotonicMs[slot]!;
    const to = destination(progress, waitedMs + untilTurnMs, permits, this.#policy);
    if (to === undefined) return false;
    this.to = to;
    return true;
  }
}
