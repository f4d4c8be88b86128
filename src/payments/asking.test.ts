import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT, FALLBACK, HELD_AMOUNT, PINNED, type ProcessorIndex, WAITING } from '../domain/payment.ts';
import { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Found } from '../processors/port.ts';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { Asking } from './asking.ts';
import { DispatchGate } from './dispatch-gate.ts';
import { NONE, PaymentPool } from './payment-pool.ts';
import { ReadyQueue } from './ready-queue.ts';
import { RetrySchedule } from './retry-schedule.ts';

const POLICY = { defaultAttempts: 5, backoffMinMs: 100, backoffMaxMs: 200, fallbackAfterMs: 1000 };
const ABSENT: Found = { is: 'absent' };
const UNAVAILABLE: Found = { is: 'unavailable' };
const there = (cents: number): Found => ({ is: 'there', requestedAtMs: 7, cents });

interface Question {
  readonly to: ProcessorIndex;
  readonly reply: (found: Found) => void;
}

function stand(asksFromMs = 0, concurrency = 16) {
  const turned = new VirtualClock();
  const clock = {
    monotonicMs: () => turned.monotonicMs(),
    wallMs: () => turned.monotonicMs(),
    after: (delayMs: number, task: () => void) => turned.after(delayMs, task),
    soon: (task: () => void) => void turned.after(0, task),
  };
  const pool = new PaymentPool(16);
  const ready = new ReadyQueue(pool, POLICY);
  const retries = new RetrySchedule(pool, clock, () => 0.5, POLICY);
  const gate = new DispatchGate(concurrency, [new CircuitBreaker(), new CircuitBreaker()], 1000);
  const questions: Question[] = [];
  const said: string[] = [];
  const asking = new Asking({
    ...{ pool, ready, retries, gate, clock, asksFromMs, chance: () => 0.5 },
    processors: {
      post: () => assert.fail('a payment left'),
      find: (to, _id, reply) => void questions.push({ to, reply }),
      health() {},
    },
    events: {
      doubled: (_id, by) => void said.push(`doubled, booked at ${by}`),
      amountDiffers: (_request, at, cents) => void said.push(`${cents} cents at ${at}`),
    },
    settle: (slot, atMs) => void said.push(`settled at ${pool.processorOf(slot)} as of ${atMs}`),
    hold: (_slot, reason) => void said.push(`held for ${reason}`),
    wake() {},
  });
  const enter = (n: number, state: typeof WAITING | typeof PINNED = WAITING): number => {
    const slot = pool.add([0, 0, 0, n], 1990, 0, 0);
    Object.assign(pool.seq, { [slot]: n });
    pool.state[slot] = state;
    pool.uncertain[slot] = 1;
    ready.enter(slot);
    return slot;
  };
  /** Asks, and has both processors say this. */
  const ask = (byDefault: Found, byFallback: Found): void => {
    gate.beginTurn(clock.monotonicMs());
    asking.askSome(clock.monotonicMs());
    for (const { to, reply } of questions.splice(0)) reply(to === DEFAULT ? byDefault : byFallback);
  };
  const next = (): number =>
    ready.next(clock.monotonicMs(), {
      ...{ default: true, fallback: true, defaultWorks: true, fallbackHasRoom: true },
    });
  return { turned, pool, ready, retries, gate, questions, said, asking, enter, ask, next };
}

test('an uncertain payment leaves only when both processors have said that they do not have it', () => {
  const { retries, turned, ready, enter, ask, next, gate, said } = stand();
  const slot = enter(1);
  for (const byDefault of [ABSENT, UNAVAILABLE]) {
    assert.equal(next(), NONE);
    ask(byDefault, byDefault === ABSENT ? UNAVAILABLE : ABSENT);
    assert.deepEqual([next(), ready.size, gate.atWork], [NONE, 0, 0]);
    turned.pass(300);
    assert.equal(retries.takeDue(turned.monotonicMs()), slot);
    ready.enter(slot);
  }
  ask(ABSENT, ABSENT);
  assert.deepEqual([next(), ready.to, said], [slot, DEFAULT, []]);
});

test('one that was pinned goes on to its processor', () => {
  const { pool, ready, enter, ask, next } = stand();
  const slot = enter(1, PINNED);
  pool.processor[slot] = FALLBACK;
  ask(ABSENT, ABSENT);
  assert.deepEqual([next(), ready.to, pool.state[slot]], [slot, FALLBACK, PINNED]);
});

test('one that a processor has is settled there, whatever the other says', () => {
  for (const other of [ABSENT, UNAVAILABLE]) {
    const { enter, ask, said, pool } = stand();
    const slot = enter(1);
    ask(other, there(1990));
    assert.deepEqual([said, pool.attempts[slot]], [['settled at 1 as of 7'], 1]);
  }
});

test('one that both have is settled where it was sent, and reported', () => {
  const { enter, ask, said, pool } = stand();
  pool.processor[enter(1, PINNED)] = FALLBACK;
  ask(there(1990), there(1990));
  enter(2);
  ask(there(1990), there(1990));
  assert.deepEqual(said, [
    ...['doubled, booked at 1', 'settled at 1 as of 7', 'doubled, booked at 0', 'settled at 0 as of 7'],
  ]);
});

test('one that a processor has with another amount is reported, and held', () => {
  const { enter, ask, said, next } = stand();
  enter(1);
  ask(there(5), ABSENT);
  assert.deepEqual([said, next()], [['5 cents at 0', `held for ${HELD_AMOUNT}`], NONE]);
});

test('nothing is asked before what left earlier can be expected to be recorded', () => {
  const { turned, asking, enter, ask, next } = stand(1000);
  const slot = enter(1);
  ask(ABSENT, ABSENT);
  assert.deepEqual([next(), asking.nextAtMs(0)], [NONE, 1000]);
  turned.pass(1000);
  ask(ABSENT, ABSENT);
  assert.deepEqual([next(), asking.nextAtMs(1000)], [slot, Infinity]);
});

test('a question takes a place at each processor', () => {
  const { asking, gate, questions, enter } = stand(0, 2);
  for (let n = 1; n <= 5; n++) enter(n);
  gate.beginTurn(0);
  asking.askSome(0);
  assert.deepEqual([questions.length, gate.atWork], [4, 4]);
  for (const { reply } of questions.splice(0, 2)) reply(ABSENT);
  asking.askSome(0);
  assert.deepEqual([questions.length, gate.atWork], [4, 4]);
});
