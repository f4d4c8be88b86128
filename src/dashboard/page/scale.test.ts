import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decades, linear, logarithmic, pathData, ticks } from './scale.ts';

test('a scale leads from its first value to its last, and beyond in the same steps', () => {
  const y = linear(0, 10, 200, 100);
  assert.deepEqual([0, 5, 10, 20].map(y), [200, 150, 100, 0]);
  assert.equal(linear(3, 3, 0, 100)(3), 0);
  const x = logarithmic(0.1, 100, 0, 300);
  assert.deepEqual([0, 0.1, 1, 100].map(x).map(Math.round), [0, 0, 100, 300]);
});

test('axes have round numbers that reach beyond the greatest value', () => {
  assert.deepEqual(ticks(23_000), [0, 5000, 10_000, 15_000, 20_000, 25_000]);
  assert.deepEqual(ticks(1), [0, 0.2, 0.4, 0.6000000000000001, 0.8, 1]);
  assert.deepEqual(decades([0.3, 0, Number.NaN, 45]), [0.1, 1, 10, 100]);
  assert.deepEqual(decades([]), [0.1, 1]);
});

test('a path begins where its first place is', () => {
  assert.equal(
    pathData([
      [1, 2.06],
      [3.333, 4],
    ]),
    'M1 2.1L3.3 4',
  );
  assert.equal(pathData([]), '');
});
