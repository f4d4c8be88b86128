import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OUTCOMES, type Outcome } from '../domain/outcome.ts';
import { DEFAULT, FALLBACK, PINNED, SENT, SETTLED, WAITING } from '../domain/payment.ts';
import type { History, InspectedAttempt, InspectedPayment } from '../storage/inspection.ts';
import type { ProcessorFigures } from '../telemetry/snapshot.ts';
import { timelineOf } from './payment-timeline.ts';

const policy = {
  defaultAttempts: 5,
  attemptTimeoutMs: 10_000,
  backoffMinMs: 100,
  backoffMaxMs: 2000,
  fallbackAfterMs: 30_000,
  workerConcurrency: 64,
  ackAfter: 'commit',
  fees: null,
};

function history(payment: Partial<InspectedPayment>, attempts: InspectedAttempt[] = []): History {
  return {
    payment: {
      correlationId: '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3',
      cents: 1990,
      state: WAITING,
      processor: undefined,
      acceptedAtMs: 1000,
      requestedAtMs: 0,
      settledAtMs: 0,
      isUncertain: false,
      attempts: 0,
      tries: 0,
      held: 0,
      retryAtMs: 0,
      owner: 'backend-1',
      ...payment,
    },
    attempts,
    acts: [],
  };
}

const attempt = (number: number, name: Outcome, endedAtMs: number): InspectedAttempt => ({
  number,
  processor: DEFAULT,
  requestedAtMs: endedAtMs - 5,
  endedAtMs,
  durationMs: 5,
  outcome: OUTCOMES.indexOf(name),
});

const circuits = (circuit: ProcessorFigures['circuit'], probeAtMs = 0, probing = false) =>
  [
    { circuit, probing, probeAtMs, healthAtMs: 1 },
    { circuit: 'closed', probing: false, probeAtMs: 0, healthAtMs: 1 },
  ] as const;

test('a settled payment has a beginning, its failed attempts and an end, and waits for nothing', () => {
  const timeline = timelineOf(
    history({ state: SETTLED, processor: FALLBACK, attempts: 2, requestedAtMs: 2000, settledAtMs: 2012 }, [
      attempt(1, 'failed', 1500),
    ]),
    undefined,
    policy,
  );
  assert.deepEqual(
    timeline.events.map(({ kind, atMs, durationMs, processor }) => [kind, atMs, durationMs, processor]),
    [
      ['accepted', 1000, null, null],
      ['attempt', 1495, 5, 'default'],
      ['settled', 2012, 12, 'fallback'],
    ],
  );
  assert.equal(timeline.waits, null);
});

test('a payment on its way waits for the answer, until the time-out', () => {
  const timeline = timelineOf(
    history({ state: SENT, processor: DEFAULT, requestedAtMs: 5000, attempts: 1 }),
    undefined,
    policy,
  );
  assert.equal(timeline.waits?.untilMs, 15_000);
  assert.equal(timeline.events.at(-1)?.kind, 'sent');
});

test('a pinned payment waits for its processor alone, and for the next probe of it', () => {
  const timeline = timelineOf(
    history({ state: PINNED, processor: DEFAULT, attempts: 1 }, [attempt(1, 'timed out', 1500)]),
    circuits('open', 9000),
    policy,
  );
  assert.match(timeline.waits!.why, /only default is asked again/);
  assert.equal(timeline.waits?.untilMs, 9000);
});

test('while the circuit of default is open a payment waits until fallback may take it', () => {
  const timeline = timelineOf(history({}), circuits('open'), policy);
  assert.match(timeline.waits!.why, /circuit is open/);
  assert.equal(timeline.waits?.untilMs, 31_000);
});

test('a half-open circuit holds a payment up only while its probe is on its way', () => {
  assert.match(timelineOf(history({}), circuits('half-open', 0, true), policy).waits!.why, /probe/);
  assert.equal(timelineOf(history({}), circuits('half-open'), policy).waits?.why, 'its turn');
});

test('a pause ends at the latest when it has doubled as often as attempts failed', () => {
  const attempts = [attempt(1, 'failed', 1100), attempt(2, 'failed', 1300), attempt(3, 'failed', 1700)];
  const timeline = timelineOf(
    history({ processor: DEFAULT, attempts: 3, tries: 3 }, attempts),
    circuits('closed'),
    policy,
  );
  assert.equal(timeline.waits?.untilMs, 1700 + 400);
});

test('a payment that used up its attempts on default waits for fallback', () => {
  const timeline = timelineOf(
    history({ processor: DEFAULT, attempts: 5, tries: 5 }),
    circuits('closed'),
    policy,
  );
  assert.match(timeline.waits!.why, /fallback is next/);
});
