import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adoptAll, ascending, numbers, OPEN, overflowStand, storeAs } from '../testing/overflow-stand.ts';
import { NONE } from './payment-pool.ts';

test('adopted payments for which there was no room come back, though one of ours has a later number', () => {
  const stand = overflowStand(8);
  storeAs('backend-2', stand, numbers(1, 12));
  stand.enter(100);
  stand.write();
  adoptAll('backend-2', stand);
  stand.pass(1);
  assert.ok(stand.pool.size > 1 && stand.pool.size <= 8, `${stand.pool.size} are held`);
  assert.deepEqual(ascending(stand.drain()), [...numbers(1, 12), 100]);
  assert.equal(stand.enter(101), false);
});

test('what was adopted comes back, though the store was asked for what comes behind it', () => {
  const stand = overflowStand(4, true);
  storeAs('backend-2', stand, numbers(1, 8));
  storeAs('backend-1', stand, [100]);
  stand.overflow.refill();
  stand.pass(1);
  assert.equal(stand.leave(), 100);
  // The store is asked for what comes behind 100; those that are adopted come before it.
  adoptAll('backend-2', stand);
  assert.deepEqual(ascending(stand.drain()), numbers(1, 8));
});

for (const from of ['the beginning', 'behind another'] as const) {
  test(`an answer from before an adoption ends nothing (asked from ${from})`, () => {
    const stand = overflowStand(64, true);
    storeAs('backend-2', stand, numbers(1, 8));
    storeAs('backend-1', stand, [100]);
    if (from === 'behind another') {
      stand.overflow.refill();
      stand.pass(1);
      assert.equal(stand.leave(), 100);
      storeAs('backend-1', stand, [101]);
      stand.enter(102);
      stand.write();
    }
    stand.overflow.refill();
    stand.pass(0.15);
    // The store has its answer ready, which does not have these.
    for (const payment of stand.state.payments.values()) payment.owner = 'backend-1';
    stand.overflow.adopted();
    const ours = from === 'the beginning' ? [100] : [101, 102];
    assert.deepEqual(ascending(stand.drain()), [...numbers(1, 8), ...ours]);
  });
}

test('adopted payments that have waited longer go before those that are held', () => {
  const stand = overflowStand(64);
  storeAs('backend-2', stand, [1, 2]);
  stand.pass(100);
  for (const number of [10, 11]) stand.enter(number);
  stand.write();
  adoptAll('backend-2', stand);
  stand.pass(1);
  assert.deepEqual(ascending([stand.leave()!, stand.leave()!]), [1, 2]);
  assert.deepEqual(stand.drain(), [10, 11]);
});

test('what comes back behind all that was adopted is in the order in which it was accepted', () => {
  const stand = overflowStand(64);
  for (const number of numbers(1, 30)) stand.enter(number);
  stand.write();
  storeAs('backend-2', stand, numbers(101, 110));
  adoptAll('backend-2', stand);
  stand.pass(1);
  for (const number of numbers(31, 50)) stand.enter(number);
  const left = stand.drain();
  assert.deepEqual(ascending(left), [...numbers(1, 50), ...numbers(101, 110)]);
  const ours = left.filter(number => number <= 50);
  assert.deepEqual(ours.slice(-20), numbers(31, 50));
});

test('one that is held here already does not hold up those behind it', () => {
  const stand = overflowStand(8);
  const { pool, ready } = stand;
  storeAs('backend-3', stand, [1, 2]);
  storeAs('backend-2', stand, numbers(3, 10));
  adoptAll('backend-2', stand);
  // Four of the younger ones stay at work.
  for (let atWork = 0; atWork < 4; ) {
    stand.pass(1);
    if (ready.next(0, OPEN) === NONE) stand.overflow.refill();
    else atWork += 1;
  }
  adoptAll('backend-3', stand);
  storeAs('backend-1', stand, [11]);
  const left = stand.drain();
  assert.deepEqual(ascending(left), [1, 2, 7, 8, 9, 10, 11]);
  assert.equal(pool.size, 4);
});
