import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HELD_REFUSED, idWords, type StoredPayment, WAITING } from '../domain/payment.ts';
import { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Reply } from '../storage/ports.ts';
import { idOf } from '../testing/stores.ts';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { HeldPayments } from './held-payments.ts';
import { NONE, PaymentPool } from './payment-pool.ts';

const held = (seq: number, tries = 0): StoredPayment =>
  ({
    ...{ seq, id: idOf(seq), cents: 1990, acceptedAtMs: 1, origin: 1, state: WAITING, isUncertain: false },
    ...{ processor: undefined, requestedAtMs: 0, attempts: 1, tries, settledAtMs: 0 },
    ...{ held: HELD_REFUSED, retryAtMs: 0, because: undefined },
  }) as unknown as StoredPayment;

function stand() {
  const time = new VirtualClock();
  const clock = {
    monotonicMs: () => time.monotonicMs(),
    wallMs: () => time.monotonicMs(),
    after: (delayMs: number, task: () => void) => time.after(delayMs, task),
    soon: (task: () => void) => void time.after(0, task),
  };
  const pool = new PaymentPool(16);
  const asked: Reply<StoredPayment[]>[] = [];
  const entered: number[] = [];
  const payments = new HeldPayments({
    ...{ pool, clock, breakers: [new CircuitBreaker(), new CircuitBreaker()] as const },
    store: { takeHeld: (_dueMs, _limit, reply) => void asked.push(reply) },
    policy: { defaultAttempts: 5, backoffMinMs: 100, backoffMaxMs: 200, fallbackAfterMs: 1000 } as never,
    enter: slot => void entered.push(slot),
    postpone: () => assert.fail('both processors work'),
    wake() {},
  });
  return { time, pool, asked, entered, payments };
}

test('a payment that leaves while the store is asked for held ones does not come back as it was', () => {
  const { time, pool, asked, entered, payments } = stand();
  payments.refill();
  asked.shift()!([held(1)]);
  assert.equal(entered.length, 1);
  time.pass(10_000);
  payments.refill();
  // Meanwhile it is settled; the store's answer was made before.
  payments.left(1);
  pool.free(entered[0]!);
  asked.shift()!([held(1), held(2)]);
  assert.equal(pool.find(idWords(idOf(1))), NONE);
  assert.notEqual(pool.find(idWords(idOf(2))), NONE);
  assert.equal(pool.held[pool.find(idWords(idOf(2)))], HELD_REFUSED);
  // Held again since, it comes back when it is due.
  time.pass(10_000);
  payments.refill();
  asked.shift()!([held(1)]);
  assert.notEqual(pool.find(idWords(idOf(1))), NONE);
});

test('a payment that is here already does not come a second time', () => {
  const { time, pool, asked, entered, payments } = stand();
  payments.refill();
  asked.shift()!([held(1)]);
  time.pass(10_000);
  payments.refill();
  // Its attempt is at work: the store has it as due for as long as that.
  asked.shift()!([held(1), held(2)]);
  assert.deepEqual(
    entered.map(slot => pool.seq[slot]),
    [1, 2],
  );
  assert.equal(pool.size, 2);
});

test('a try on default that a crash cut off from the one on fallback is not made again', () => {
  const { pool, asked, entered, payments } = stand();
  payments.refill();
  asked.shift()!([held(1), held(2, 5)]);
  assert.deepEqual(
    entered.map(slot => pool.tries[slot]),
    [4, 5],
  );
});
