/** How many attempts are at work on each processor, and whether one more may leave. */

import { DEFAULT, FALLBACK, type ProcessorIndex } from '../domain/payment.ts';
import type { Permits } from '../domain/settlement.ts';
import { AdaptiveLimit } from '../processors/adaptive-limit.ts';
import type { CircuitBreaker } from '../processors/circuit-breaker.ts';

export class InFlight {
  readonly #breakers: readonly [CircuitBreaker, CircuitBreaker];
  readonly #concurrency: number;
  readonly #atWork: [number, number] = [0, 0];
  readonly #limits: readonly [AdaptiveLimit, AdaptiveLimit];
  readonly #permits = {
    default: false,
    fallback: false,
    defaultWorks: false,
    fallbackHasRoom: false,
  };

  /** `concurrency`: attempts at work at once, on both processors. */
  constructor(concurrency: number, breakers: readonly [CircuitBreaker, CircuitBreaker]) {
    this.#breakers = breakers;
    this.#concurrency = concurrency;
    // A default that hangs must not take every place from fallback.
    const reserved = Math.floor(concurrency / 8);
    this.#limits = [new AdaptiveLimit(concurrency - reserved), new AdaptiveLimit(concurrency)];
  }

  /** Places that are taken, on both processors. */
  get taken(): number {
    return this.#atWork[0] + this.#atWork[1];
  }

  /** What may leave now. The object is the same each time: it holds until the next call. */
  permits(nowMs: number): Permits {
    const breakers = this.#breakers;
    const free = this.taken < this.#concurrency;
    const defaultFree = free && this.#atWork[DEFAULT] < this.#limits[DEFAULT].value;
    const fallbackFree = free && this.#atWork[FALLBACK] < this.#limits[FALLBACK].value;
    this.#permits.default = defaultFree && breakers[DEFAULT].allows(nowMs);
    this.#permits.fallback = fallbackFree && breakers[FALLBACK].allows(nowMs);
    this.#permits.defaultWorks = breakers[DEFAULT].circuit === 'closed';
    this.#permits.fallbackHasRoom = fallbackFree;
    return this.#permits;
  }

  take(to: ProcessorIndex): void {
    this.#atWork[to] += 1;
  }

  leave(to: ProcessorIndex): void {
    this.#atWork[to] -= 1;
  }

  /** An attempt that still has its place was processed: so the processor's limit is found. */
  processed(to: ProcessorIndex, durationMs: number, nowMs: number): void {
    this.#limits[to].answered(durationMs, this.#atWork[to], nowMs);
  }
}
