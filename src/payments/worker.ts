/**
 * The worker loop of one instance: takes payments in, has their intents stored, sends them, and records how
 * that ended, by the rules of `settlement`. It holds no socket, clock or store of its own: what it is given
 * decides whether it runs in production or in the simulation.
 *
 *      enter ──> writer (INSERT) ──> ready queue ──> writer (intent) ──stored──> processors.post
 *                                     ^   ^                                            │
 *      overflow, from the store ──────┘   └─── retry schedule <─────────── classified ─┘──> writer (SETTLE)
 *
 * Here is the order of things: what a turn does, and what the next one waits for. The rest is with
 *
 *      overflow          payments that only the store holds
 *      held-payments     those that wait for an operator, and are tried seldom
 *      ready-queue       which payment is next; one for those that are refused as they are
 *      dispatch-gate     when an attempt may leave
 *      attempts          one attempt, from its intent to its end
 *      asking            what both processors are asked for before it may leave
 *      retry-schedule    which payments failed, and wait
 *      store-writer      what the store is sent
 */
import assert from 'node:assert/strict';
import type { Clock, Timer } from '../domain/clock.ts';
import type { Total } from '../domain/money.ts';
import { type Hold, PINNED, type Processor } from '../domain/payment.ts';
import type { Policy } from '../domain/settlement.ts';
import { isAside } from '../domain/suspicion.ts';
import type { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Processors } from '../processors/port.ts';
import { INSERT, PUT_ON_HOLD, SETTLE } from '../storage/batch.ts';
import { KNOWN, OTHER_AMOUNT, type Store, type StoreFault } from '../storage/ports.ts';
import { ACCEPTED, type Acceptance, CONFLICT, UNAVAILABLE } from './api.ts';
import { Asking, type AskingEvents } from './asking.ts';
import { type AttemptEvents, Attempts } from './attempts.ts';
import { DispatchGate } from './dispatch-gate.ts';
import { HeldPayments } from './held-payments.ts';
import { Overflow } from './overflow.ts';
import { NONE, type PaymentPool } from './payment-pool.ts';
import { ReadyQueue } from './ready-queue.ts';
import { RetrySchedule } from './retry-schedule.ts';
import { StoreWriter, type StoreWriterEvents } from './store-writer.ts';

export interface WorkerParts {
  readonly pool: PaymentPool;
  readonly store: Store;
  readonly processors: Processors;
  readonly breakers: readonly [CircuitBreaker, CircuitBreaker];
  readonly clock: Clock;
  /** 0 to 1. */
  readonly chance: () => number;
  readonly policy: Policy;
  /** Attempts at work at once on each processor. */
  readonly concurrency: number;
  readonly epoch: number;
  readonly generation: number;
  /** Unsettled payments that the store holds for this instance from before. */
  readonly parked: boolean;
  /** What is accepted before this instant is uncertain; as `Joined` has it. */
  readonly asksFirstUntilMs: number;
  /** Before this instant of the monotonic clock no uncertain payment is asked for. */
  readonly asksFromMs: number;
  readonly events: WorkerEvents;
}

export interface WorkerEvents extends AttemptEvents, AskingEvents {
  /** What the store said of a payment that came in here. */
  decided(slot: number, acceptance: Acceptance): void;
  /** The store is of a later generation: everything here was purged. */
  purged(generation: number): void;
  fenced(): void;
  faulty(fault: StoreFault | undefined): void;
}

export class Worker {
  readonly #parts: WorkerParts;
  readonly #pool: PaymentPool;
  readonly #writer: StoreWriter;
  readonly #ready: ReadyQueue;
  /** Payments that were put aside: whatever they wait for, the others do not wait behind them. */
  readonly #aside: ReadyQueue;
  readonly #held: HeldPayments;
  readonly #overflow: Overflow;
  readonly #retries: RetrySchedule;
  readonly #gate: DispatchGate;
  readonly #attempts: Attempts;
  readonly #asking: Asking;
  #scheduled = false;
  #timer: Timer | undefined;
  #timerAtMs = Infinity;
  #stopping = false;
  #closed = false;

  constructor(parts: WorkerParts) {
    const { pool, store, breakers, clock, chance, policy, concurrency, epoch, generation, events } = parts;
    const wake = (): void => this.#wake();
    const ready = new ReadyQueue(pool, policy);
    const retries = new RetrySchedule(pool, clock, chance, policy);
    // Where a batch is a round trip, an intent that waits is one more row of another batch.
    const inSteps = store.gathersMs === undefined;
    const gate = new DispatchGate(concurrency, breakers, policy.fallbackAfterMs, inSteps);
    const written: StoreWriterEvents = {
      written: (slot, kind, result, sent) => this.#written(slot, kind, result, sent),
      over: slot => this.#attempts.over(slot),
      refused: slot => this.#notTaken(slot, UNAVAILABLE),
      purged: later => events.purged(later),
      fenced: () => events.fenced(),
      faulty: fault => events.faulty(fault),
      idle: wake,
    };
    const writer = new StoreWriter(pool, store, clock, epoch, generation, written);
    this.#parts = parts;
    this.#pool = pool;
    this.#writer = writer;
    this.#ready = ready;
    this.#retries = retries;
    this.#gate = gate;
    this.#overflow = new Overflow({ ...parts, ready, wake });
    this.#attempts = new Attempts({ ...parts, writer, retries, gate, wake });
    const settle = (slot: number, atMs: number): void => this.#attempts.settle(slot, atMs);
    const hold = (slot: number, reason: Hold): void => this.#attempts.hold(slot, reason);
    this.#asking = new Asking({ ...parts, ready, retries, gate, settle, hold, wake });
    this.#aside = new ReadyQueue(pool, policy);
    this.#held = new HeldPayments({
      ...parts,
      enter: slot => this.#laneOf(slot).enter(slot),
      postpone: slot => hold(slot, pool.held[slot] as Hold),
      wake,
    });
  }

  /** Begins to work on what the store holds. */
  start(): void {
    this.#wake();
  }

  /** A payment came in: it has a slot, and the store decides on it with the next `write`. */
  enter(slot: number): void {
    assert(!this.#closed);
    const { clock, asksFirstUntilMs } = this.#parts;
    this.#gate.accepted(clock.monotonicMs());
    if (this.#pool.acceptedAtMs[slot]! < asksFirstUntilMs) this.#pool.uncertain[slot] = 1;
    this.#writer.put(slot);
    // After a power loss, too, the store has to say where it may be.
    if (this.#pool.state[slot] === PINNED) this.#writer.mark(slot, true);
    if (!this.#overflow.takes(slot)) this.#ready.enter(slot);
    this.#wake();
  }

  /** Whether the store takes new payments from here, as far as is known. */
  get isAccepting(): boolean {
    return !this.#closed && this.#writer.isAccepting;
  }

  /** Hands what came in to the store, with the intents of the attempts that may leave at once. */
  write(): void {
    if (this.#closed) return;
    const nowMs = this.#parts.clock.monotonicMs();
    this.#gate.beginTurn(nowMs);
    if (!this.#stopping) this.#startSome(nowMs);
    this.#writer.submit();
  }

  /** The store holds more payments that are ours, having been another instance's. */
  adopted(): void {
    this.#overflow.adopted();
    this.#held.adopted();
    this.#wake();
  }

  /** Calls `then` once everything recorded so far is in the store. */
  whenWritten(then: () => void): void {
    this.#writer.whenWritten(then);
  }

  /** As of `StoreWriter`. */
  addRefused(totals: Readonly<Record<Processor, Total>>, fromMs: number, toMs: number): void {
    this.#writer.addRefused(totals, fromMs, toMs);
  }

  /** The circuits or the policy's deadline may allow more than before. */
  nudge(): void {
    this.#wake();
  }

  get atWork(): number {
    return this.#gate.atWork;
  }

  /**
   * Starts nothing any more; what is at work may end. Calls `then` when all is written, or at `deadlineMs`.
   */
  stop(deadlineMs: number, then: () => void): void {
    const { clock } = this.#parts;
    this.#stopping = true;
    const poll = (): void => {
      const late = clock.monotonicMs() >= deadlineMs;
      if (late || (this.atWork === 0 && this.#writer.pending === 0)) {
        this.close();
        then();
        return;
      }
      this.#writer.submit();
      clock.after(5, poll);
    };
    poll();
  }

  /** From now on nothing is done and every answer is ignored, as if the process had died. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#attempts.close();
    this.#asking.close();
    this.#overflow.close();
    this.#held.close();
    this.#writer.close();
    this.#timer?.cancel();
  }

  #wake(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    this.#parts.clock.soon(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    if (this.#closed) return;
    // First what clients wait for. The store may answer at once that this session is over.
    this.write();
    if (this.#closed) return;
    const nowMs = this.#parts.clock.monotonicMs();
    this.#gate.beginTurn(nowMs);
    this.#resume(nowMs);
    this.#attempts.sendSome();
    if (!this.#stopping) {
      this.#asking.askSome(nowMs);
      this.#startSome(nowMs);
    }
    this.#writer.submit();
    if (!this.#stopping) {
      this.#overflow.refill();
      this.#held.refill();
    }
    this.#arm(nowMs);
  }

  /** Payments whose pause is over are ready again. */
  #resume(nowMs: number): void {
    for (let slot = this.#retries.takeDue(nowMs); slot !== NONE; slot = this.#retries.takeDue(nowMs)) {
      this.#laneOf(slot).enter(slot);
    }
  }

  #laneOf(slot: number): ReadyQueue {
    const { uncertain, suspicion } = this.#pool;
    return uncertain[slot] === 0 && isAside(suspicion[slot]!) ? this.#aside : this.#ready;
  }

  #startSome(nowMs: number): void {
    const { clock } = this.#parts;
    this.#startAside(nowMs);
    while (this.#ready.size > 0 && this.#gate.mayStart(nowMs)) {
      const slot = this.#next(nowMs);
      if (slot === NONE) {
        this.#gate.foundNone(false);
        return;
      }
      this.#attempts.start(slot, this.#ready.to);
      if (!this.#gate.hasTime(clock.monotonicMs())) {
        this.#wake();
        return;
      }
    }
    if (this.#ready.size === 0) this.#gate.foundNone(true);
  }

  /** One a turn, so that they neither wait for ever nor take the turn's time from the others. */
  #startAside(nowMs: number): void {
    if (this.#aside.size === 0 || !this.#gate.mayStartAside(nowMs)) return;
    const slot = this.#aside.next(nowMs, this.#gate.asidePermits(nowMs));
    if (slot === NONE) return;
    this.#attempts.start(slot, this.#aside.to);
    if (this.#aside.size > 0) this.#wake();
  }

  #next(nowMs: number): number {
    const permits = this.#gate.permits(nowMs);
    const slot = this.#ready.next(nowMs, permits);
    if (slot !== NONE || this.#ready.waitingForDefault <= this.#gate.turnsInTime(nowMs)) return slot;
    return this.#ready.youngest(nowMs, permits);
  }

  #written(slot: number, kind: number, result: number, sent: boolean): void {
    const pool = this.#pool;
    if (kind === INSERT) {
      if (result <= 0) {
        assert(result === KNOWN || result === OTHER_AMOUNT, 'a row of this generation was forgotten');
        this.#notTaken(slot, result === KNOWN ? ACCEPTED : CONFLICT);
        return;
      }
      pool.seq[slot] = result;
      this.#parts.events.decided(slot, ACCEPTED);
    }
    if (kind === SETTLE || kind === PUT_ON_HOLD) {
      for (const part of [this.#overflow, this.#held]) part.left(pool.seq[slot]!);
      pool.free(slot);
    } else if (kind === INSERT && this.#overflow.stored(slot, result)) pool.free(slot);
    else if (result === KNOWN) this.#attempts.notOurs(slot);
    else if (sent) this.#attempts.sendSoon(slot);
    this.#wake();
  }

  /** A payment that came in here is not ours to settle. */
  #notTaken(slot: number, acceptance: Acceptance): void {
    this.#parts.events.decided(slot, acceptance);
    if (this.#overflow.stored(slot, KNOWN)) this.#pool.free(slot);
    else this.#attempts.notOurs(slot);
    this.#wake();
  }

  /** One timer for whatever comes first: a pause that ends, a probe, a deadline. */
  #arm(nowMs: number): void {
    const { clock } = this.#parts;
    let atLeastMs = this.#retries.nextAtMs;
    if (!this.#stopping) atLeastMs = Math.min(atLeastMs, Math.max(nowMs, this.#held.nextAtMs));
    for (const lane of [this.#ready, this.#aside]) {
      if (lane.size === 0 || this.#stopping) continue;
      atLeastMs = Math.min(atLeastMs, this.#gate.nextAtMs(nowMs));
      atLeastMs = Math.min(atLeastMs, this.#asking.nextAtMs(nowMs));
      const deadlineMs = lane.deadlineMs;
      if (deadlineMs > nowMs) atLeastMs = Math.min(atLeastMs, deadlineMs);
    }
    if (atLeastMs === this.#timerAtMs && this.#timer !== undefined) return;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerAtMs = atLeastMs;
    if (atLeastMs === Infinity) return;
    this.#timer = clock.after(atLeastMs - nowMs, () => {
      this.#timer = undefined;
      this.#wake();
    });
  }
}
