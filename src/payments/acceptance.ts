/**
 * Takes payments in: each is new, known or in conflict, and is kept before it is acknowledged.
 *
 * An id that is at work here, or in another instance's log, is known from memory. One that was never seen is
 * known to be new from the filter. Only the few in between are asked of the store before they are answered.
 */
import assert from 'node:assert/strict';
import type { Clock } from '../domain/clock.ts';
import { type StoredPayment, writeIdBytes } from '../domain/payment.ts';
import { Unavailable } from '../domain/unavailable.ts';
import { promised, type Store } from '../storage/ports.ts';
import { ACCEPTED, type Acceptance, CONFLICT, type Payments, UNAVAILABLE } from './api.ts';
import { NONE } from './payment-pool.ts';
import type { Session } from './session.ts';

/** What has to have happened before a payment is acknowledged. */
export type AckAfter = 'parse' | 'commit' | 'flush';

/** With `parse` the log is written this long after the first payment of a batch. */
const LAZY_WRITE_MS = 5;

export interface AcceptorParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly ackAfter: AckAfter;
  /** A payment was accepted; for figures. */
  readonly accepted: () => void;
}

export class Acceptor implements Pick<Payments, 'accept' | 'commit'> {
  readonly #parts: AcceptorParts;
  #session: Session | undefined;
  /** Slots accepted since the last commit: the first `#freshCount` places, used again each turn. */
  #fresh = new Int32Array(64);
  #freshCount = 0;
  #writeIsDue = false;
  /**
   * How often something that was accepted could not be kept, and as it was at the first acceptance of this
   * turn.
   */
  #refusals = 0;
  #refusalsAtTurn: number | undefined;

  constructor(parts: AcceptorParts) {
    this.#parts = parts;
  }

  /** The session that payments go to; undefined between two. What the one before did not keep is refused. */
  set session(session: Session | undefined) {
    if (this.#freshCount > 0) this.#refusals += 1;
    this.#freshCount = 0;
    this.#session = session;
  }

  accept(id: Int32Array, cents: number, trace?: Int32Array): Acceptance | Promise<Acceptance> {
    const session = this.#session;
    if (session === undefined) return UNAVAILABLE;
    this.#refusalsAtTurn ??= this.#refusals;
    const known = this.#known(session, id, cents);
    if (known !== undefined) return known;
    if (session.knownIds.isNew(id)) return this.#take(session, id, cents, trace);
    return this.#askThenAccept(session, Int32Array.from(id), cents, trace && Int32Array.from(trace));
  }

  commit(): boolean | Promise<boolean> {
    const refusals = this.#refusalsAtTurn ?? this.#refusals;
    this.#refusalsAtTurn = undefined;
    return this.#keep(refusals);
  }

  /** What memory says of an id; undefined: nothing. */
  #known(session: Session, id: ArrayLike<number>, cents: number): Acceptance | undefined {
    const slot = session.pool.find(id);
    if (slot !== NONE) return session.pool.cents[slot] === cents ? ACCEPTED : CONFLICT;
    // That another one has logged it is no promise: it may have been refused there all the same, its disk
    // being full.
    return session.feed.conflicts(id, cents) ? CONFLICT : undefined;
  }

  #take(
    session: Session,
    id: ArrayLike<number>,
    cents: number,
    trace: ArrayLike<number> | undefined,
  ): Acceptance {
    const { clock } = this.#parts;
    const acceptedAtMs = clock.wallMs();
    const slot = session.pool.add(id, cents, acceptedAtMs, clock.monotonicMs());
    if (slot === NONE) return UNAVAILABLE;
    if (trace !== undefined) session.pool.traces.set(slot, trace);
    session.log.append(id, cents, acceptedAtMs);
    session.pool.segment[slot] = session.log.segment;
    session.knownIds.add(id);
    this.#pushFresh(slot);
    return ACCEPTED;
  }

  async #askThenAccept(
    session: Session,
    id: Int32Array,
    cents: number,
    trace: Int32Array | undefined,
  ): Promise<Acceptance> {
    const bytes = new Uint8Array(16);
    writeIdBytes(id, 0, bytes, 0);
    let stored: StoredPayment | undefined;
    try {
      stored = await promised(reply => this.#parts.store.find(bytes, reply));
    } catch (error) {
      if (error instanceof Unavailable) return UNAVAILABLE;
      throw error;
    }
    // What a later session may accept is not known from what was asked for this one.
    if (session !== this.#session) return UNAVAILABLE;
    if (stored !== undefined) return stored.cents === cents ? ACCEPTED : CONFLICT;
    // It may have come in by another request meanwhile.
    const refusals = this.#refusals;
    const acceptance = this.#known(session, id, cents) ?? this.#take(session, id, cents, trace);
    if (acceptance !== ACCEPTED) return acceptance;
    return (await this.#keep(refusals)) ? ACCEPTED : UNAVAILABLE;
  }

  /**
   * Has what was accepted kept. False as well if anything could not be kept since there were `refusals` of
   * that: what is answered now may rest on it.
   */
  #keep(refusals: number): boolean | Promise<boolean> {
    const session = this.#session;
    if (session === undefined) return false;
    const fresh = this.#fresh;
    const count = this.#freshCount;
    this.#freshCount = 0;
    switch (this.#parts.ackAfter) {
      case 'parse':
        this.#enter(session, fresh, count);
        if (count > 0) this.#writeSoon();
        break;
      case 'commit':
        if (session.log.write()) this.#enter(session, fresh, count);
        else this.#refuse(session, fresh, count);
        break;
      case 'flush':
        if (session.log.write()) return this.#keepFlushed(session, fresh.slice(0, count), refusals);
        this.#refuse(session, fresh, count);
    }
    return this.#refusals === refusals;
  }

  async #keepFlushed(session: Session, fresh: Int32Array, refusals: number): Promise<boolean> {
    const isKept = await session.log.flushed();
    // These slots belong to a session that has ended.
    if (session !== this.#session) return false;
    if (isKept) this.#enter(session, fresh, fresh.length);
    else {
      // The log cuts them off, as far as it can, and waits for the store to have none of them.
      for (const slot of fresh) session.log.stored(session.pool.segment[slot]!);
      this.#refuse(session, fresh, fresh.length);
    }
    // Everything in the log is settled in any case, even a payment that was refused after it was written.
    return this.#refusals === refusals;
  }

  #pushFresh(slot: number): void {
    if (this.#freshCount === this.#fresh.length) {
      const grown = new Int32Array(this.#fresh.length * 2);
      grown.set(this.#fresh);
      this.#fresh = grown;
    }
    this.#fresh[this.#freshCount++] = slot;
  }

  #refuse(session: Session, fresh: Int32Array, count: number): void {
    assert.equal(session, this.#session, 'slots of a session that has ended');
    for (let at = 0; at < count; at++) session.pool.free(fresh[at]!);
    this.#refusals += 1;
  }

  #writeSoon(): void {
    if (this.#writeIsDue) return;
    this.#writeIsDue = true;
    this.#parts.clock.after(LAZY_WRITE_MS, () => {
      this.#writeIsDue = false;
      // A later session may have begun: the one before wrote its buffer when it ended.
      this.#session?.log.write();
    });
  }

  #enter(session: Session, slots: Int32Array, count: number): void {
    assert.equal(session, this.#session, 'slots of a session that has ended');
    for (let at = 0; at < count; at++) {
      session.worker.enter(slots[at]!);
      this.#parts.accepted();
    }
  }
}
