/**
 * The attempts of one instance, each from its intent to what its end means for the payment, by the rules of
 * `settlement`.
 *
 * start ──> intent in the writer ──stored──> outbox ──> processors.post ──> classified ──> settled
 *   └─── pinned: the store has its intent ─────^                              ├──> retry schedule, or held
 *                                                                             └──> processors.find ──> any
 */
import assert from 'node:assert/strict';
import { FixedDeque } from 'mnemonist';
import type { Clock } from '../domain/clock.ts';
import { type AttemptResult, classify, type Judgement, OUTCOMES, type Outcome } from '../domain/outcome.ts';
import {
  FALLBACK,
  HELD_AMOUNT,
  HELD_REFUSED,
  type Hold,
  NOT_HELD,
  PINNED,
  type ProcessorIndex,
  SENT,
  SETTLED,
  WAITING,
} from '../domain/payment.ts';
import {
  after,
  heldPauseMs,
  type Policy,
  triesAfterRefusal,
  triesAfterSending,
} from '../domain/settlement.ts';
import {
  failuresAloneMin,
  isAside,
  isToBeHeld,
  suspicionAfter,
  suspicionInNextRound,
} from '../domain/suspicion.ts';
import type { Found, PaymentRequest, Processors } from '../processors/port.ts';
import { asideAtWorkMax, type DispatchGate } from './dispatch-gate.ts';
import { NONE, type PaymentPool } from './payment-pool.ts';
import type { RetrySchedule } from './retry-schedule.ts';
import type { StoreWriter } from './store-writer.ts';

/** Rests after a 429 that names no time. */
const OVERLOADED_MS = 100;

export interface AttemptsParts {
  readonly pool: PaymentPool;
  readonly writer: StoreWriter;
  readonly retries: RetrySchedule;
  readonly gate: DispatchGate;
  readonly processors: Processors;
  readonly clock: Clock;
  /** 0 to 1. */
  readonly chance: () => number;
  /** Attempts at work at once on each processor. */
  readonly concurrency: number;
  readonly policy: Policy;
  readonly events: AttemptEvents;
  /** There is something to send, or a place for another attempt. */
  readonly wake: () => void;
}

export interface AttemptEvents {
  settled(processor: ProcessorIndex, cents: number, waitedMs: number): void;
  attempted(request: PaymentRequest, processor: ProcessorIndex, outcome: Outcome, durationMs: number): void;
  /** The processor has the payment with another amount, `cents`, than it was accepted with. */
  amountDiffers(request: PaymentRequest, processor: ProcessorIndex, cents: number): void;
}

/** Why an attempt leaves: in its turn, as the probe of a half-open circuit, or for a payment put aside. */
const PLAIN = 0;
const PROBE = 1;
const ASIDE_TRY = 2;
type Role = typeof PLAIN | typeof PROBE | typeof ASIDE_TRY;

/** One attempt on its way. */
interface Flight extends PaymentRequest {
  readonly slot: number;
  /** Of the slot when the attempt left: an answer for an earlier tenant of the slot is ignored. */
  readonly version: number;
  readonly to: ProcessorIndex;
  readonly role: Role;
  readonly startedMs: number;
}

export class Attempts {
  readonly #parts: AttemptsParts;
  readonly #pool: PaymentPool;
  readonly #writer: StoreWriter;
  readonly #role: Uint8Array;
  /** 1 from an attempt's start until it is sent: it has a place at work, and no answer will free it. */
  readonly #intending: Uint8Array;
  /** The version of the payment in a slot that is over, see `over`. */
  readonly #overVersion: Float64Array;
  /** Slots with an intent in the store, that are yet to be sent. */
  readonly #outbox: FixedDeque<number>;
  #closed = false;

  constructor(parts: AttemptsParts) {
    const { capacity } = parts.pool;
    this.#parts = parts;
    this.#pool = parts.pool;
    this.#writer = parts.writer;
    this.#role = new Uint8Array(capacity);
    this.#intending = new Uint8Array(capacity);
    this.#overVersion = new Float64Array(capacity).fill(NONE);
    this.#outbox = new FixedDeque<number>(Int32Array, parts.concurrency * 2 + asideAtWorkMax);
  }

  /** An attempt on `to` begins: it leaves as soon as the store has its intent. */
  start(slot: number, to: ProcessorIndex): void {
    const pool = this.#pool;
    const { gate, clock } = this.#parts;
    const pinned = pool.state[slot] === PINNED;
    assert(pinned || pool.state[slot] === WAITING, 'an attempt on a payment that does not wait for one');
    assert(!pinned || pool.processorOf(slot) === to, 'a pinned payment left for the other processor');
    assert(this.#intending[slot] === 0 && pool.storing[slot] === 0);
    if (pinned && this.#overVersion[slot] === pool.version[slot]) {
      pool.free(slot);
      return;
    }
    if (isAside(pool.suspicion[slot]!)) {
      gate.tookAside(to);
      this.#role[slot] = ASIDE_TRY;
    } else this.#role[slot] = gate.took(to) ? PROBE : PLAIN;
    this.#intending[slot] = 1;
    pool.attempts[slot]! += 1;
    if (pinned) {
      // The store has this intent already: same processor, same requestedAt.
      this.sendSoon(slot);
      return;
    }
    // After a power loss the store has to know which processor can have it, or both would get it.
    const isOtherProcessor = to !== pool.processorOf(slot);
    if (isOtherProcessor) pool.failedFirstMs[slot] = 0;
    pool.tries[slot] = triesAfterSending(to, pool.tries[slot]!);
    pool.processor[slot] = to;
    pool.requestedAtMs[slot] = clock.wallMs();
    pool.state[slot] = SENT;
    this.#writer.mark(slot, isOtherProcessor);
  }

  /** The store has the intent. */
  sendSoon(slot: number): void {
    assert(this.#intending[slot] === 1, 'sent without an intent');
    this.#outbox.push(slot);
    this.#parts.wake();
  }

  /** Sends what the store has the intents of, at least one, as far as the turn has time. */
  sendSome(): void {
    const { clock, gate, wake } = this.#parts;
    for (let slot = this.#outbox.shift(); slot !== undefined; slot = this.#outbox.shift()) {
      this.#send(slot);
      if (this.#outbox.size > 0 && !gate.hasTime(clock.monotonicMs())) {
        wake();
        return;
      }
    }
  }

  /**
   * Nothing is left to be done of a payment. One that is pinned needs no new intent, from which that would
   * be found out: it goes in its turn.
   */
  over(slot: number): void {
    this.#overVersion[slot] = this.#pool.version[slot]!;
  }

  /** Another instance owns this payment, so nothing of it may leave here. */
  notOurs(slot: number): void {
    const pool = this.#pool;
    if (pool.state[slot] === SENT) {
      this.#abandon(slot);
      pool.free(slot);
    } else {
      pool.retire(slot);
    }
  }

  /** Attempts that have not left never will, and answers are ignored from now on. */
  close(): void {
    this.#closed = true;
    const { capacity } = this.#pool;
    for (let slot = 0; slot < capacity; slot++) if (this.#intending[slot] === 1) this.#abandon(slot);
    this.#parts.gate.close();
  }

  /** An attempt that had begun will not leave. */
  #abandon(slot: number): void {
    this.#intending[slot] = 0;
    const { gate } = this.#parts;
    const to = this.#pool.processorOf(slot);
    if (this.#role[slot] === ASIDE_TRY) gate.leftAside(to);
    else gate.abandoned(to, this.#role[slot] === PROBE);
  }

  #send(slot: number): void {
    const pool = this.#pool;
    const { processors, clock, chance } = this.#parts;
    assert(pool.state[slot] === SENT || pool.state[slot] === PINNED);
    assert(pool.seq[slot]! > 0 && pool.requestedAtMs[slot]! > 0, 'the store has no intent of this attempt');
    this.#intending[slot] = 0;
    const flight: Flight = {
      slot,
      version: pool.version[slot]!,
      to: pool.processorOf(slot),
      role: this.#role[slot] as Role,
      startedMs: clock.monotonicMs(),
      correlationId: pool.textOf(slot),
      cents: pool.cents[slot]!,
      requestedAtMs: pool.requestedAtMs[slot]!,
      traceparent: pool.traces.traceparent(slot, chance),
    };
    processors.post(flight.to, flight, ending => {
      if (this.#closed) return;
      this.#ended(flight, ending);
      if (flight.role === ASIDE_TRY) this.#parts.gate.leftAside(flight.to);
      else this.#parts.gate.left(flight.to);
      this.#parts.wake();
    });
  }

  #ended(flight: Flight, ending: AttemptResult): void {
    const { slot, to, role } = flight;
    const { gate, clock, events } = this.#parts;
    const pool = this.#pool;
    const nowMs = clock.monotonicMs();
    const durationMs = nowMs - flight.startedMs;
    const judgement = classify(ending, this.#parts.policy.refusalStatuses);
    const { outcome, verdict } = judgement;
    const restMs = restMsAfter(ending, outcome);
    const shown = { durationMs, restMs, isProbe: role === PROBE, isAside: role === ASIDE_TRY };
    gate.learn(to, judgement, shown, nowMs);
    if (pool.version[slot] !== flight.version) return;

    const pinned = pool.state[slot] === PINNED;
    events.attempted(flight, to, outcome, durationMs);
    if (outcome === 'processed') {
      this.settle(slot, pool.requestedAtMs[slot]!);
      return;
    }
    pool.state[slot] = after(verdict === 'processed' ? 'unknown' : verdict, pinned);
    if (outcome === 'already processed') {
      this.#reconcile(flight, () => this.#writer.attempt(slot, OUTCOMES.indexOf(outcome), 0, clock.wallMs()));
      return;
    }
    if (pool.state[slot] === WAITING) pool.tries[slot] = triesAfterRefusal(to, pool.tries[slot]!);
    this.#suspect(flight, judgement);
    this.#writer.attempt(slot, OUTCOMES.indexOf(outcome), durationMs, clock.wallMs());
    // What asks for quiet is not asked, either.
    if (verdict === 'unknown' && restMs === 0) this.#reconcile(flight, () => {});
    else this.#again(slot, to, restMs);
  }

  /** Whether the payment itself is the reason why it was not processed. */
  #suspect({ slot, to, startedMs }: Flight, judgement: Judgement): void {
    const pool = this.#pool;
    const isFirst = pool.failedFirstMs[slot] === 0;
    if (isFirst) pool.failedFirstMs[slot] = startedMs;
    const isAlone =
      judgement.processor === 'fails' &&
      pool.failures[slot]! + 1 >= failuresAloneMin &&
      this.#parts.gate.hasSettledSince(to, pool.failedFirstMs[slot]!);
    pool.suspicion[slot] = suspicionAfter(pool.suspicion[slot]!, to, judgement, isAlone);
  }

  /** Another attempt follows after a pause, or it is held: for the first time, or again after its tries. */
  #again(slot: number, to: ProcessorIndex, restMs: number): void {
    const pool = this.#pool;
    const marks = pool.suspicion[slot]!;
    const isRoundOver = pool.state[slot] === PINNED || to === FALLBACK;
    if (pool.held[slot] !== NOT_HELD && isRoundOver) this.hold(slot, pool.held[slot] as Hold);
    else if (pool.state[slot] === WAITING && to === FALLBACK && isToBeHeld(marks))
      this.hold(slot, HELD_REFUSED);
    else {
      if (pool.state[slot] === WAITING && to === FALLBACK) pool.suspicion[slot] = suspicionInNextRound(marks);
      this.#parts.retries.begin(slot, restMs);
    }
  }

  /**
   * The processor has the payment, or may have it: its own record tells when it was requested, and with which
   * amount. That it has none yet proves nothing; `notThere` is called then.
   */
  #reconcile(flight: Flight, notThere: () => void): void {
    const { slot, to } = flight;
    const pool = this.#pool;
    const { processors, gate, chance } = this.#parts;
    const version = pool.version[slot]!;
    gate.tookLookUp(to);
    const heard = (found: Found): void => {
      if (this.#closed) return;
      this.#parts.gate.left(to);
      this.#parts.wake();
      if (pool.version[slot] !== version) return;
      if (found.is === 'there' && found.cents === pool.cents[slot]) {
        this.settle(slot, found.requestedAtMs);
        return;
      }
      notThere();
      if (found.is === 'there') {
        this.#parts.events.amountDiffers(flight, to, found.cents);
        this.hold(slot, HELD_AMOUNT);
      } else this.#again(slot, to, 0);
    };
    processors.find(to, pool.textOf(slot), heard, pool.traces.traceparent(slot, chance));
  }

  /** The payment is held, and leaves the pool once the store has that. */
  hold(slot: number, reason: Hold): void {
    const pool = this.#pool;
    const { clock, chance } = this.#parts;
    const nowMs = clock.wallMs();
    const waitedMs = pool.held[slot] === NOT_HELD ? 0 : nowMs - pool.acceptedAtMs[slot]!;
    pool.held[slot] = reason;
    this.#writer.hold(slot, nowMs + heldPauseMs(waitedMs, chance()));
  }

  /** The processor of the last attempt has booked the payment as of `requestedAtMs`. */
  settle(slot: number, requestedAtMs: number): void {
    const pool = this.#pool;
    const { clock, events } = this.#parts;
    assert(pool.state[slot] === SENT || pool.state[slot] === PINNED, 'settled without an attempt');
    pool.requestedAtMs[slot] = requestedAtMs;
    pool.state[slot] = SETTLED;
    this.#writer.settle(slot, clock.wallMs());
    const waitedMs = clock.monotonicMs() - pool.acceptedMonotonicMs[slot]!;
    events.settled(pool.processorOf(slot), pool.cents[slot]!, waitedMs);
  }
}

/** For how long the processor asked to be left alone; 0: it did not. */
function restMsAfter(ending: AttemptResult, outcome: Outcome): number {
  const askedMs = 'status' in ending ? ending.retryAfterMs : undefined;
  if (outcome === 'overloaded') return askedMs === undefined ? OVERLOADED_MS : Math.max(1, askedMs);
  return outcome === 'unavailable' ? (askedMs ?? 0) : 0;
}
