/**
 * One session of this instance in the store: from joining, with an epoch of its own, until it stops or has to
 * end.
 *
 * It ends as if the process had died when the others have fenced it (they own what it stored), when a purge
 * makes a later generation, and when the store breaks. The next one begins as after a crash, by replaying the
 * log.
 *
 * A session is built inert: `join` asks the store, the constructor only puts parts together, `start` begins.
 */
import assert from 'node:assert/strict';
import { HealthChecker } from '../cluster/health-checker.ts';
import { Membership } from '../cluster/membership.ts';
import type { Clock, Timer } from '../domain/clock.ts';
import { DEFAULT, FALLBACK, type ProcessorIndex } from '../domain/payment.ts';
import type { Policy } from '../domain/settlement.ts';
import { isSystemError } from '../domain/system-error.ts';
import type { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Processors } from '../processors/port.ts';
import {
  type AcceptLog,
  type FeedEvents,
  type Joined,
  type PeerFeed,
  promised,
  type Shared,
  type Store,
  StoreFault,
} from '../storage/ports.ts';
import { KnownIds } from './known-ids.ts';
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
  /** Opens this instance's log. Throws the system's errors, as all calls of a log and a feed do. */
  readonly openLog: (joined: Joined) => AcceptLog;
  readonly openFeed: (events: FeedEvents) => PeerFeed;
  readonly queueCapacity: number;
  /** Attempts at work at once. */
  readonly concurrency: number;
  readonly events: SessionEvents;
}

/** Why a session ended by itself. */
export type SessionEnd =
  | { readonly is: 'fenced' }
  | { readonly is: 'purged' }
  /** The store has to be opened anew. */
  | { readonly is: 'store broken'; readonly fault: StoreFault };

export interface SessionEvents extends Pick<WorkerEvents, 'settled' | 'attempted' | 'faulty'> {
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

/**
 * How often the other instances' logs are read: well within the 100 ms in which a payment has to be known.
 */
const FEED_MS = 50;
/**
 * How often segments of which the store has everything are looked for, and the disk is made to have the rest:
 * where no `202` waits for that, a power loss costs so much.
 */
const TIDY_MS = 1000;

export class Session {
  readonly pool: PaymentPool;
  readonly log: AcceptLog;
  readonly feed: PeerFeed;
  readonly worker: Worker;
  readonly membership: Membership;
  readonly knownIds: KnownIds;
  readonly generation: number;
  readonly #parts: SessionParts;
  readonly #checker: HealthChecker;
  readonly #timers = new Set<Timer>();
  readonly #reported: [number, number] = [0, 0];
  #is: 'inert' | 'live' | 'ended' = 'inert';

  /** Joins and brings what the log of an earlier session holds into the store. Throws `Unavailable`. */
  static async join(parts: SessionParts): Promise<Session> {
    const { store, instance } = parts;
    const joined = await promised<Joined>(reply => store.join(instance, reply));
    await promised<number>(reply => store.replay(instance, reply));
    await promised<true>(reply => store.sync(reply));
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
    this.generation = generation;
    this.pool = new PaymentPool(parts.queueCapacity);
    this.knownIds = new KnownIds(store, clock);
    this.log = parts.openLog(joined);
    this.feed = parts.openFeed({
      accepted: (id, other) => {
        this.knownIds.add(id);
        this.membership.heard(other);
      },
      missed: () => this.knownIds.load(),
    });
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
      events: {
        stored: segment => this.log.stored(segment),
        settled: events.settled,
        attempted: events.attempted,
        faulty: events.faulty,
        purged,
        fenced: () => this.#end({ is: 'fenced' }),
      },
    });
    this.membership = new Membership(store, clock, instance, generation, {
      shared: shared => this.#learn(shared),
      purged,
      fenced: () => this.#end({ is: 'fenced' }),
      broken: fault => this.#end({ is: 'store broken', fault }),
      died: events.died,
      adopted: (from, payments) => {
        events.adopted(from, payments.length);
        this.worker.adopt(payments);
      },
      checking: mine => {
        events.checking(mine);
        if (mine) this.#checker.start();
        else this.#checker.stop();
      },
      room: () => this.worker.room,
      figures: events.figures,
    });
  }

  /** Begins to work. Throws a system error when the logs cannot be read; the session has ended then. */
  start(): void {
    assert.equal(this.#is, 'inert');
    this.#is = 'live';
    try {
      this.log.removeEarlier();
      this.feed.poll(this.generation);
    } catch (error) {
      this.#close();
      this.log.close(false);
      throw error;
    }
    this.worker.start();
    this.knownIds.load();
    this.membership.start();
    this.#every(FEED_MS, () => this.#readFeed());
    this.#every(TIDY_MS, () => this.#tidy());
  }

  /** Ends in good order: what is at work ends or is left in the store, and others may take over. */
  stop(deadlineMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.worker.stop(deadlineMs, () => {
      if (this.#is !== 'ended') this.#close();
      this.#parts.store.sync(synced => {
        this.log.close(synced === true && this.pool.size === 0);
        this.#parts.store.leave(() => resolve());
      });
    });
    return promise;
  }

  #every(delayMs: number, task: () => void): void {
    const { clock } = this.#parts;
    const again = (): void => {
      this.#timers.delete(timer);
      if (this.#is === 'ended') return;
      task();
      timer = clock.after(delayMs, again);
      this.#timers.add(timer);
    };
    let timer = clock.after(delayMs, again);
    this.#timers.add(timer);
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
    this.log.write();
    this.log.close(false);
    this.#parts.events.ended(end);
  }

  #close(): void {
    this.#is = 'ended';
    this.worker.close();
    this.membership.close();
    this.knownIds.close();
    this.feed.close();
    for (const timer of this.#timers) timer.cancel();
  }

  #readFeed(): void {
    try {
      this.feed.poll(this.generation);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      // An instance that cannot read its peers' logs could miss a conflicting amount, so it stops accepting.
      this.#end({ is: 'store broken', fault: new StoreFault('broken', error.message) });
    }
  }

  #tidy(): void {
    const numbers = this.log.removable();
    this.log.keep();
    if (numbers.length === 0) return;
    this.#parts.store.sync(answer => {
      if (answer === true && this.#is !== 'ended') this.log.remove(numbers);
    });
  }
}
