import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../domain/clock.ts';
import { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Processors } from '../processors/port.ts';
import { MemoryState } from '../storage/memory/state.ts';
import { MemoryStore } from '../storage/memory/store.ts';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { IGNORED, workerOn } from '../testing/worker-stand.ts';
import { PaymentPool } from './payment-pool.ts';

const PAYMENTS = 9;

/**
 * How many of nine attempts, whose intents were stored together, are sent in each turn from the first on that
 * sends any. `lookingMs`: a look at the clock takes so long, as on a machine that has little time for this.
 */
function sentByTurn(sendingMs: number, lookingMs = 0): readonly number[] {
  let nowMs = 0;
  const turn: (() => void)[] = [];
  const clock: Clock = {
    monotonicMs() {
      nowMs += lookingMs;
      return nowMs;
    },
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
      nowMs += sendingMs;
    },
    find: () => {},
    health: () => {},
  };
  const store = new MemoryStore(new MemoryState(), { schedule: carryOut => void turn.push(carryOut()) });
  store.join('backend-1', () => {});
  const pool = new PaymentPool(64);
  const worker = workerOn({ pool, store, processors, clock });
  for (let id = 1; id <= PAYMENTS; id++) worker.enter(pool.add([0, 0, 0, id], 1990, 0, 0));

  const inTurn: number[] = [];
  while (sent.length < PAYMENTS) {
    const before = sent.length;
    const tasks = turn.splice(0);
    assert.notEqual(tasks.length, 0, 'nothing is left to happen');
    assert.ok(inTurn.length < 1000, 'some are never sent');
    nowMs += 1;
    for (const task of tasks) task();
    inTurn.push(sent.length - before);
  }
  assert.equal(new Set(sent).size, PAYMENTS);
  return inTurn.slice(inTurn.findIndex(count => count > 0));
}

test('attempts whose intents were stored together do not all leave in one turn: input is read between them', () => {
  const counts = sentByTurn(0.15);
  assert.ok(Math.max(...counts) < PAYMENTS, `sent by turn: ${counts}`);
});

test('however long sending takes, every turn sends at least one, until all are sent once', () => {
  for (const sendingMs of [0, 0.15, 1, 100]) {
    const counts = sentByTurn(sendingMs);
    assert.ok(Math.min(...counts) >= 1, `sent by turn: ${counts}`);
  }
});

test('all are sent even where a turn has no time left before it sends the first', () => {
  assert.equal(Math.max(...sentByTurn(0, 1)), 1);
});

test('a session that is found to be over in the middle of a turn takes no probe along', () => {
  const time = new VirtualClock();
  let [writeMs, writingMs] = [0, 0];
  const clock: Clock = {
    monotonicMs: () => time.monotonicMs() + writingMs,
    wallMs: () => 1e12 + time.monotonicMs(),
    after: (delayMs, task) => time.after(delayMs, task),
    soon: task => void time.after(0, task),
  };
  const processors: Processors = { post: () => assert.fail('fenced'), find() {}, health() {} };
  const state = new MemoryState();
  const schedule = (carryOut: () => () => void): void => {
    writingMs += writeMs;
    carryOut()();
  };
  const at = { schedule };
  const store = new MemoryStore(state, at);
  store.join('backend-1', () => {});
  const breakers = [new CircuitBreaker(), new CircuitBreaker()] as const;
  for (const each of breakers) each.reported(true, 0);
  const pool = new PaymentPool(64);
  const fenced = (): void => worker.close();
  const events = { ...IGNORED, fenced };
  const worker = workerOn({ pool, store, processors, clock, breakers, events });
  for (let id = 1; id <= PAYMENTS; id++) worker.enter(pool.add([0, 0, 0, id], 1990, 0, 0));
  time.pass(1);
  // It is stopped in the middle of its next write, and taken for dead.
  writeMs = 4000;
  new MemoryStore(state, at).join('backend-1', () => {});
  for (const each of breakers) each.reported(false, 0);
  worker.nudge();
  time.pass(1);
  assert.deepEqual(
    breakers.map(({ circuit, isProbing }) => [circuit, isProbing]),
    [
      ['half-open', false],
      ['half-open', false],
    ],
  );
});
