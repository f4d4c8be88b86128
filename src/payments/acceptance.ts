/**
 * Takes payments in: a payment that is new here gets a slot, and the store decides at the end of the turn
 * whether it is new for everyone. Only then is it acknowledged.
 */
import assert from 'node:assert/strict';
import type { Clock } from '../domain/clock.ts';
import { PINNED, type ProcessorIndex } from '../domain/payment.ts';
import {
  ACCEPTED,
  type Acceptance,
  CONFLICT,
  type Kept,
  OVER_CAPACITY,
  type Payments,
  UNAVAILABLE,
} from './api.ts';
import type { DiskReserve } from './disk-reserve.ts';
import { Intake } from './intake.ts';
import type { MemoryReserve } from './memory-reserve.ts';
import { NONE } from './payment-pool.ts';
import type { Session } from './session.ts';

export interface AcceptorParts {
  readonly clock: Clock;
  /** A payment was accepted; for figures. */
  readonly accepted: () => void;
  readonly disk: DiskReserve | undefined;
  readonly memory: MemoryReserve | undefined;
}

/** The store has not decided yet. */
const PENDING = 0;

/** The acceptances of one turn, in the order of the calls. */
interface Turn {
  readonly session: Session;
  /** `PENDING` or an `Acceptance` each. */
  readonly decisions: number[];
  pending: number;
  decided?: () => void;
}

/** One that waits for the store to decide on a slot. */
interface Place {
  readonly turn: Turn;
  readonly place: number;
  /** It named another amount than the payment in the slot has. */
  readonly isOther: boolean;
}

/**
 * What the decision on a payment says of a request that names another amount: nothing, where the store has
 * not taken the payment. Then the amount that it has, if any, may be this one.
 */
const ofOtherAmount = (acceptance: Acceptance): Acceptance =>
  acceptance === ACCEPTED ? CONFLICT : UNAVAILABLE;

export class Acceptor implements Pick<Payments, 'accept' | 'waitSeconds' | 'commit'> {
  readonly #parts: AcceptorParts;
  #session: Session | undefined;
  #intake: Intake | undefined;
  #turn: Turn | undefined;
  /** Which places of which turns wait for the store to decide on a slot. */
  readonly #waiting = new Map<number, Place[]>();

  constructor(parts: AcceptorParts) {
    this.#parts = parts;
  }

  /**
   * The session that payments go to; undefined between two. What the one before had not decided is refused.
   */
  set session(session: Session | undefined) {
    for (const slot of [...this.#waiting.keys()]) this.decided(slot, UNAVAILABLE);
    this.#session = session;
    this.#intake = session && new Intake(session.pool, this.#parts.disk, this.#parts.memory);
  }

  /** Why no payments are taken that could be, for people; empty between two sessions. */
  get overload(): readonly string[] {
    return this.#intake?.reasons(this.#parts.clock.monotonicMs()) ?? [];
  }

  get waitSeconds(): number {
    return this.#intake?.waitSeconds ?? 1;
  }

  accept(id: Int32Array, cents: number, trace?: Int32Array): Acceptance {
    const session = this.#session;
    const intake = this.#intake;
    if (session === undefined || intake === undefined) return UNAVAILABLE;
    const { pool, worker } = session;
    const { clock, accepted } = this.#parts;
    let slot = pool.find(id);
    if (slot !== NONE) {
      const isPending = this.#waiting.has(slot);
      const isOther = pool.cents[slot] !== cents;
      if (isOther && !isPending) return CONFLICT;
      this.#promise(session, isPending ? slot : NONE, isOther);
      return ACCEPTED;
    }
    if (!worker.isAccepting) return UNAVAILABLE;
    const nowMs = clock.monotonicMs();
    if (!intake.takes(nowMs)) return OVER_CAPACITY;
    slot = pool.add(id, cents, clock.wallMs(), nowMs);
    assert(slot !== NONE, 'a queue that takes payments has room');
    intake.took();
    if (trace !== undefined) pool.traces.set(slot, trace);
    worker.enter(slot);
    // A full page left, and was refused because this session is over.
    if (this.#session !== session) return UNAVAILABLE;
    accepted();
    this.#promise(session, slot, false);
    return ACCEPTED;
  }

  /**
   * Takes in a payment that a processor has as of `requestedAtMs`, though the store may not know it: it is
   * pinned there, so that nobody else gets it. `CONFLICT`: it is known.
   */
  takeIn(
    id: Int32Array,
    cents: number,
    on: ProcessorIndex,
    requestedAtMs: number,
  ): Promise<Acceptance> | Acceptance {
    const session = this.#session;
    if (session === undefined || !session.worker.isAccepting) return UNAVAILABLE;
    const { pool, worker } = session;
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (pool.find(id) !== NONE) return CONFLICT;
    if (this.#intake?.takes(nowMs) !== true) return OVER_CAPACITY;
    const slot = pool.add(id, cents, clock.wallMs(), nowMs);
    pool.state[slot] = PINNED;
    pool.processor[slot] = on;
    pool.requestedAtMs[slot] = requestedAtMs;
    pool.attempts[slot] = 1;
    worker.enter(slot);
    if (this.#session !== session) return UNAVAILABLE;
    const { promise, resolve } = Promise.withResolvers<Acceptance>();
    // Not of the turn in which clients' payments may have come in.
    const turn: Turn = { session, decisions: [PENDING], pending: 1 };
    turn.decided = () => resolve(turn.decisions[0] as Acceptance);
    this.#waiting.set(slot, [{ turn, place: 0, isOther: false }]);
    worker.write();
    return promise;
  }

  commit(waiting: number): Kept | Promise<Kept> {
    const turn = this.#turn;
    this.#turn = undefined;
    // Between two sessions nothing was accepted; what was accepted before is refused.
    if (turn === undefined || turn.decisions.length !== waiting) return false;
    if (turn.pending > 0) turn.session.worker.write();
    if (turn.pending === 0) return this.#kept(turn);
    const { promise, resolve } = Promise.withResolvers<Kept>();
    turn.decided = () => resolve(this.#kept(turn));
    return promise;
  }

  /** The store has decided on a payment that came in here. */
  decided(slot: number, acceptance: Acceptance): void {
    const places = this.#waiting.get(slot);
    if (places === undefined) return;
    this.#waiting.delete(slot);
    for (const { turn, place, isOther } of places) {
      assert.equal(turn.decisions[place], PENDING);
      turn.decisions[place] = isOther ? ofOtherAmount(acceptance) : acceptance;
      turn.pending -= 1;
      if (turn.pending === 0) turn.decided?.();
    }
  }

  /** `slot`: the one that the store has to decide on; NONE: it did. */
  #promise(session: Session, slot: number, isOther: boolean): void {
    if (this.#turn?.session !== session) this.#turn = { session, decisions: [], pending: 0 };
    const turn = this.#turn!;
    turn.decisions.push(slot === NONE ? ACCEPTED : PENDING);
    if (slot === NONE) return;
    turn.pending += 1;
    const place = { turn, place: turn.decisions.length - 1, isOther };
    const places = this.#waiting.get(slot);
    if (places === undefined) this.#waiting.set(slot, [place]);
    else places.push(place);
  }

  #kept({ decisions }: Turn): Kept {
    const isAllAccepted = decisions.every(decision => decision === ACCEPTED);
    return isAllAccepted ? true : place => decisions[place] as Acceptance;
  }
}
