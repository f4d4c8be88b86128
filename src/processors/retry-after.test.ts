import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryAfterMs } from './retry-after.ts';

const NOW = Date.UTC(1994, 10, 6, 8, 49, 37);

for (const [value, ms] of [
  ['3', 3000],
  ['0', 0],
  [' 7 ', 7000],
  ['4102444800', 60_000],
  ['Sun, 06 Nov 1994 08:49:47 GMT', 10_000],
  ['Sunday, 06-Nov-94 08:49:47 GMT', 10_000],
  ['Sun Nov  6 08:49:47 1994', 10_000],
  ['Sun, 06 Nov 1994 08:49:07 GMT', 0],
  ['Mon, 07 Nov 1994 08:49:37 GMT', 60_000],
  ['Sun, 31 Feb 1994 08:49:47 GMT', undefined],
  ['Sun, 06 Nov 1994 24:49:47 GMT', undefined],
  ['Sun, 06 Nov 1994 08:49:47', undefined],
  ['-1', undefined],
  ['1.5', undefined],
  ['soon', undefined],
  ['', undefined],
] as const) {
  test(`Retry-After: ${value} is ${ms} ms`, () => {
    assert.equal(retryAfterMs(value, undefined, NOW), ms);
  });
}

test("a date counts by the answer's own clock, where that is told", () => {
  const date = 'Sun, 06 Nov 1994 10:00:00 GMT';
  assert.equal(retryAfterMs('Sun, 06 Nov 1994 10:00:05 GMT', date, NOW), 5000);
  assert.equal(retryAfterMs('Sun, 06 Nov 1994 08:49:40 GMT', 'nonsense', NOW), 3000);
  assert.equal(retryAfterMs(undefined, date, NOW), undefined);
});
