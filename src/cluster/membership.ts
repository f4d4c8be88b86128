/**
 * One instance among the others: beats, notices which others stopped beating, takes over what
 * the dead left, learns of purges and of the processors' health, and holds the checker's lease if it is free.
 *
 * No clock is compared with another's: an instance is dead when its beat stood still for `LEASE_MS` on
 * the observer's own monotonic clock, and no other instance fenced it first (`fence` compares what was seen).
 */
import assert from 'node:assert/strict';
import type { Clock, Timer } from '../domain/clock.ts';
import { type InstanceView, type Shared, type Store, StoreFault } from '../storage/ports.ts';

export const LOOK_MS = 100;
export const BEAT_MS = 500;
/** Six missed beats. Shorter would fence an instance whose machine is only busy. */
export const LEASE_MS = 3000;

export interface MembershipEvents {
  /** What all instances share, after each look that found something new. */
  shared(shared: Shared): void;
  /** The store is of a later generation: everything before it was purged. */
  purged(generation: number): void;
  fenced(): void;
  /** The store is unusable: not even a beat can be written. */
  lost(fault: StoreFault): void;
  /** An instance was found dead and is fenced now. */
  died(instance: string): void;
  /** So many payments that a dead instance had are this one's now. */
  adopted(instance: string, count: number): void;
  /** The store did not say whether what a dead instance had is this one's now. */
  mayHaveAdopted(): void;
  /** This instance asks the processors' health from now on, or not any more. */
  checking(mine: boolean): void;
  figures(): string;
}

interface Seen {
  epoch: number;
  beat: number;
  changedAtMs: number;
}

export class Membership {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #instance: string;
  readonly #events: MembershipEvents;
  readonly #seen = new Map<string, Seen>();
  readonly #timers = new Map<'look' | 'beat', Timer>();
  readonly #generation: number;
  #shared: Shared | undefined;
  #checking = false;
  #adopting = false;
  /** Whether a look is at work, and whether something changed since it was asked. */
  #looking: 'no' | 'yes' | 'once more' = 'no';
  #closed = false;

  constructor(store: Store, clock: Clock, instance: string, generation: number, events: MembershipEvents) {
    this.#store = store;
    this.#clock = clock;
    this.#instance = instance;
    this.#generation = generation;
    this.#events = events;
  }

  start(): void {
    assert(!this.#closed && this.#shared === undefined, 'started twice');
    this.#store.watch?.(() => this.#look());
    this.#look();
    this.#beat();
  }

  /** What was last seen of everyone. */
  get shared(): Shared | undefined {
    return this.#shared;
  }

  /** Is this instance the one that asks the processors' health? */
  get isChecker(): boolean {
    return this.#checking;
  }

  close(): void {
    this.#closed = true;
    this.#store.watch?.(undefined);
    for (const timer of this.#timers.values()) timer.cancel();
    this.#setChecking(false);
  }

  #again(name: 'look' | 'beat', delayMs: number, task: () => void): void {
    // What the answer said may have ended the session.
    if (this.#closed) return;
    this.#timers.get(name)?.cancel();
    this.#timers.set(name, this.#clock.after(delayMs, task));
  }

  #look(): void {
    if (this.#looking !== 'no') {
      this.#looking = 'once more';
      return;
    }
    this.#looking = 'yes';
    this.#store.look(answer => {
      const isAgain = this.#looking === 'once more';
      this.#looking = 'no';
      if (this.#closed) return;
      if (!(answer instanceof StoreFault)) this.#learn(answer);
      else if (answer.reason === 'lost') {
        this.#events.lost(answer);
        return;
      }
      if (isAgain) this.#look();
      else this.#again('look', LOOK_MS, () => this.#look());
    });
  }

  #beat(): void {
    this.#store.beat(this.#events.figures(), answer => {
      if (this.#closed) return;
      if (answer instanceof StoreFault) {
        if (answer.reason === 'fenced') {
          this.#events.fenced();
          return;
        }
        if (answer.reason === 'lost') {
          this.#events.lost(answer);
          return;
        }
      } else this.#learn(answer);
      this.#again('beat', BEAT_MS, () => this.#beat());
    });
  }

  #learn(shared: Shared): void {
    if (shared.generation > this.#generation) {
      this.#events.purged(shared.generation);
      return;
    }
    const older = this.#olderIn(shared);
    if (older !== undefined) {
      this.#events.lost(new StoreFault('lost', older));
      return;
    }
    const news = shared !== this.#shared;
    this.#shared = shared;
    const nowMs = this.#clock.monotonicMs();
    for (const other of shared.instances) if (other.name !== this.#instance) this.#watch(other, nowMs);
    this.#claimChecker(shared);
    if (news) this.#events.shared(shared);
  }

  /** What shows that the store went back to an older state, with whatever it had acknowledged to anybody. */
  #olderIn({ generation, instances }: Shared): string | undefined {
    if (generation < this.#generation) return 'it is older than a purge that it had carried out';
    const older = instances.find(({ name, epoch }) => epoch < (this.#seen.get(name)?.epoch ?? 0));
    return older && `it is older than when ${older.name} joined or was declared dead`;
  }

  #watch(other: InstanceView, nowMs: number): void {
    const seen = this.#seen.get(other.name);
    if (seen === undefined || seen.epoch !== other.epoch || seen.beat !== other.beat) {
      this.#seen.set(other.name, { epoch: other.epoch, beat: other.beat, changedAtMs: nowMs });
    } else if (other.alive && nowMs - seen.changedAtMs >= LEASE_MS) {
      seen.changedAtMs = nowMs;
      this.#store.fence(other.name, other.epoch, other.beat, answer => {
        if (answer === true && !this.#closed) this.#events.died(other.name);
      });
    }
    if (!other.alive) this.#inherit(other);
  }

  /** What a dead instance had not settled. */
  #inherit(dead: InstanceView): void {
    if (this.#adopting) return;
    if (dead.unsettled === 0) return;
    this.#adopting = true;
    this.#store.adopt(dead.name, answer => {
      this.#adopting = false;
      if (this.#closed || answer === 0) return;
      if (answer instanceof StoreFault) {
        if (answer.reason === 'unanswered') this.#events.mayHaveAdopted();
        return;
      }
      this.#events.adopted(dead.name, answer);
      this.#look();
    });
  }

  #claimChecker(shared: Shared): void {
    const holder = shared.instances.find(instance => instance.name === shared.checker);
    this.#setChecking(shared.checker === this.#instance);
    if (holder?.alive) return;
    this.#store.takeChecker(shared.checker, () => {});
  }

  #setChecking(mine: boolean): void {
    if (mine === this.#checking) return;
    this.#checking = mine;
    this.#events.checking(mine);
  }
}
