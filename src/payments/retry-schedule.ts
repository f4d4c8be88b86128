/** The payments whose last attempt failed: each waits a while of its own before it is tried again. */
import assert from 'node:assert/strict';
import { Heap } from 'mnemonist';
import type { Clock } from '../domain/clock.ts';
import { PINNED, WAITING } from '../domain/payment.ts';
import { type Policy, pauseMs } from '../domain/settlement.ts';
import { NONE, type PaymentPool } from './payment-pool.ts';

/** More than this in a row make no pause longer. */
const FAILURES_MAX = 1000;

export class RetrySchedule {
  readonly #pool: PaymentPool;
  readonly #clock: Clock;
  readonly #chance: () => number;
  readonly #policy: Policy;
  /** In monotonic ms, by slot. */
  readonly #overAtMs: Float64Array;
  readonly #slots: Heap<number>;

  /** `chance`: 0 to 1. */
  constructor(pool: PaymentPool, clock: Clock, chance: () => number, policy: Policy) {
    this.#pool = pool;
    this.#clock = clock;
    this.#chance = chance;
    this.#policy = policy;
    const overAtMs = new Float64Array(pool.capacity);
    this.#overAtMs = overAtMs;
    this.#slots = new Heap<number>((one, other) => overAtMs[one]! - overAtMs[other]!);
  }

  /** One more attempt failed: the payment pauses, the longer the more have failed in a row. */
  begin(slot: number, atLeastMs: number): void {
    const { failures, state } = this.#pool;
    assert(
      state[slot] === WAITING || state[slot] === PINNED,
      'only what failed or is unknown is tried again',
    );
    failures[slot] = Math.min(failures[slot]! + 1, FAILURES_MAX);
    const delayMs = Math.max(atLeastMs, pauseMs(failures[slot]!, this.#chance(), this.#policy));
    this.#overAtMs[slot] = this.#clock.monotonicMs() + delayMs;
    this.#slots.push(slot);
  }

  /** A payment whose pause is over, taken out; NONE: there is none. */
  takeDue(nowMs: number): number {
    return this.nextAtMs <= nowMs ? this.#slots.pop()! : NONE;
  }

  /** When the next pause is over, in monotonic ms; Infinity: nothing pauses. */
  get nextAtMs(): number {
    return this.#slots.size > 0 ? this.#overAtMs[this.#slots.peek()!]! : Infinity;
  }
}
