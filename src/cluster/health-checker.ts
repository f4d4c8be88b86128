/**
 * Asks both processors' `service-health`, for all instances, within the processors' limit of one call in each
 * window of 5 s: from one instance only, one call at a time, each `HEALTH_MS` after the one before was
 * answered.
 */
import type { Clock, Timer } from '../domain/clock.ts';
import { PROCESSORS, type ProcessorIndex } from '../domain/payment.ts';
import type { Processors } from '../processors/port.ts';
import type { Store } from '../storage/ports.ts';

/** A little more than the processors' window. */
export const HEALTH_MS = 5050;

export class HealthChecker {
  readonly #store: Store;
  readonly #processors: Processors;
  readonly #clock: Clock;
  readonly #timers: (Timer | undefined)[] = [];
  /** Rises with each start and stop, so that an answer to an earlier spell starts nothing. */
  #spell = 0;

  constructor(store: Store, processors: Processors, clock: Clock) {
    this.#store = store;
    this.#processors = processors;
    this.#clock = clock;
  }

  start(): void {
    this.stop();
    for (const index of PROCESSORS.keys()) this.#ask(index as ProcessorIndex, this.#spell);
  }

  stop(): void {
    this.#spell += 1;
    for (const timer of this.#timers) timer?.cancel();
  }

  #ask(processor: ProcessorIndex, spell: number): void {
    this.#processors.health(processor, health => {
      if (spell !== this.#spell) return;
      if (health !== undefined) {
        this.#store.report(processor, health.failing, health.minResponseMs, () => {});
      }
      this.#timers[processor] = this.#clock.after(HEALTH_MS, () => this.#ask(processor, spell));
    });
  }
}
