import assert from 'node:assert/strict';
import { test } from 'node:test';
import { totalCents } from '../domain/money.ts';
import { seededBelow } from '../domain/random.ts';
import { seed } from '../testing/stores.ts';
import { LEVELS, rangesOf, TotalsSum } from './rollups.ts';

test(`a window is cut into ranges that cover each millisecond once (SEED=${seed})`, () => {
  const next = seededBelow(seed);
  for (let round = 0; round < 2000; round++) {
    const from = next(2 ** 31) * (round % 3 === 0 ? 800 : 1);
    const to = from + next([10, 5000, 1e6, 1e12][round % 4]!);
    const pieces: { from: number; end: number }[] = [];
    let buckets = 0;
    rangesOf(from, to, (level, first, last) => {
      pieces.push({ from: first * 64 ** level, end: (last + 1) * 64 ** level });
      if (level < LEVELS - 1) buckets += last - first + 1;
    });
    pieces.sort((one, other) => one.from - other.from);
    assert.equal(pieces[0]!.from, from);
    assert.equal(pieces.at(-1)!.end, to + 1);
    for (let at = 1; at < pieces.length; at++) assert.equal(pieces[at]!.from, pieces[at - 1]!.end);
    assert.ok(buckets <= 2 * 63 * LEVELS, `${buckets} buckets`);
  }
});

test('open ends and empty windows', () => {
  const ranges = (from: number, to: number): number[][] => {
    const found: number[][] = [];
    rangesOf(from, to, (...range) => found.push(range));
    return found;
  };
  assert.deepEqual(ranges(-Infinity, Infinity), [[LEVELS - 1, -Infinity, Infinity]]);
  assert.deepEqual(ranges(10, 9), []);
  assert.deepEqual(ranges(Infinity, -Infinity), []);
  assert.deepEqual(ranges(Infinity, Infinity), []);
  assert.deepEqual(ranges(5, 5), [[0, 5, 5]]);
  assert.deepEqual(ranges(64 ** 6, Infinity), [[6, 1, Infinity]]);
});

test('a batch adds up before it is written, on each level', () => {
  const sum = new TotalsSum();
  for (let n = 0; n < 100; n++) sum.add(0, 64_000 + (n % 10), 999_999_999_999);
  sum.add(1, 64_000, 5);
  const rows: string[] = [];
  sum.each((level, bucket, processor, total) => {
    rows.push(`${level} ${bucket} ${processor} ${total.count} ${totalCents(total)}`);
  });
  assert.equal(rows.length, 10 + (LEVELS - 1) + LEVELS);
  assert.ok(rows.includes('0 64003 0 10 9999999999990'));
  assert.ok(rows.includes('1 1000 0 100 99999999999900'));
  assert.ok(rows.includes('6 0 1 1 5'));
});
