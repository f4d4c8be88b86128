/** Attempts with a store, circuits and pauses of their own, and processors that answer what a test says. */
import assert from 'node:assert/strict';
import type { AttemptResult } from '../domain/outcome.ts';
import type { ProcessorIndex } from '../domain/payment.ts';
import { Attempts } from '../payments/attempts.ts';
import { DispatchGate } from '../payments/dispatch-gate.ts';
import { RetrySchedule } from '../payments/retry-schedule.ts';
import { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Found, PaymentRequest } from '../processors/port.ts';
import { PUT_ON_HOLD, SETTLE } from '../storage/batch.ts';
import { KNOWN } from '../storage/ports.ts';
import { fakeProcessors } from './fakes.ts';
import { type BatchRow, type WriterStand, writerStand } from './store-stand.ts';

export const BACKOFF_MIN_MS = 100;
const POLICY = { defaultAttempts: 5, backoffMinMs: BACKOFF_MIN_MS, backoffMaxMs: 200, fallbackAfterMs: 1000 };

/** By then everything that an attempt comes to is in the store. */
const WRITTEN_MS = 150;

export interface AttemptsStand extends WriterStand {
  readonly attempts: Attempts;
  readonly gate: DispatchGate;
  readonly retries: RetrySchedule;
  readonly breakers: readonly [CircuitBreaker, CircuitBreaker];
  readonly sent: { readonly to: ProcessorIndex; readonly request: PaymentRequest }[];
  readonly lookedUp: string[];
  readonly events: string[];
  /** How an attempt ends; undefined: never. */
  answer: AttemptResult | undefined;
  /** What a look-up shows; undefined: it never ends. */
  found: Found | undefined;
  /** Starts an attempt that ends so, and waits until all of it is in the store; the rows since. */
  attempt(slot: number, to: ProcessorIndex, answer: AttemptResult): readonly BatchRow[];
  /** Starts an attempt that ends so, and lets time pass until it is sent. */
  send(slot: number, to: ProcessorIndex, answer: AttemptResult): void;
  /** Lets time pass until something is looked up. */
  awaitLookUp(): void;
}

export function attemptsStand(): AttemptsStand {
  const sent: AttemptsStand['sent'] = [];
  const lookedUp: string[] = [];
  const events: string[] = [];
  const writing = writerStand({
    // As the worker does it.
    over: slot => attempts.over(slot),
    written(slot, kind, result, isSent) {
      if (kind === SETTLE || kind === PUT_ON_HOLD) pool.free(slot);
      else if (result === KNOWN) attempts.notOurs(slot);
      else if (isSent) attempts.sendSoon(slot);
    },
  });
  const { pool, clock, loop, writer } = writing;
  const breakers = [new CircuitBreaker(), new CircuitBreaker()] as const;
  const gate = new DispatchGate(16, breakers, POLICY.fallbackAfterMs);
  const chance = (): number => 0.5;
  const retries = new RetrySchedule(pool, clock, chance, POLICY);
  const turn = (): void => {
    gate.beginTurn(clock.monotonicMs());
    attempts.sendSome();
    writer.submit();
  };
  const attempts = new Attempts({
    pool,
    writer,
    retries,
    gate,
    clock,
    chance,
    concurrency: 16,
    policy: POLICY,
    processors: fakeProcessors(
      loop,
      (to, request) => {
        sent.push({ to, request: { ...request } });
        return stand.answer;
      },
      (to, correlationId) => {
        lookedUp.push(`${correlationId.slice(0, 8)} at ${to}`);
        return stand.found;
      },
    ),
    events: {
      settled: (processor, cents, waitedMs) =>
        void events.push(`settled ${cents} on ${processor} after ${waitedMs}`),
      attempted: (_request, processor, outcome) => void events.push(`${outcome} on ${processor}`),
      amountDiffers: (_request, processor, cents) => void events.push(`${cents} cents on ${processor}`),
    },
    wake: () => clock.soon(turn),
  });
  const stand: AttemptsStand = Object.assign(writing, {
    attempts,
    gate,
    retries,
    breakers,
    sent,
    lookedUp,
    events,
    answer: undefined as AttemptResult | undefined,
    found: undefined as Found | undefined,
    attempt(slot: number, to: ProcessorIndex, answer: AttemptResult) {
      stand.answer = answer;
      const before = stand.writes.length;
      attempts.start(slot, to);
      writer.submit();
      stand.pass(WRITTEN_MS);
      return stand.writes.slice(before).flatMap(({ rows }) => rows);
    },
    send(slot: number, to: ProcessorIndex, answer: AttemptResult) {
      stand.answer = answer;
      const before = sent.length;
      attempts.start(slot, to);
      writer.submit();
      for (let steps = 0; sent.length === before; steps++) {
        assert(steps < 1000, 'it is never sent');
        stand.pass(0.1);
      }
    },
    awaitLookUp() {
      for (let steps = 0; lookedUp.length === 0; steps++) {
        assert(steps < 1000, 'nothing is looked up');
        stand.pass(0.1);
      }
    },
  });
  return stand;
}
