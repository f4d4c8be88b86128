/** What a loss of power may not take, whatever a `202` waits for. */
import { OTHER_FAULTS, POST_FAULTS } from '../processor-simulator/faults.ts';
import type { EventLoop } from './event-loop.ts';
import type { Invariants } from './invariants.ts';
import type { Kind, WorldPlan } from './plan.ts';

/** The indexer has the disk take the log once a second, and that takes some ms. */
const KEPT_WITHIN_MS = 1100;

/** Faults that keep nobody from that. */
const HARMLESS: ReadonlySet<Kind> = new Set<Kind>([
  ...POST_FAULTS,
  ...OTHER_FAULTS,
  ...(['powerLoss', 'wallBack', 'wallForth', 'queueFull', 'healthAsked'] as const),
  ...(['requestLost', 'requestTwice', 'responseLost', 'messageLate', 'refused'] as const),
  ...(['processorFails', 'processorAway', 'processorSlow'] as const),
  ...(['sameIdAtOnce', 'sameIdLater', 'otherAmount'] as const),
]);

export interface KeptOnDiskParts {
  readonly eventLoop: EventLoop;
  readonly plan: WorldPlan;
  readonly invariants: Invariants;
}

export class KeptOnDisk {
  readonly #parts: KeptOnDiskParts;
  readonly #isKeptInTime: boolean;
  /** The generation that the last purge has made whose client was answered. */
  #purgedTo = 0;

  constructor(parts: KeptOnDiskParts) {
    const { rates } = parts.plan;
    this.#parts = parts;
    this.#isKeptInTime = Object.entries(rates).every(
      ([kind, rate]) => rate === 0 || HARMLESS.has(kind as Kind),
    );
  }

  /** A client was answered that all is purged: the generation is at least this one. */
  purged(generation: number): void {
    this.#purgedTo = Math.max(this.#purgedTo, generation);
  }

  /** The store is another one, or damaged: what the one before had promised is void. */
  replaced(): void {
    this.#purgedTo = 0;
  }

  /** The disk has lost what it was not given for certain; the log was read again. */
  lostUnsynced(): void {
    const { eventLoop, invariants } = this.#parts;
    const { memory } = invariants;
    if (memory.generation < this.#purgedTo)
      invariants.fail(undefined, 'a purge was answered, and a loss of power took it back');
    if (!this.#isKeptInTime) return;
    for (const { id, owed, acknowledged } of invariants.payments.values()) {
      const sinceMs = eventLoop.nowMs - (acknowledged[0]?.atMs ?? Infinity);
      if (owed && sinceMs > KEPT_WITHIN_MS && !memory.payments.has(id))
        invariants.fail(id, `was accepted ${Math.round(sinceMs)} ms before the power went, and is lost`);
    }
  }
}
