/**
 * One session of this instance in the store: from joining, with an epoch of its own, until it stops or has to
 * end.
 *
 * It ends as if the process had died when the others have fenced it (they own what it stored), when a purge
 * makes a later generation, and when the store is lost. The next one begins as after a crash, with what the
 * store has.
 *
 * A session is built inert: `join` asks the store, the constructor only puts parts together, `start` begins.
 */
import assert from 'node:assert/strict';
import { HealthChecker } from '../cluster/health-checker.ts';
import { Membership } from '../cluster/membership.ts';
import type { Clock } from '../domain/clock.ts';
import { DEFAULT, FALLBACK, type ProcessorIndex } from '../domain/payment.ts';
import { CALM_MS, type Policy } from '../domain/settlement.ts';
import type { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Processors } from '../processors/port.ts';
import { type Joined, promised, type Shared, type Store, type StoreFault } from '../storage/ports.ts';
import { PaymentPool } from './payment-pool.ts';
import { Worker, type WorkerEvents } from './worker.ts';

export interface SessionParts {
  readonly store: Store;
  readonly processors: Processors;
  readonly breakers: readonly [CircuitBreaker, CircuitBreaker];
  readonly clock: Clock;
  readonly chance: () => number;
  readonly policy: Policy;
  readonly instance: string;
  readonly queueCapacity: number;
  /** Attempts at work at once on each processor. */
  readonly concurrency: number;
  /** Of `domain/settlement`. */
  readonly askAfterMs: number;
  readonly events: SessionEvents;
}

/** Why a session ended by itself. */
export type SessionEnd =
  | { readonly is: 'fenced' }
  | { readonly is: 'purged' }
  /** The store has to be opened anew. */
  | { readonly is: 'store lost'; readonly fault: StoreFault };

export interface SessionEvents
  extends Pick<WorkerEvents, 'settled' | 'attempted' | 'amountDiffers' | 'doubled' | 'faulty' | 'decided'> {
  /** Writes may have been lost, so `count` payments were pinned that may have been sent. */
  lostWrites(count: number): void;
  /** Another session has to begin. */
  ended(end: SessionEnd): void;
  died(instance: string): void;
  adopted(instance: string, count: number): void;
  checking(mine: boolean): void;
  shared(shared: Shared): void;
  figures(): string;
}

export class Session {
  readonly pool: PaymentPool;
  readonly worker: Worker;
  readonly membership: Membership;
  readonly generation: number;
  readonly #parts: SessionParts;
  readonly #checker: HealthChecker;
  readonly #reported: [number, number] = [0, 0];
  #is: 'inert' | 'live' | 'ended' = 'inert';

  /** Joins the others. Throws `Unavailable`. */
  static async join(parts: SessionParts): Promise<Session> {
    const { store, instance } = parts;
    const joined = await promised<Joined>(reply => store.join(instance, reply));
    const shared = await promised<Shared>(reply => store.look(reply));
    const unsettled = shared.instances.find(({ name }) => name === instance)?.unsettled ?? 0;
    if (joined.pinned > 0) parts.events.lostWrites(joined.pinned);
    return new Session(parts, joined, unsettled > 0);
  }

  private constructor(parts: SessionParts, joined: Joined, hasUnsettled: boolean) {
    const { store, clock, instance, events } = parts;
    const { epoch, generation } = joined;
    assert(epoch >= 1 && generation >= 1);
    this.#parts = parts;
    const isCalm = joined.isCalm && parts.askAfterMs <= CALM_MS;
    this.generation = generation;
    this.pool = new PaymentPool(parts.queueCapacity);
    this.#checker = new HealthChecker(store, parts.processors, clock);
    const purged = (later: number): void => {
      assert(later > generation, 'a purge went back to an earlier generation');
      this.#end({ is: 'purged' });
    };
    this.worker = new Worker({
      ...parts,
      pool: this.pool,
      epoch,
      generation,
      parked: hasUnsettled,
      asksFirstUntilMs: joined.asksFirstUntilMs,
      asksFromMs: clock.monotonicMs() + (isCalm ? 0 : parts.askAfterMs),
      events: {
        decided: events.decided,
        settled: events.settled,
        attempted: events.attempted,
        amountDiffers: events.amountDiffers,
        faulty: events.faulty,
        doubled: events.doubled,
        purged,
        fenced: () => this.#end({ is: 'fenced' }),
      },
    });
    this.membership = new Membership(store, clock, instance, generation, {
      shared: shared => this.#learn(shared),
      purged,
      fenced: () => this.#end({ is: 'fenced' }),
      lost: fault => this.#end({ is: 'store lost', fault }),
      died: events.died,
      adopted: (from, count) => {
        events.adopted(from, count);
        this.worker.adopted();
      },
      mayHaveAdopted: () => this.worker.adopted(),
      checking: mine => {
        events.checking(mine);
        if (mine) this.#checker.start();
        else this.#checker.stop();
      },
      figures: events.figures,
    });
  }

  /** Begins to work. */
  start(): void {
    assert.equal(this.#is, 'inert');
    this.#is = 'live';
    this.worker.start();
    this.membership.start();
  }

  /** Ends in good order: what is at work ends or is left in the store, and others may take over. */
  stop(deadlineMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.worker.stop(deadlineMs, () => {
      if (this.#is !== 'ended') this.#close();
      this.#parts.store.leave(() => resolve());
    });
    return promise;
  }

  #learn(shared: Shared): void {
    const { breakers, clock, events } = this.#parts;
    for (const processor of [DEFAULT, FALLBACK] as ProcessorIndex[]) {
      const { version, failing } = shared.health[processor];
      if (version === this.#reported[processor]) continue;
      this.#reported[processor] = version;
      breakers[processor].reported(failing, clock.monotonicMs());
      this.worker.nudge();
    }
    events.shared(shared);
  }

  /** As if the process had died. */
  #end(end: SessionEnd): void {
    if (this.#is === 'ended') return;
    this.#close();
    this.#parts.events.ended(end);
  }

  #close(): void {
    this.#is = 'ended';
    this.worker.close();
    this.membership.close();
  }
}
