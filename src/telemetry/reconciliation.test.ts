import assert from 'node:assert/strict';
import { test } from 'node:test';
import { side } from './reconciliation.ts';

const theirs = (count: number, cents: number) => ({ count, cents, feeShare: 0.05 });

test('sums that agree differ by nothing', () => {
  const found = side({ count: 2, cents: 300 }, { count: 2, cents: 300 }, theirs(2, 300));
  assert.deepEqual([found.differenceCents, found.differenceCount], [0, 0]);
});

test('payments settled while the sums are read are no difference', () => {
  const found = side({ count: 2, cents: 300 }, { count: 5, cents: 900 }, theirs(3, 500));
  assert.deepEqual([found.count, found.cents, found.differenceCents, found.differenceCount], [3, 500, 0, 0]);
});

test('what the processor has beyond that, or lacks, is the difference', () => {
  assert.equal(side({ count: 1, cents: 100 }, { count: 2, cents: 300 }, theirs(3, 350)).differenceCents, 50);
  assert.equal(side({ count: 1, cents: 100 }, { count: 2, cents: 300 }, theirs(0, 0)).differenceCents, -100);
});

test('a processor that does not answer differs by nothing that is known', () => {
  const found = side({ count: 1, cents: 100 }, { count: 2, cents: 300 }, null);
  assert.deepEqual([found.cents, found.theirs, found.differenceCents], [300, null, 0]);
});
