/**
 * Uncertain payments: both processors are asked for each before anything of it leaves, by the rules of
 * `settlement`.
 *
 *     ready queue (uncertain) ──> processors.find, at both ──> settled
 *            ^                            │              └───> ready queue (as it was)
 *            └────── retry schedule <─────┴── no answer; another amount ──> held
 */
import type { Clock } from '../domain/clock.ts';
import { DEFAULT, FALLBACK, HELD_AMOUNT, type Hold, PINNED, type ProcessorIndex } from '../domain/payment.ts';
import { afterAsking, type ProcessorSays } from '../domain/settlement.ts';
import type { Found, Processors } from '../processors/port.ts';
import type { AttemptEvents } from './attempts.ts';
import type { DispatchGate } from './dispatch-gate.ts';
import { NONE, type PaymentPool } from './payment-pool.ts';
import type { ReadyQueue } from './ready-queue.ts';
import type { RetrySchedule } from './retry-schedule.ts';

export interface AskingParts {
  readonly pool: PaymentPool;
  readonly ready: ReadyQueue;
  readonly retries: RetrySchedule;
  readonly gate: DispatchGate;
  readonly processors: Processors;
  readonly clock: Clock;
  /** 0 to 1. */
  readonly chance: () => number;
  /** On the monotonic clock: an earlier answer would prove nothing. */
  readonly asksFromMs: number;
  readonly events: AskingEvents;
  /** The processor of the payment has booked it. */
  readonly settle: (slot: number, requestedAtMs: number) => void;
  /** It leaves the pool until it is tried again, or a person has looked at it. */
  readonly hold: (slot: number, reason: Hold) => void;
  /** There is something to send, or a place for another attempt. */
  readonly wake: () => void;
}

export interface AskingEvents extends Pick<AttemptEvents, 'amountDiffers'> {
  /** Both processors have a payment: it is booked at `by`, and the other one has to give its money back. */
  doubled(correlationId: string, by: ProcessorIndex): void;
}

export class Asking {
  readonly #parts: AskingParts;
  #closed = false;

  constructor(parts: AskingParts) {
    this.#parts = parts;
  }

  /** Asks for as many uncertain payments as there are places. */
  askSome(nowMs: number): void {
    const { ready, gate, clock, asksFromMs, wake } = this.#parts;
    if (nowMs < asksFromMs) return;
    while (ready.uncertain > 0 && gate.mayAsk) {
      const slot = ready.nextUncertain();
      if (slot === NONE) return;
      this.#ask(slot);
      if (ready.uncertain > 0 && !gate.hasTime(clock.monotonicMs())) {
        wake();
        return;
      }
    }
  }

  /** When the first question may be asked, in monotonic ms; Infinity: an event has to come first. */
  nextAtMs(nowMs: number): number {
    const { ready, asksFromMs } = this.#parts;
    return ready.uncertain > 0 && asksFromMs > nowMs ? asksFromMs : Infinity;
  }

  /** Answers are ignored from now on. */
  close(): void {
    this.#closed = true;
  }

  #ask(slot: number): void {
    const { pool, gate, processors, chance, wake } = this.#parts;
    const version = pool.version[slot]!;
    const found: [Found | undefined, Found | undefined] = [undefined, undefined];
    for (const processor of [DEFAULT, FALLBACK] as const) {
      gate.tookLookUp(processor);
      const heard = (answer: Found): void => {
        if (this.#closed) return;
        gate.left(processor);
        wake();
        found[processor] = answer;
        const [byDefault, byFallback] = found;
        if (byDefault === undefined || byFallback === undefined || pool.version[slot] !== version) return;
        this.#asked(slot, [byDefault, byFallback]);
      };
      processors.find(processor, pool.textOf(slot), heard, pool.traces.traceparent(slot, chance));
    }
  }

  #asked(slot: number, found: readonly [Found, Found]): void {
    const { pool, ready, retries, events, settle, hold } = this.#parts;
    const cents = pool.cents[slot]!;
    const pinnedTo = pool.state[slot] === PINNED ? pool.processorOf(slot) : undefined;
    const correlationId = pool.textOf(slot);
    for (const processor of [DEFAULT, FALLBACK] as const) {
      const { [processor]: said } = found;
      if (said.is === 'there' && said.cents !== cents)
        events.amountDiffers(
          { correlationId, cents, requestedAtMs: said.requestedAtMs },
          processor,
          said.cents,
        );
    }
    const next = afterAsking([saidOf(found[DEFAULT], cents), saidOf(found[FALLBACK], cents)], pinnedTo);
    if (next.is === 'uncertain') {
      if (next.because === 'another amount') hold(slot, HELD_AMOUNT);
      else retries.begin(slot, 0);
      return;
    }
    pool.uncertain[slot] = 0;
    if (next.is === 'as it was') {
      ready.enter(slot);
      return;
    }
    const { by, isDouble } = next;
    if (isDouble) events.doubled(correlationId, by);
    // It was sent, by whom is forgotten.
    pool.state[slot] = PINNED;
    pool.processor[slot] = by;
    pool.attempts[slot] = Math.max(1, pool.attempts[slot]!);
    settle(slot, (found[by] as Found & { is: 'there' }).requestedAtMs);
  }
}

function saidOf(found: Found, cents: number): ProcessorSays {
  if (found.is === 'unavailable') return 'no answer';
  if (found.is === 'absent') return 'does not have it';
  return found.cents === cents ? 'has it' : 'has another amount';
}
