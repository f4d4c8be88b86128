/**
 * The held payments of this instance. Only the store has them: a few that are due come back at a time, each
 * for one try on each processor, and go again. So however many there are, they take no memory, no place that
 * others need, and a bounded number of attempts a second.
 */
import type { Clock } from '../domain/clock.ts';
import {
  DEFAULT,
  FALLBACK,
  idWords,
  PINNED,
  type ProcessorIndex,
  type StoredPayment,
} from '../domain/payment.ts';
import type { Policy } from '../domain/settlement.ts';
import { SUSPECTED_HELD } from '../domain/suspicion.ts';
import type { CircuitBreaker } from '../processors/circuit-breaker.ts';
import { type Store, StoreFault } from '../storage/ports.ts';
import { Departed } from './departed.ts';
import { NONE, type PaymentPool } from './payment-pool.ts';

/** Held payments that are in memory at once. */
export const heldHereMax = 16;
/** How often more are asked for while there are more that are due, and while there are none. */
const ASK_MS = 1000;
const ASK_IDLE_MS = 5000;

export interface HeldParts {
  readonly pool: PaymentPool;
  readonly store: Pick<Store, 'takeHeld'>;
  readonly clock: Clock;
  readonly policy: Policy;
  readonly breakers: readonly [CircuitBreaker, CircuitBreaker];
  /** The payment in a slot may leave, as far as it costs the others nothing. */
  readonly enter: (slot: number) => void;
  /** No processor that may have it works at present: it is held again. */
  readonly postpone: (slot: number) => void;
  readonly wake: () => void;
}

export class HeldPayments {
  readonly #parts: HeldParts;
  /** Slots with a held payment, and the version that they had then. */
  readonly #here = new Map<number, number>();
  readonly #departed = new Departed();
  #askAtMs = -Infinity;
  #closed = false;

  constructor(parts: HeldParts) {
    this.#parts = parts;
  }

  /** When to call `refill` again, in monotonic ms. */
  get nextAtMs(): number {
    return this.#departed.isAsking ? Infinity : this.#askAtMs;
  }

  /** The store may have other ones that are due. */
  adopted(): void {
    this.#askAtMs = -Infinity;
  }

  /** As of `Departed`. */
  left(seq: number): void {
    this.#departed.left(seq);
  }

  /** Brings back what is due. */
  refill(): void {
    const { store, clock, wake, pool } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (this.#departed.isAsking || this.#closed || nowMs < this.#askAtMs) return;
    for (const [slot, version] of this.#here) if (pool.version[slot] !== version) this.#here.delete(slot);
    const room = heldHereMax - this.#here.size;
    this.#askAtMs = nowMs + ASK_MS;
    if (room === 0) return;
    this.#departed.asks();
    store.takeHeld(clock.wallMs(), room, answer => {
      this.#departed.answered();
      if (this.#closed) return;
      if (!(answer instanceof StoreFault)) {
        for (const payment of answer) if (!this.#departed.has(payment.seq)) this.#restore(payment);
        if (answer.length < room) this.#askAtMs = clock.monotonicMs() + ASK_IDLE_MS;
      }
      wake();
    });
  }

  /** The store's answers are ignored from now on. */
  close(): void {
    this.#closed = true;
  }

  #restore(payment: StoredPayment): void {
    const { pool, clock, policy, enter, postpone } = this.#parts;
    if (pool.find(idWords(payment.id)) !== NONE) return;
    const slot = pool.restore(payment, clock);
    if (slot === NONE) return;
    const isDefaultUp = this.#works(DEFAULT);
    pool.suspicion[slot] = SUSPECTED_HELD;
    this.#here.set(slot, pool.version[slot]!);
    const mayLeave =
      pool.state[slot] === PINNED
        ? this.#works(pool.processorOf(slot))
        : isDefaultUp || this.#works(FALLBACK);
    if (!mayLeave && !payment.isUncertain) {
      postpone(slot);
      return;
    }
    // One try on default, unless it was made before a crash; then one on fallback.
    const isForDefault = isDefaultUp && payment.tries < policy.defaultAttempts;
    pool.tries[slot] = isForDefault ? policy.defaultAttempts - 1 : policy.defaultAttempts;
    enter(slot);
  }

  #works(processor: ProcessorIndex): boolean {
    return this.#parts.breakers[processor].circuit !== 'open';
  }
}
