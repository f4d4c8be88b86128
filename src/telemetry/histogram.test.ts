import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addPacked, Histogram, MOMENTS_MS, quantileMs } from './histogram.ts';

test('a duration is counted in the first bucket whose bound it does not exceed', () => {
  const histogram = new Histogram([1, 2, 5]);
  for (const duration of [0, 1, 1.5, 5, 6]) histogram.add(duration);
  assert.deepEqual(histogram.pack(), [13.5, 2, 1, 1, 1]);
});

test('buckets that nothing came into are left out at the end', () => {
  const histogram = new Histogram(MOMENTS_MS);
  assert.deepEqual(histogram.pack(), [0]);
  histogram.add(0.15);
  assert.deepEqual(histogram.pack(), [0.15, 0, 1]);
});

test('the counts of several instances add up, and those of an earlier moment can be taken away', () => {
  const counts = new Float64Array(4);
  addPacked(counts, [9, 1, 2]);
  addPacked(counts, [9, 1, 1, 1, 1]);
  addPacked(counts, [9, 1], -1);
  assert.deepEqual([...counts], [1, 3, 1, 1]);
});

test('a quantile lies within the bucket where its share of the counts is reached', () => {
  assert.equal(quantileMs([1, 2, 5], [0, 10, 0, 0], 0.5), 1.5);
  assert.equal(quantileMs([1, 2, 5], [5, 0, 5, 0], 0.99), 2 + 3 * (4.9 / 5));
  assert.equal(quantileMs([1, 2, 5], [0, 0, 0, 3], 0.5), 5, 'beyond the last bound only the bound is known');
  assert.equal(quantileMs([1, 2, 5], [0, 0, 0, 0], 0.5), undefined);
});
