import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockText } from './progress.ts';
import { latencyOf, median, quantile, Samples, slope, spread } from './statistics.ts';
import { number, table } from './table.ts';

test('a quantile is a value that was measured', () => {
  const samples = new Samples(2);
  for (let value = 1000; value >= 1; value--) samples.add(value);
  assert.equal(samples.count, 1000);
  assert.deepEqual(latencyOf(samples), { p50: 500, p95: 950, p99: 990, p999: 999, max: 1000 });
  assert.equal(quantile([7], 0.01), 7);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});

test('the median is in the middle, the spread reaches to both ends', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(spread([90, 100, 110]), 0.1);
});

test('the slope is that of the nearest straight line', () => {
  const points = [0, 1, 2, 3].map(x => [x, 5 - 2 * x] as const);
  assert.equal(slope(points), -2);
  assert.ok(Math.abs(slope([...points, [1, 4], [1, 2]]) + 2) < 1e-12);
  assert.ok(Number.isNaN(slope([[1, 1]])));
});

test('tables line up and numbers keep what tells them apart', () => {
  assert.equal(
    table(
      ['', 'n'],
      [
        ['a', '10'],
        ['bb', '9'],
      ],
    ),
    '     n\na   10\nbb   9',
  );
  assert.deepEqual([12345.6, 99.44, 1.234, Number.NaN].map(number), ['12,346', '99.4', '1.23', '-']);
  assert.equal(clockText(75.2), '1:15');
});
