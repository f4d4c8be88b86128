/**
 * One life of this instance in the store: from joining (with an epoch of its own) until it stops, is fenced,
 * or the store breaks.
 *
 * Being fenced means that the others have taken over what was stored: this life ends as if the process had
 * died, and the next one begins as after a crash, by replaying the log. So it is when the store breaks, once
 * that is there again.
 */

import { HealthChecker } from '../cluster/health-checker.ts';
import { Membership } from '../cluster/membership.ts';
import type { Clock, Timer } from '../domain/clock.ts';
import { DEFAULT, FALLBACK, type ProcessorIndex } from '../domain/payment.ts';
import type { Policy } from '../domain/settlement.ts';
import type { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Processors } from '../processors/port.ts';
import type { FileLog } from '../storage/embedded/file-log.ts';
import type { FeedEvents, SharedDirectoryFeed } from '../storage/embedded/shared-directory-feed.ts';
import { type Joined, type Shared, type Store, StoreFault } from '../storage/ports.ts';
import { ask } from './ask.ts';
import { BloomFilter } from './bloom-filter.ts';
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
  /** Opens this instance's log; `follow` those of the others. */
  readonly openLog: (joined: Joined) => Pick<FileLog, keyof FileLog>;
  readonly follow: (events: FeedEvents) => Pick<SharedDirectoryFeed, keyof SharedDirectoryFeed>;
  readonly queueCapacity: number;
  readonly concurrency: number;
  readonly events: SessionEvents;
}

export interface SessionEvents extends Pick<WorkerEvents, 'settled' | 'attempted' | 'faulty'> {
  /** Writes may have been lost, so `count` payments were pinned that may have been sent. */
  lostWrites(count: number): void;
  /** This life is over: another has to begin. */
  fenced(): void;
  /** So it is, and the store has to be opened anew. */
  broken(fault: StoreFault): void;
  died(instance: string): void;
  adopted(instance: string, count: number): void;
  checking(mine: boolean): void;
  shared(shared: Shared): void;
  figures(): string;
}

/**
 * How often the other instances' logs are read: well within the 100 ms in which a payment has to be known.
 */
const FOLLOW_MS = 50;
/**
 * How often segments of which the store has everything are looked for, and the disk is made to have the rest:
 * where no `202` waits for that, a power loss costs so much.
 */
const TIDY_MS = 1000;
/** A page of known ids: what waits for the store meanwhile waits some 2 ms. */
const IDS_BATCH = 1024;

export class Session {
  readonly pool: PaymentPool;
  readonly log: Pick<FileLog, keyof FileLog>;
  readonly follower: Pick<SharedDirectoryFeed, keyof SharedDirectoryFeed>;
  readonly worker: Worker;
  readonly membership: Membership;
  /** Ids that were ever accepted, as far as they are loaded. */
  filter = new BloomFilter();
  readonly #parts: SessionParts;
  readonly #checker: HealthChecker;
  readonly #timers = new Set<Timer>();
  readonly #reported: [number, number] = [0, 0];
  #loadedSeq = 0;
  #loading = false;
  #complete = false;
  #closed = false;

  /** Joins, brings what the log of an earlier life holds into the store, and begins. Throws `Unavailable`. */
  static async begin(parts: SessionParts): Promise<Session> {
    const { store, instance } = parts;
    const joined = await ask<Joined>(reply => store.join(instance, reply));
    await ask<number>(reply => store.replay(instance, reply));
    await ask<true>(reply => store.sync(reply));
    const shared = await ask<Shared>(reply => store.look(reply));
    const unsettled = shared.instances.find(({ name }) => name === instance)?.unsettled ?? 0;
    if (joined.pinned > 0) parts.events.lostWrites(joined.pinned);
    return new Session(parts, joined, unsettled > 0);
  }

  private constructor(parts: SessionParts, joined: Joined, parked: boolean) {
    const { store, clock, instance, events } = parts;
    const { epoch, generation } = joined;
    this.#parts = parts;
    this.pool = new PaymentPool(parts.queueCapacity);
    this.log = parts.openLog(joined);
    this.follower = parts.follow({
      accepted: (id, other) => {
        this.filter.add(id);
        this.membership.heard(other);
      },
      missed: () => this.#load(),
    });
    this.#checker = new HealthChecker(store, parts.processors, clock);
    this.worker = new Worker({
      ...parts,
      pool: this.pool,
      epoch,
      generation,
      parked,
      events: {
        stored: segment => this.log.stored(segment),
        settled: events.settled,
        attempted: events.attempted,
        faulty: events.faulty,
        purged: later => this.membership.notice(later),
        fenced: () => this.#end(() => events.fenced()),
      },
    });
    this.membership = new Membership(store, clock, instance, generation, {
      shared: shared => this.#learn(shared),
      purged: later => this.#forget(later),
      fenced: () => this.#end(() => events.fenced()),
      broken: fault => this.#end(() => events.broken(fault)),
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
    try {
      this.log.removeEarlier();
      this.follower.poll(generation);
    } catch (error) {
      // The worker has begun already, and nobody else could stop it.
      this.#end(() => {});
      throw error;
    }
    this.#load();
    this.membership.start();
    this.#every(FOLLOW_MS, () => this.#follow());
    this.#every(TIDY_MS, () => this.#tidy());
  }

  get generation(): number {
    return this.membership.generation;
  }

  /** Is this id (four words) certain to be new, as far as the store goes? */
  isNew(id: ArrayLike<number>): boolean {
    return this.#complete && !this.filter.mayHave(id);
  }

  /** Lets go of the store in good order: what is at work ends or is parked, and others may take over. */
  stop(deadlineMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.worker.stop(deadlineMs, () => {
      this.#close();
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
      if (this.#closed) return;
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

  #forget(generation: number): void {
    this.worker.forget(generation);
    this.log.rotate(generation);
    this.filter = new BloomFilter();
    this.#loadedSeq = 0;
    // Others may have known of the purge sooner, and have accepted payments since.
    this.follower.forget(generation);
    this.#load();
  }

  /** As if the process had died; `then` says why. */
  #end(then: () => void): void {
    if (this.#closed) return;
    this.worker.close();
    this.#close();
    this.log.write();
    this.log.close(false);
    then();
  }

  #follow(): void {
    try {
      this.follower.poll(this.membership.generation);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === undefined) throw error;
      // Who cannot hear the others must not accept anything either.
      const fault = new StoreFault('broken', message);
      this.#end(() => this.#parts.events.broken(fault));
    }
  }

  #close(): void {
    this.#closed = true;
    this.membership.close();
    this.follower.close();
    for (const timer of this.#timers) timer.cancel();
  }

  /** Fills the filter with the ids that the store has; until that is done every id is asked of the store. */
  #load(): void {
    this.#complete = false;
    if (this.#loading) return;
    this.#loading = true;
    const words = new Int32Array(4);
    const next = (): void => {
      const { filter } = this;
      this.#parts.store.ids(this.#loadedSeq, IDS_BATCH, answer => {
        if (this.#closed) return;
        if (answer instanceof StoreFault) {
          this.#parts.clock.after(TIDY_MS, next);
          return;
        }
        // After a purge in between, these ids are of before it.
        if (filter !== this.filter) {
          next();
          return;
        }
        const view = new DataView(answer.ids.buffer, answer.ids.byteOffset, answer.ids.length);
        for (let at = 0; at < answer.ids.length; at += 16) {
          for (let word = 0; word < 4; word++) words[word] = view.getInt32(at + word * 4);
          filter.add(words);
        }
        if (answer.ids.length === 0) {
          this.#loading = false;
          this.#complete = true;
        } else {
          this.#loadedSeq = answer.lastSeq;
          next();
        }
      });
    };
    next();
  }

  #tidy(): void {
    const numbers = this.log.removable();
    this.log.keep();
    if (numbers.length === 0) return;
    this.#parts.store.sync(answer => {
      if (answer === true && !this.#closed) this.log.remove(numbers);
    });
  }
}
