import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../domain/clock.ts';
import { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Processors } from '../processors/port.ts';
import { MemoryState } from '../storage/memory/state.ts';
import { MemoryStore } from '../storage/memory/store.ts';
import { PaymentPool } from './payment-pool.ts';
import { Worker } from './worker.ts';

const SENDING_TAKES_MS = 0.15;
const PAYMENTS = 9;

test('attempts whose intents were stored together leave a few in a turn, so that input is read between them', () => {
  let nowMs = 0;
  const turn: (() => void)[] = [];
  const clock: Clock = {
    monotonicMs: () => nowMs,
    wallMs: () => Math.floor(nowMs),
    after: (_delayMs, task) => {
      turn.push(task);
      return { cancel() {} };
    },
    soon: task => void turn.push(task),
  };
  const sent: string[] = [];
  const processors: Processors = {
    post(_processor, { correlationId }) {
      sent.push(correlationId);
      nowMs += SENDING_TAKES_MS;
    },
    find: () => {},
    health: () => {},
  };
  const store = new MemoryStore(new MemoryState(), { schedule: carryOut => void turn.push(carryOut()) });
  store.join('backend-1', () => {});
  const pool = new PaymentPool(16);
  const worker = new Worker({
    pool,
    store,
    processors,
    breakers: [new CircuitBreaker(), new CircuitBreaker()],
    clock,
    chance: () => 0.5,
    policy: { defaultAttempts: 5, backoffMinMs: 1, backoffMaxMs: 2, fallbackAfterMs: 1000 },
    concurrency: 16,
    epoch: 1,
    generation: 1,
    parked: false,
    events: { stored() {}, settled() {}, attempted() {}, purged() {}, fenced() {}, faulty() {} },
  });
  for (let id = 1; id <= PAYMENTS; id++) worker.enter(pool.add([0, 0, 0, id], 1990, 0, 0));

  const inTurn: number[] = [];
  while (sent.length < PAYMENTS) {
    const before = sent.length;
    const tasks = turn.splice(0);
    assert.notEqual(tasks.length, 0, 'nothing is left to happen');
    nowMs += 1;
    for (const task of tasks) task();
    inTurn.push(sent.length - before);
  }
  assert.deepEqual(
    inTurn.filter(count => count > 0),
    [2, 2, 2, 2, 1],
  );
  assert.equal(new Set(sent).size, PAYMENTS);
});
