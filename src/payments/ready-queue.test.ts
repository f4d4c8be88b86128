import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT, FALLBACK, PINNED, type ProcessorIndex } from '../domain/payment.ts';
import type { Permits, Policy } from '../domain/settlement.ts';
import { NONE, PaymentPool } from './payment-pool.ts';
import { ReadyQueue } from './ready-queue.ts';

const POLICY: Policy = { defaultAttempts: 5, backoffMinMs: 100, backoffMaxMs: 200, fallbackAfterMs: 1000 };
const OPEN: Permits = { default: true, fallback: true, defaultWorks: true, fallbackHasRoom: true };
const NOTHING: Permits = { default: false, fallback: false, defaultWorks: true, fallbackHasRoom: false };

interface Progress {
  readonly pinnedTo?: ProcessorIndex;
  readonly attempts?: number;
  readonly tries?: number;
  readonly adopted?: boolean;
}

interface QueueStand {
  readonly pool: PaymentPool;
  readonly ready: ReadyQueue;
  /** Enters a payment that was accepted at `acceptedMs`, which names it as well. */
  enter(acceptedMs: number, progress?: Progress): number;
  /** The next payment's name and where it goes; undefined: none may leave. */
  next(permits?: Permits, nowMs?: number): readonly [number, ProcessorIndex] | undefined;
  /** The names of all that may leave, in order. */
  all(permits?: Permits, nowMs?: number): number[];
}

function queueStand(): QueueStand {
  const pool = new PaymentPool(32);
  const ready = new ReadyQueue(pool, POLICY);
  const stand: QueueStand = {
    pool,
    ready,
    enter(acceptedMs, { pinnedTo, attempts = 0, tries = 0, adopted = false } = {}) {
      const slot = pool.add([acceptedMs, 0, 0, 7], 1990, acceptedMs, acceptedMs);
      pool.attempts[slot] = attempts;
      pool.tries[slot] = tries;
      if (pinnedTo !== undefined) {
        pool.state[slot] = PINNED;
        pool.processor[slot] = pinnedTo;
        pool.seq[slot] = 1;
      }
      ready.enter(slot, adopted);
      return slot;
    },
    next(permits = OPEN, nowMs = 500) {
      const slot = ready.next(nowMs, permits);
      return slot === NONE ? undefined : [pool.words[slot * 4]!, ready.to];
    },
    all(permits, nowMs) {
      const names: number[] = [];
      for (let next = stand.next(permits, nowMs); next !== undefined; next = stand.next(permits, nowMs))
        names.push(next[0]);
      return names;
    },
  };
  return stand;
}

test('pinned payments go first, each to its processor, then the exhausted, then the tried, then the fresh', () => {
  const { enter, next, ready } = queueStand();
  enter(50);
  enter(40, { attempts: 2, tries: 2 });
  enter(30, { attempts: 5, tries: 5 });
  enter(20, { pinnedTo: FALLBACK, attempts: 1 });
  enter(10, { pinnedTo: DEFAULT, attempts: 1 });
  assert.equal(ready.size, 5);
  assert.equal(ready.fresh, 1);
  assert.deepEqual(next(), [10, DEFAULT]);
  assert.deepEqual(next(), [20, FALLBACK]);
  assert.deepEqual(next(), [30, FALLBACK]);
  assert.deepEqual(next(), [40, DEFAULT]);
  assert.deepEqual(next(), [50, DEFAULT]);
  assert.equal(next(), undefined);
  assert.equal(ready.size, 0);
});

test('fresh payments leave in the order of their entry', () => {
  const { enter, all } = queueStand();
  for (const name of [1, 2, 3, 4]) enter(name);
  assert.deepEqual(all(), [1, 2, 3, 4]);
});

test('of the tried and the fresh, the one that was accepted first leaves first', () => {
  const { enter, all } = queueStand();
  for (const name of [30, 10, 50]) enter(name, { attempts: 1, tries: 1 });
  for (const name of [20, 40, 60]) enter(name);
  assert.deepEqual(all(), [10, 20, 30, 40, 50, 60]);
});

test('one that was adopted takes its place by its acceptance, though it was never sent', () => {
  const { enter, all } = queueStand();
  for (const name of [20, 40]) enter(name);
  for (const name of [30, 10]) enter(name, { adopted: true });
  assert.deepEqual(all(), [10, 20, 30, 40]);
});

test('the probe of a doubtful default is the youngest of those that have spent no attempt yet', () => {
  const { enter, next } = queueStand();
  enter(10, { attempts: 1, tries: 1 });
  enter(20);
  enter(30);
  const probing: Permits = { ...OPEN, defaultWorks: false };
  assert.deepEqual(next(probing), [30, DEFAULT]);
  assert.deepEqual(next(), [10, DEFAULT]);
  assert.deepEqual(next(), [20, DEFAULT]);
});

test('where all have spent an attempt, the oldest is the probe', () => {
  const { enter, next } = queueStand();
  enter(20, { attempts: 1, tries: 1 });
  enter(10, { attempts: 1, tries: 1 });
  assert.deepEqual(next({ ...OPEN, defaultWorks: false }), [10, DEFAULT]);
});

test('a pinned payment waits for its processor, and holds up nobody', () => {
  const { enter, next } = queueStand();
  enter(10, { pinnedTo: FALLBACK, attempts: 1 });
  enter(20);
  const withoutFallback: Permits = { ...OPEN, fallback: false };
  assert.deepEqual(next(withoutFallback), [20, DEFAULT]);
  assert.equal(next(withoutFallback), undefined);
  assert.deepEqual(next(), [10, FALLBACK]);
});

test('one that came in pinned leaves once the store has it', () => {
  const { pool, enter, all } = queueStand();
  const slot = enter(1, { pinnedTo: FALLBACK });
  pool.seq[slot] = 0;
  assert.deepEqual(all(), []);
  pool.seq[slot] = 9;
  assert.deepEqual(all(), [1]);
});

test('what may not leave stays, in its place', () => {
  const { enter, all, next, ready } = queueStand();
  enter(10, { pinnedTo: DEFAULT, attempts: 1 });
  enter(20, { attempts: 5, tries: 5 });
  enter(30, { attempts: 1, tries: 1 });
  enter(40);
  assert.equal(next(NOTHING), undefined);
  assert.equal(ready.size, 4);
  assert.deepEqual(all(), [10, 20, 30, 40]);
});

test('a payment that the store is at work on does not leave, nor does a younger one of its class', () => {
  const { enter, all, pool } = queueStand();
  enter(10);
  const storing = enter(20);
  enter(30);
  pool.storing[storing] = 1;
  assert.deepEqual(all(), [10]);
  pool.storing[storing] = 0;
  assert.deepEqual(all(), [20, 30]);
});

for (const [lane, progress] of [
  ['pinned', { pinnedTo: DEFAULT, attempts: 1 }],
  ['exhausted', { attempts: 5, tries: 5 }],
  ['fresh', {}],
] as const) {
  test(`a retired payment is freed when it comes up, and does not leave (${lane})`, () => {
    const { enter, all, pool, ready } = queueStand();
    const retired = [enter(10, progress), enter(20, progress)];
    enter(30, progress);
    for (const slot of retired) pool.retire(slot);
    assert.equal(pool.size, 3);
    assert.deepEqual(all(), [30]);
    assert.equal(pool.size, 1);
    assert.equal(ready.size, 0);
  });
}

test('a retired payment is freed when it comes up, and does not leave (tried)', () => {
  const { enter, all, pool } = queueStand();
  const retired = enter(10, { attempts: 1, tries: 1 });
  enter(20, { attempts: 1, tries: 1 });
  pool.retire(retired);
  assert.deepEqual(all(), [20]);
  assert.equal(pool.size, 1);
});

test('a tried payment is not overtaken by a younger one that waits behind a retired one', () => {
  const { enter, all, pool } = queueStand();
  const retired = enter(10);
  enter(20, { attempts: 1, tries: 1 });
  enter(30);
  pool.retire(retired);
  assert.deepEqual(all(), [20, 30]);
});

test('the deadline is when the oldest that may go to fallback for its age has waited long enough', () => {
  const { enter, ready, next } = queueStand();
  assert.equal(ready.deadlineMs, Infinity);
  enter(40);
  assert.equal(ready.deadlineMs, 40 + POLICY.fallbackAfterMs);
  enter(30, { attempts: 1, tries: 1 });
  enter(20, { attempts: 1, tries: 1 });
  enter(10, { pinnedTo: DEFAULT, attempts: 1 });
  assert.equal(ready.deadlineMs, 20 + POLICY.fallbackAfterMs);
  const failing: Permits = { ...OPEN, default: false, defaultWorks: false };
  assert.equal(next(failing, ready.deadlineMs - 1), undefined);
  assert.deepEqual(next(failing, ready.deadlineMs), [20, FALLBACK]);
  assert.equal(ready.deadlineMs, 30 + POLICY.fallbackAfterMs);
});

test('of too many that wait for a default that is full, the youngest that was never sent goes to fallback', () => {
  const { enter, ready, pool, next } = queueStand();
  const full: Permits = { ...OPEN, default: false };
  enter(10, { attempts: 1, tries: 1 });
  for (const acceptedMs of [20, 30, 40, 50]) enter(acceptedMs);
  pool.retire(pool.find([50, 0, 0, 7]));
  assert.equal(ready.waitingForDefault, 5);
  assert.equal(ready.youngest(100, { ...full, fallback: false }), NONE);
  const names = [1, 2].map(() => pool.words[ready.youngest(100, full) * 4]);
  assert.deepEqual(names, [40, 30]);
  assert.equal(ready.to, FALLBACK);
  assert.equal(ready.waitingForDefault, 2);
  assert.deepEqual(
    [next(), next()],
    [
      [10, DEFAULT],
      [20, DEFAULT],
    ],
  );
  assert.equal(ready.youngest(100, full), NONE);
});

test('the youngest stays while the store is at work on its first row', () => {
  const { enter, ready, pool } = queueStand();
  const slot = enter(10);
  pool.storing[slot] = 1;
  assert.equal(ready.youngest(100, { ...OPEN, default: false }), NONE);
  pool.storing[slot] = 0;
  assert.equal(ready.youngest(100, { ...OPEN, default: false }), slot);
});
