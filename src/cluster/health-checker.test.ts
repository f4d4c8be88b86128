import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT, FALLBACK, type ProcessorIndex } from '../domain/payment.ts';
import type { Processors } from '../processors/port.ts';
import { EventLoop, Process, ProcessClock } from '../simulation/event-loop.ts';
import { MemoryState } from '../storage/memory/state.ts';
import { MemoryStore } from '../storage/memory/store.ts';
import type { HealthReport } from '../storage/ports.ts';
import { HEALTH_MS, HealthChecker } from './health-checker.ts';

type Health = Parameters<Parameters<Processors['health']>[1]>[0];

const FAILING: Health = { failing: true, minResponseMs: 7 };

/** The checker of an instance that has the lease, with processors that answer when a test says so. */
function checkerStand() {
  const loop = new EventLoop();
  const process = new Process('a', 1, 0);
  const state = new MemoryState();
  const store = new MemoryStore(state, { schedule: carryOut => carryOut()() });
  store.join('a', () => {});
  store.takeChecker('', () => {});
  const asked: { readonly atMs: number; readonly to: ProcessorIndex }[] = [];
  const replies: [((health: Health) => void)[], ((health: Health) => void)[]] = [[], []];
  const processors: Processors = {
    post: () => assert.fail('nothing is paid here'),
    find: () => assert.fail('nothing is looked up here'),
    health(to, reply) {
      asked.push({ atMs: loop.nowMs, to });
      replies[to].push(reply);
    },
  };
  const checker = new HealthChecker(store, processors, new ProcessClock(loop, process, { offsetMs: 0 }));
  return {
    checker,
    state,
    /** When each processor was asked. */
    askedMs: (of: ProcessorIndex) => asked.filter(({ to }) => to === of).map(({ atMs }) => atMs),
    /** The processor answers the call of that number, from 0 on. */
    answer(of: ProcessorIndex, call: number, health: Health) {
      replies[of][call]!(health);
    },
    report: (of: ProcessorIndex): HealthReport => state.health[of],
    pass(ms: number) {
      const untilMs = loop.nowMs + ms;
      while (loop.step(untilMs));
    },
  };
}

/** What the processors allow: one call in each window of so long. */
const WINDOW_MS = 5000;

test('each call begins so long after the answer to the one before that the processor has a window for it', () => {
  assert.ok(HEALTH_MS > WINDOW_MS);
  const stand = checkerStand();
  stand.checker.start();
  assert.deepEqual([stand.askedMs(DEFAULT), stand.askedMs(FALLBACK)], [[0], [0]], 'both at once');
  stand.pass(300);
  stand.answer(DEFAULT, 0, FAILING);
  stand.pass(HEALTH_MS - 1);
  assert.deepEqual(stand.askedMs(DEFAULT), [0]);
  stand.pass(1);
  assert.deepEqual(stand.askedMs(DEFAULT), [0, 300 + HEALTH_MS]);
});

test('one call at a time: a processor that does not answer is not asked again, and holds up no other', () => {
  const stand = checkerStand();
  stand.checker.start();
  stand.pass(1);
  stand.answer(FALLBACK, 0, FAILING);
  for (let call = 1; call <= 3; call++) {
    stand.pass(HEALTH_MS);
    stand.answer(FALLBACK, call, FAILING);
  }
  assert.deepEqual(stand.askedMs(DEFAULT), [0]);
  assert.equal(stand.askedMs(FALLBACK).length, 4);
});

test('what a processor says of itself is reported to all; one that says nothing is asked again', () => {
  const stand = checkerStand();
  stand.checker.start();
  stand.answer(DEFAULT, 0, FAILING);
  assert.deepEqual(stand.report(DEFAULT), { ...FAILING, version: 1 });
  assert.equal(stand.report(FALLBACK).version, 0);
  stand.pass(HEALTH_MS);
  stand.answer(DEFAULT, 1, undefined);
  assert.equal(stand.report(DEFAULT).version, 1, 'no answer is no report');
  stand.pass(HEALTH_MS);
  stand.answer(DEFAULT, 2, { failing: false, minResponseMs: 0 });
  assert.deepEqual(stand.report(DEFAULT), { failing: false, minResponseMs: 0, version: 2 });
});

test('when the lease goes, what waits for its time is asked no more', () => {
  const stand = checkerStand();
  stand.checker.start();
  stand.answer(DEFAULT, 0, FAILING);
  stand.answer(FALLBACK, 0, FAILING);
  stand.pass(HEALTH_MS - 1);
  stand.checker.stop();
  stand.pass(HEALTH_MS * 3);
  assert.deepEqual([stand.askedMs(DEFAULT), stand.askedMs(FALLBACK)], [[0], [0]]);
});

test('when the lease goes, what is still on its way is not reported, and starts nothing', () => {
  const stand = checkerStand();
  stand.checker.start();
  stand.pass(10);
  stand.checker.stop();
  stand.answer(DEFAULT, 0, FAILING);
  stand.pass(HEALTH_MS * 3);
  assert.equal(stand.report(DEFAULT).version, 0);
  assert.deepEqual(stand.askedMs(DEFAULT), [0]);
});

test('an answer to an earlier spell starts nothing in a later one', () => {
  const stand = checkerStand();
  stand.checker.start();
  stand.pass(10);
  stand.checker.stop();
  stand.checker.start();
  assert.deepEqual(stand.askedMs(DEFAULT), [0, 10]);
  stand.answer(DEFAULT, 0, FAILING);
  stand.pass(HEALTH_MS * 2);
  assert.deepEqual(stand.askedMs(DEFAULT), [0, 10], 'this spell has a call on its way');
  stand.answer(DEFAULT, 1, FAILING);
  stand.pass(HEALTH_MS);
  assert.deepEqual(stand.askedMs(DEFAULT), [0, 10, 10 + HEALTH_MS * 3]);
  assert.equal(stand.report(DEFAULT).version, 1);
});

test('a second start is a new spell: no processor is asked twice as often', () => {
  const stand = checkerStand();
  stand.checker.start();
  stand.answer(DEFAULT, 0, FAILING);
  stand.pass(10);
  stand.checker.start();
  stand.answer(DEFAULT, 1, FAILING);
  stand.pass(HEALTH_MS);
  stand.pass(HEALTH_MS);
  assert.deepEqual(stand.askedMs(DEFAULT), [0, 10, 10 + HEALTH_MS]);
});
