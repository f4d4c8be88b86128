/**
 * The attempts of one instance, each from its intent to what its end means for the payment, by the rules of
 * `settlement`.
 *
 *    start ──> intent in the ledger ──written──> outbox ──> processors.post ──> judged ──> settled
 *      └───── pinned: the store has its intent ─────^                             ├──> pause
 *                                                                                 └──> processors.find ──> either
 */
import { FixedDeque } from 'mnemonist';
import type { Clock } from '../domain/clock.ts';
import { type AttemptResult, classify, OUTCOMES, type Outcome } from '../domain/outcome.ts';
import { PINNED, type ProcessorIndex, SENT, SETTLED, WAITING } from '../domain/payment.ts';
import { after, triesAfterRefusal, triesAfterSending } from '../domain/settlement.ts';
import type { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Found, PaymentRequest, Processors } from '../processors/port.ts';
import type { InFlight } from './in-flight.ts';
import type { PaymentPool } from './payment-pool.ts';
import type { RetrySchedule } from './retry-schedule.ts';
import type { StoreWriter } from './store-writer.ts';

/**
 * Attempts whose intents the store has leave for so long in one turn, at least one: the intents of a page are
 * stored together, and a payment that is read meanwhile would wait until all of them have left.
 */
const SENDING_MS = 0.2;

/** Rests after a 429 that names no time. */
const OVERLOADED_MS = 100;

export interface AttemptsParts {
  readonly pool: PaymentPool;
  readonly writer: StoreWriter;
  readonly retries: RetrySchedule;
  readonly inFlight: InFlight;
  readonly processors: Processors;
  readonly breakers: readonly [CircuitBreaker, CircuitBreaker];
  readonly clock: Clock;
  /** 0 to 1. */
  readonly chance: () => number;
  /** Attempts at work at once. */
  readonly concurrency: number;
  readonly events: AttemptEvents;
  /** There is something to send, or a place for another attempt. */
  readonly wake: () => void;
}

export interface AttemptEvents {
  settled(processor: ProcessorIndex, cents: number, waitedMs: number): void;
  attempted(request: PaymentRequest, processor: ProcessorIndex, outcome: Outcome, durationMs: number): void;
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

export class Attempts {
  readonly #parts: AttemptsParts;
  readonly #pool: PaymentPool;
  readonly #writer: StoreWriter;
  readonly #probing: Uint8Array;
  /** 1 from an attempt's start until it is sent: it has a place at work, and no answer will free it. */
  readonly #intending: Uint8Array;
  /** Slots with an intent in the store, that are yet to be sent. */
  readonly #outbox: FixedDeque<number>;
  #closed = false;

  constructor(parts: AttemptsParts) {
    const { capacity } = parts.pool;
    this.#parts = parts;
    this.#pool = parts.pool;
    this.#writer = parts.writer;
    this.#probing = new Uint8Array(capacity);
    this.#intending = new Uint8Array(capacity);
    this.#outbox = new FixedDeque<number>(Int32Array, parts.concurrency);
  }

  /** An attempt on `to` begins: it leaves as soon as the store has its intent. */
  start(slot: number, to: ProcessorIndex): void {
    const pool = this.#pool;
    const { inFlight, breakers, clock } = this.#parts;
    const pinned = pool.state[slot] === PINNED;
    inFlight.take(to);
    this.#probing[slot] = breakers[to].start() ? 1 : 0;
    this.#intending[slot] = 1;
    pool.attempts[slot]! += 1;
    if (pinned) {
      // The store has this intent already: same processor, same requestedAt.
      this.sendSoon(slot);
      return;
    }
    // After a power loss the store has to know who can have it, or it would be sent to the other one as well.
    const isOtherProcessor = to !== pool.processorOf(slot);
    pool.tries[slot] = triesAfterSending(to, pool.tries[slot]!);
    pool.processor[slot] = to;
    pool.requestedAtMs[slot] = clock.wallMs();
    pool.state[slot] = SENT;
    this.#writer.mark(slot, isOtherProcessor);
  }

  /** The store has the intent. */
  sendSoon(slot: number): void {
    this.#outbox.push(slot);
    this.#parts.wake();
  }

  /** Sends what the store has the intents of, as far as a turn allows. */
  sendSome(nowMs: number): void {
    const { clock, wake } = this.#parts;
    for (let slot = this.#outbox.shift(); slot !== undefined; slot = this.#outbox.shift()) {
      this.#send(slot);
      if (this.#outbox.size > 0 && clock.monotonicMs() - nowMs > SENDING_MS) {
        wake();
        return;
      }
    }
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

  /** A purge: what has not left never will. The queue is to be cleared next, so that no answer is heard. */
  forget(): void {
    this.#abandonIntents();
    this.#outbox.clear();
  }

  /** What has not left never will, and no answer is heard any more. */
  close(): void {
    this.#closed = true;
    this.#abandonIntents();
    // The breakers outlive this worker: a probe whose end nobody hears would leave its circuit half-open for
    // ever.
    for (const breaker of this.#parts.breakers) breaker.abandoned(true);
  }

  /** An attempt that had begun will not leave. */
  #abandon(slot: number): void {
    const to = this.#pool.processorOf(slot);
    this.#intending[slot] = 0;
    this.#parts.inFlight.leave(to);
    this.#parts.breakers[to].abandoned(this.#probing[slot] === 1);
  }

  #abandonIntents(): void {
    const { capacity } = this.#pool;
    for (let slot = 0; slot < capacity; slot++) if (this.#intending[slot] === 1) this.#abandon(slot);
  }

  #send(slot: number): void {
    const pool = this.#pool;
    const { processors, clock, chance } = this.#parts;
    this.#intending[slot] = 0;
    const flight: Flight = {
      slot,
      version: pool.version[slot]!,
      to: pool.processorOf(slot),
      probe: this.#probing[slot] === 1,
      startedMs: clock.monotonicMs(),
      correlationId: pool.textOf(slot),
      cents: pool.cents[slot]!,
      requestedAtMs: pool.requestedAtMs[slot]!,
      traceparent: pool.traces.traceparent(slot, chance),
    };
    processors.post(flight.to, flight, ending => {
      if (this.#closed) return;
      this.#ended(flight, ending);
      this.#parts.inFlight.leave(flight.to);
      this.#parts.wake();
    });
  }

  #ended(flight: Flight, ending: AttemptResult): void {
    const { slot, to, probe } = flight;
    const { retries, inFlight, breakers, clock, events } = this.#parts;
    const pool = this.#pool;
    const nowMs = clock.monotonicMs();
    const durationMs = nowMs - flight.startedMs;
    const { outcome, verdict } = classify(ending);
    const restMs = outcome === 'overloaded' ? retryAfterMs(ending) : 0;
    if (outcome === 'processed') inFlight.processed(to, durationMs, nowMs);
    if (verdict === 'processed') breakers[to].succeeded();
    else if (restMs > 0) breakers[to].overloaded(nowMs, restMs, probe);
    else breakers[to].failed(nowMs, probe);
    if (pool.version[slot] !== flight.version) return;

    const pinned = pool.state[slot] === PINNED;
    events.attempted(flight, to, outcome, durationMs);
    if (outcome === 'processed') {
      this.#settle(slot, pool.requestedAtMs[slot]!);
      return;
    }
    pool.state[slot] = after(verdict === 'processed' ? 'unknown' : verdict, pinned);
    if (outcome === 'already processed' || (verdict === 'unknown' && pinned)) {
      this.#reconcile(slot, to, outcome);
      return;
    }
    if (pool.state[slot] === WAITING) {
      pool.tries[slot] = triesAfterRefusal(to, pool.tries[slot]!);
      this.#writer.mark(slot);
    }
    this.#writer.attempt(slot, OUTCOMES.indexOf(outcome), durationMs, clock.wallMs());
    retries.begin(slot, restMs);
  }

  /**
   * The processor has the payment, or may have it: its own record tells when it was requested. That it has
   * none yet proves nothing.
   */
  #reconcile(slot: number, to: ProcessorIndex, outcome: Outcome): void {
    const pool = this.#pool;
    const { processors, inFlight, chance } = this.#parts;
    const version = pool.version[slot]!;
    inFlight.take(to);
    const heard = (found: Found): void => {
      if (this.#closed) return;
      this.#parts.inFlight.leave(to);
      this.#parts.wake();
      if (pool.version[slot] !== version) return;
      if (found.is === 'there') {
        this.#settle(slot, found.requestedAtMs);
        return;
      }
      this.#writer.attempt(slot, OUTCOMES.indexOf(outcome), 0, this.#parts.clock.wallMs());
      this.#parts.retries.begin(slot, 0);
    };
    processors.find(to, pool.textOf(slot), heard, pool.traces.traceparent(slot, chance));
  }

  #settle(slot: number, requestedAtMs: number): void {
    const pool = this.#pool;
    const { clock, events } = this.#parts;
    pool.requestedAtMs[slot] = requestedAtMs;
    pool.state[slot] = SETTLED;
    this.#writer.settle(slot, clock.wallMs());
    const waitedMs = clock.monotonicMs() - pool.acceptedMonotonicMs[slot]!;
    events.settled(pool.processorOf(slot), pool.cents[slot]!, waitedMs);
  }
}

const retryAfterMs = (ending: AttemptResult): number =>
  'status' in ending && ending.retryAfterMs !== undefined ? Math.max(1, ending.retryAfterMs) : OVERLOADED_MS;
