/**
 * The worker loop of one instance: takes payments in, has their intents stored, sends them, and records how
 * that ended, by the rules of `settlement`. It holds no socket, clock or store of its own: what it is given
 * decides whether it runs in production or in the simulation.
 *
 *      enter ──> ledger (PUT) ──> lanes ──> intent in the ledger ──written──> processors.post
 *        ^                          ^                                               │
 *      refill from the store        └───────── pause (heap of due times) <── judged ┘──> ledger (SETTLE)
 *
 * The queue holds what is at work. When it is well filled, new payments are only stored (parked) and come
 * back in order of arrival, so that memory stays bounded however long a processor is away.
 */
import { FixedDeque, Heap } from 'mnemonist';
import type { Clock, Timer } from '../clock.ts';
import type { Breaker } from '../processors/breaker.ts';
import { Limit } from '../processors/limit.ts';
import { type Ending, judge, OUTCOMES, type Outcome } from '../processors/outcome.ts';
import type { Found, PaymentRequest, Processors } from '../processors/processors.ts';
import { PUT, SETTLE } from '../store/batch.ts';
import { KNOWN, type Store, StoreFault } from '../store/store.ts';
import { Lanes } from './lanes.ts';
import { Ledger } from './ledger.ts';
import { Pace } from './pace.ts';
import {
  DEFAULT,
  FALLBACK,
  idWords,
  PINNED,
  type ProcessorIndex,
  SENT,
  SETTLED,
  type StoredPayment,
  WAITING,
} from './payment.ts';
import { NONE, type Queue } from './queue.ts';
import {
  after,
  type Policy,
  pauseMs,
  recovered,
  triesAfterRefusal,
  triesAfterSending,
} from './settlement.ts';

/** Attempts started in one turn of the event loop: accepting goes first when both want the processor. */
const STARTS_A_TURN = 16;

/**
 * And those whose intents the store has leave for so long in one turn, at least one: the intents of a page are stored
 * together, and a payment that is read meanwhile would wait until all of them have left.
 */
const SENDING_MS = 0.2;

const REFILL_BATCH = 2048;
const REFILL_RETRY_MS = 200;

/** Rests after a 429 that names no time. */
const OVERLOADED_MS = 100;

export interface WorkerParts {
  readonly queue: Queue;
  readonly store: Store;
  readonly processors: Processors;
  readonly breakers: readonly [Breaker, Breaker];
  readonly clock: Clock;
  /** 0 to 1. */
  readonly chance: () => number;
  readonly policy: Policy;
  /** Attempts at work at once. */
  readonly concurrency: number;
  readonly epoch: number;
  readonly generation: number;
  /** Unsettled payments that the store holds for this instance from before. */
  readonly parked: boolean;
  readonly events: WorkerEvents;
}

export interface WorkerEvents {
  /** The store has a payment that the log segment `segment` was keeping. */
  stored(segment: number): void;
  settled(processor: ProcessorIndex, cents: number, waitedMs: number): void;
  attempted(request: PaymentRequest, processor: ProcessorIndex, outcome: Outcome, durationMs: number): void;
  purged(generation: number): void;
  fenced(): void;
  faulty(fault: StoreFault | undefined): void;
}

/** One attempt on its way. */
interface Flight extends PaymentRequest {
  readonly slot: number;
  /** Of the slot when it left: an answer for an earlier tenant is not heard. */
  readonly version: number;
  readonly to: ProcessorIndex;
  readonly probe: boolean;
  readonly startedMs: number;
}

export class Worker {
  readonly #parts: WorkerParts;
  readonly #queue: Queue;
  readonly #ledger: Ledger;
  readonly #due: { heap: Heap<number>; readonly atMs: Float64Array };
  /** Attempts in a row that failed, for the pauses. */
  readonly #failures: Uint16Array;
  readonly #probing: Uint8Array;
  readonly #parking: Uint8Array;
  /** 1 from an attempt's start until it is sent: it has a place at work, and no answer will free it. */
  readonly #intending: Uint8Array;
  /** Slots with an intent in the store, that are yet to be sent. */
  readonly #outbox: FixedDeque<number>;
  readonly #atWork: [number, number] = [0, 0];
  readonly #limits: readonly [Limit, Limit];
  readonly #lanesMax: number;
  readonly #permits = {
    default: false,
    fallback: false,
    defaultWorks: false,
    fallbackHasRoom: false,
  };
  #lanes: Lanes;
  #parkingCount = 0;
  #storeHasMore: boolean;
  /** A parked payment was stored after the store was last asked for some. */
  #parkedSince = false;
  #generation: number;
  #refilling = false;
  /** While the store has more: every payment of ours that is not held here has a later seq. */
  #cursor = 0;
  /** The first adopted payment that found no room since the store was last asked for some. */
  #missedSeq = Infinity;
  readonly #pace = new Pace();
  /** Starting stopped because of the pace, not for want of payments or places. */
  #paced = false;
  #scheduled = false;
  #timer: Timer | undefined;
  #timerAtMs = Infinity;
  #stopping = false;
  #closed = false;

  constructor(parts: WorkerParts) {
    const { queue, store, clock, concurrency, epoch, generation, events } = parts;
    this.#parts = parts;
    this.#queue = queue;
    this.#lanes = new Lanes(queue, parts.policy);
    const atMs = new Float64Array(queue.capacity);
    this.#due = { heap: dueHeap(atMs), atMs };
    this.#failures = new Uint16Array(queue.capacity);
    this.#probing = new Uint8Array(queue.capacity);
    this.#parking = new Uint8Array(queue.capacity);
    this.#intending = new Uint8Array(queue.capacity);
    this.#outbox = new FixedDeque<number>(Int32Array, concurrency);
    // A default that hangs must not take every place from fallback.
    const reserved = Math.floor(concurrency / 8);
    this.#limits = [new Limit(concurrency - reserved), new Limit(concurrency)];
    this.#lanesMax = Math.max(1, Math.min(Math.floor(queue.capacity / 4), 16_384));
    this.#storeHasMore = parts.parked;
    this.#generation = generation;
    this.#ledger = new Ledger(queue, store, clock, epoch, generation, {
      written: (slot, kind, result, sent) => this.#written(slot, kind, result, sent),
      purged: later => events.purged(later),
      fenced: () => events.fenced(),
      faulty: fault => events.faulty(fault),
    });
    this.#wake();
  }

  /** A payment was accepted: it has a slot, and the log keeps it. */
  enter(slot: number): void {
    this.#failures[slot] = 0;
    this.#pace.accepted(this.#parts.clock.monotonicMs());
    this.#ledger.put(slot);
    const park = this.#storeHasMore || this.#parkingCount > 0 || this.#lanes.size >= this.#lanesMax;
    this.#parking[slot] = park ? 1 : 0;
    // What keeps an earlier one from leaving keeps this one too, and wakes the worker when it is over. While payments
    // only pile up, a turn of the worker for each of them would cost as much as reading it.
    const isHeldUp = park || this.#lanes.fresh > 0;
    if (park) this.#parkingCount += 1;
    else this.#lanes.enter(slot);
    if (!isHeldUp || this.#ledger.isDue) this.#wake();
  }

  /** Payments that the store holds and that are ours now, having been another instance's. */
  adopt(payments: readonly StoredPayment[]): void {
    for (const payment of payments) {
      if (this.#restore(payment, true)) continue;
      // It is ours in the store now: it has to come back from there when there is room.
      this.#missedSeq = Math.min(this.#missedSeq, payment.seq);
      this.#storeHasMore = true;
      this.#parkedSince = true;
    }
    this.#wake();
  }

  /** Room for more payments from the store or from a dead instance. */
  get room(): number {
    return Math.max(0, Math.min(this.#lanesMax - this.#lanes.size, this.#queue.capacity - this.#queue.size));
  }

  /** Calls `then` once everything recorded so far is in the store. */
  whenWritten(then: () => void): void {
    this.#ledger.whenWritten(then);
  }

  /** The circuits or the policy's deadline may allow more than before. */
  nudge(): void {
    this.#wake();
  }

  get pinned(): number {
    return this.#lanes.pinned;
  }

  get atWork(): number {
    return this.#atWork[0] + this.#atWork[1];
  }

  /** The longest that a payment has waited in this instance, in ms. */
  get oldestMs(): number {
    const oldest = this.#lanes.oldestMs;
    return oldest === Infinity ? 0 : this.#parts.clock.monotonicMs() - oldest;
  }

  /** Everything accepted before is forgotten; attempts on their way end unheard. */
  forget(generation: number): void {
    this.#abandonIntents();
    this.#outbox.clear();
    this.#queue.clear();
    this.#lanes = new Lanes(this.#queue, this.#parts.policy);
    this.#due.heap = dueHeap(this.#due.atMs);
    this.#generation = generation;
    this.#ledger.forget(generation);
    this.#parkingCount = 0;
    this.#storeHasMore = false;
    this.#cursor = 0;
    this.#missedSeq = Infinity;
  }

  /** Starts nothing any more; what is at work may end. Calls `then` when all is written, or at `deadlineMs`. */
  stop(deadlineMs: number, then: () => void): void {
    const { clock } = this.#parts;
    this.#stopping = true;
    const poll = (): void => {
      const late = clock.monotonicMs() >= deadlineMs;
      if (late || (this.atWork === 0 && this.#ledger.pending === 0)) {
        this.close();
        then();
        return;
      }
      this.#ledger.submit();
      clock.after(5, poll);
    };
    poll();
  }

  /** From now on nothing is done and no answer is heard: as if the process had died. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#abandonIntents();
    // The breakers outlive this worker: a probe whose end nobody hears would leave its circuit half-open for ever.
    for (const breaker of this.#parts.breakers) breaker.abandoned(true);
    this.#ledger.close();
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
    const nowMs = this.#parts.clock.monotonicMs();
    this.#resume(nowMs);
    this.#sendSome(nowMs);
    if (!this.#stopping) this.#startSome(nowMs);
    this.#ledger.submit();
    if (!this.#stopping) this.#refill();
    this.#arm(nowMs);
  }

  /** Payments whose pause is over go back to their lanes. */
  #resume(nowMs: number): void {
    const { heap, atMs } = this.#due;
    while (heap.size > 0 && atMs[heap.peek()!]! <= nowMs) this.#lanes.enter(heap.pop()!);
  }

  #sendSome(nowMs: number): void {
    const { clock } = this.#parts;
    for (let slot = this.#outbox.shift(); slot !== undefined; slot = this.#outbox.shift()) {
      this.#send(slot);
      if (this.#outbox.size > 0 && clock.monotonicMs() - nowMs > SENDING_MS) {
        this.#wake();
        return;
      }
    }
  }

  #startSome(nowMs: number): void {
    this.#paced = false;
    for (let started = 0; started < STARTS_A_TURN; started++) {
      if (this.#lanes.size === 0) return;
      if (!this.#pace.take(nowMs)) {
        this.#paced = true;
        return;
      }
      this.#readPermits(nowMs);
      const slot = this.#lanes.next(nowMs, this.#permits);
      if (slot === NONE) return;
      this.#start(slot, this.#lanes.to);
    }
    this.#wake();
  }

  #readPermits(nowMs: number): void {
    const { breakers } = this.#parts;
    const free = this.atWork < this.#parts.concurrency;
    const defaultFree = free && this.#atWork[DEFAULT] < this.#limits[DEFAULT].value;
    const fallbackFree = free && this.#atWork[FALLBACK] < this.#limits[FALLBACK].value;
    this.#permits.default = defaultFree && breakers[DEFAULT].allows(nowMs);
    this.#permits.fallback = fallbackFree && breakers[FALLBACK].allows(nowMs);
    this.#permits.defaultWorks = breakers[DEFAULT].circuit === 'closed';
    this.#permits.fallbackHasRoom = fallbackFree;
  }

  #start(slot: number, to: ProcessorIndex): void {
    const queue = this.#queue;
    const pinned = queue.state[slot] === PINNED;
    this.#atWork[to] += 1;
    this.#probing[slot] = this.#parts.breakers[to].start() ? 1 : 0;
    this.#intending[slot] = 1;
    queue.attempts[slot]! += 1;
    if (pinned) {
      // The store has this intent already: same processor, same requestedAt.
      this.#outbox.push(slot);
      this.#wake();
      return;
    }
    // After a power loss the store has to know who can have it, or it would be sent to the other one as well.
    const isOtherProcessor = to !== queue.processorOf(slot);
    queue.tries[slot] = triesAfterSending(to, queue.tries[slot]!);
    queue.processor[slot] = to;
    queue.requestedAtMs[slot] = this.#parts.clock.wallMs();
    queue.state[slot] = SENT;
    this.#ledger.mark(slot, isOtherProcessor);
  }

  #written(slot: number, kind: number, result: number, sent: boolean): void {
    const queue = this.#queue;
    if (kind === PUT) {
      this.#parts.events.stored(queue.segment[slot]!);
      queue.segment[slot] = NONE;
      if (result > 0) queue.seq[slot] = result;
      if (this.#parking[slot] === 1) {
        this.#parking[slot] = 0;
        this.#parkingCount -= 1;
        // Another instance may have been first with this id: then it is not ours to bring back.
        if (result > 0) {
          this.#storeHasMore = true;
          this.#parkedSince = true;
        }
        queue.free(slot);
        this.#wake();
        return;
      }
      if (result > this.#cursor && !this.#storeHasMore) this.#cursor = result;
    }
    if (kind === SETTLE) queue.free(slot);
    else if (result === KNOWN) this.#notOurs(slot);
    else if (sent) this.#outbox.push(slot);
    this.#wake();
  }

  /** Another instance owns this payment, so nothing of it may leave here. */
  #notOurs(slot: number): void {
    const queue = this.#queue;
    if (queue.state[slot] === SENT) {
      this.#abandon(slot);
      queue.free(slot);
    } else {
      queue.retire(slot);
    }
  }

  /** An attempt that had begun will not leave. */
  #abandon(slot: number): void {
    const to = this.#queue.processorOf(slot);
    this.#intending[slot] = 0;
    this.#atWork[to] -= 1;
    this.#parts.breakers[to].abandoned(this.#probing[slot] === 1);
  }

  #abandonIntents(): void {
    const { capacity } = this.#queue;
    for (let slot = 0; slot < capacity; slot++) if (this.#intending[slot] === 1) this.#abandon(slot);
  }

  #send(slot: number): void {
    const queue = this.#queue;
    this.#intending[slot] = 0;
    const flight: Flight = {
      slot,
      version: queue.version[slot]!,
      to: queue.processorOf(slot),
      probe: this.#probing[slot] === 1,
      startedMs: this.#parts.clock.monotonicMs(),
      correlationId: queue.textOf(slot),
      cents: queue.cents[slot]!,
      requestedAtMs: queue.requestedAtMs[slot]!,
      traceparent: queue.traces.traceparent(slot, this.#parts.chance),
    };
    this.#parts.processors.post(flight.to, flight, ending => {
      if (this.#closed) {
        // The breakers outlive this worker, and one that waits for a probe would wait for ever.
        this.#parts.breakers[flight.to].abandoned(flight.probe);
        return;
      }
      this.#ended(flight, ending);
      this.#atWork[flight.to] -= 1;
      this.#wake();
    });
  }

  #ended(flight: Flight, ending: Ending): void {
    const { slot, to, probe } = flight;
    const { clock, breakers, events, policy, chance } = this.#parts;
    const queue = this.#queue;
    const nowMs = clock.monotonicMs();
    const durationMs = nowMs - flight.startedMs;
    const { outcome, verdict } = judge(ending);
    const restMs = outcome === 'overloaded' ? retryAfterMs(ending) : 0;
    if (outcome === 'processed') this.#limits[to].answered(durationMs, this.#atWork[to], nowMs);
    if (verdict === 'processed') breakers[to].succeeded();
    else if (restMs > 0) breakers[to].overloaded(nowMs, restMs, probe);
    else breakers[to].failed(nowMs, probe);
    if (queue.version[slot] !== flight.version) return;

    const pinned = queue.state[slot] === PINNED;
    events.attempted(flight, to, outcome, durationMs);
    if (outcome === 'processed') {
      this.#settle(slot, queue.requestedAtMs[slot]!);
      return;
    }
    queue.state[slot] = after(verdict === 'processed' ? 'unknown' : verdict, pinned);
    if (outcome === 'already processed' || (verdict === 'unknown' && pinned)) {
      this.#reconcile(slot, to, outcome);
      return;
    }
    if (queue.state[slot] === WAITING) {
      queue.tries[slot] = triesAfterRefusal(to, queue.tries[slot]!);
      this.#ledger.mark(slot);
    }
    this.#ledger.attempt(slot, OUTCOMES.indexOf(outcome), durationMs, clock.wallMs());
    this.#failures[slot] = Math.min(this.#failures[slot]! + 1, 1000);
    this.#pause(slot, Math.max(restMs, pauseMs(this.#failures[slot]!, chance(), policy)));
  }

  /**
   * The processor has the payment, or may have it: its own record tells when it was requested. That it has none
   * yet proves nothing.
   */
  #reconcile(slot: number, to: ProcessorIndex, outcome: Outcome): void {
    const queue = this.#queue;
    const { processors, policy, chance, clock } = this.#parts;
    const version = queue.version[slot]!;
    this.#atWork[to] += 1;
    const heard = (found: Found): void => {
      if (this.#closed) return;
      this.#atWork[to] -= 1;
      this.#wake();
      if (queue.version[slot] !== version) return;
      if (found.is === 'there') {
        this.#settle(slot, found.requestedAtMs);
        return;
      }
      this.#ledger.attempt(slot, OUTCOMES.indexOf(outcome), 0, clock.wallMs());
      this.#failures[slot] = Math.min(this.#failures[slot]! + 1, 1000);
      this.#pause(slot, pauseMs(this.#failures[slot]!, chance(), policy));
    };
    processors.find(to, queue.textOf(slot), heard, queue.traces.traceparent(slot, chance));
  }

  #settle(slot: number, requestedAtMs: number): void {
    const queue = this.#queue;
    const { clock, events } = this.#parts;
    queue.requestedAtMs[slot] = requestedAtMs;
    queue.state[slot] = SETTLED;
    this.#ledger.settle(slot, clock.wallMs());
    const waitedMs = clock.monotonicMs() - queue.acceptedMonotonicMs[slot]!;
    events.settled(queue.processorOf(slot), queue.cents[slot]!, waitedMs);
  }

  #pause(slot: number, delayMs: number): void {
    const { heap, atMs } = this.#due;
    atMs[slot] = this.#parts.clock.monotonicMs() + delayMs;
    heap.push(slot);
  }

  /** Brings parked payments back, oldest first, while there is room. */
  #refill(): void {
    if (!this.#storeHasMore || this.#refilling || this.#lanes.size > this.#lanesMax / 2) return;
    const limit = Math.min(this.room, REFILL_BATCH);
    if (limit === 0) return;
    this.#refilling = true;
    this.#parkedSince = false;
    const generation = this.#generation;
    this.#cursor = Math.min(this.#cursor, this.#missedSeq - 1);
    this.#missedSeq = Infinity;
    this.#parts.store.take(this.#cursor, limit, answer => {
      this.#refilling = false;
      if (this.#closed || generation !== this.#generation) return;
      if (answer instanceof StoreFault) {
        this.#parts.clock.after(REFILL_RETRY_MS, () => this.#wake());
        return;
      }
      let restored = 0;
      while (restored < answer.length && this.#restore(answer[restored]!, false)) {
        this.#cursor = answer[restored]!.seq;
        restored += 1;
      }
      if (restored < answer.length) this.#parts.clock.after(REFILL_RETRY_MS, () => this.#wake());
      else if (answer.length < limit && !this.#parkedSince) this.#storeHasMore = false;
      if (restored > 0 || !this.#storeHasMore) this.#wake();
    });
  }

  /** Holds a payment of ours that the store has; false: not now. */
  #restore(payment: StoredPayment, adopted: boolean): boolean {
    const queue = this.#queue;
    const { clock } = this.#parts;
    const id = idWords(payment.id);
    const held = queue.find(id);
    // One without a seq came in here a second time, and goes as soon as the store says that it knows it.
    if (held !== NONE) return queue.seq[held]! > 0;
    const waitedMs = Math.max(0, clock.wallMs() - payment.acceptedAtMs);
    const slot = queue.add(id, payment.cents, payment.acceptedAtMs, clock.monotonicMs() - waitedMs);
    if (slot === NONE) return false;
    queue.seq[slot] = payment.seq;
    queue.requestedAtMs[slot] = payment.requestedAtMs;
    queue.state[slot] = recovered(payment.state);
    queue.processor[slot] = payment.processor ?? DEFAULT;
    queue.attempts[slot] = payment.attempts;
    queue.tries[slot] = payment.tries;
    this.#failures[slot] = 0;
    this.#parking[slot] = 0;
    this.#lanes.enter(slot, adopted);
    return true;
  }

  /** One timer for whatever comes first: a pause that ends, a probe, a deadline. */
  #arm(nowMs: number): void {
    const { heap, atMs } = this.#due;
    const { breakers, clock } = this.#parts;
    let atLeastMs = heap.size > 0 ? atMs[heap.peek()!]! : Infinity;
    if (this.#lanes.size > 0 && !this.#stopping) {
      for (const breaker of breakers) {
        if (breaker.askAgainAtMs > nowMs) atLeastMs = Math.min(atLeastMs, breaker.askAgainAtMs);
      }
      if (this.#paced) atLeastMs = Math.min(atLeastMs, this.#pace.nextAtMs);
      const deadlineMs = this.#lanes.deadlineMs;
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

const dueHeap = (atMs: Float64Array): Heap<number> =>
  new Heap<number>((one, other) => atMs[one]! - atMs[other]!);

const retryAfterMs = (ending: Ending): number =>
  'status' in ending && ending.retryAfterMs !== undefined ? Math.max(1, ending.retryAfterMs) : OVERLOADED_MS;
