import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chance, pick, seededBelow } from './random.ts';

test('one seed gives one sequence, another seed another', () => {
  const draw = (seed: number): number[] => Array.from({ length: 100 }, chance(seed));
  assert.deepEqual(draw(7), draw(7));
  assert.notDeepEqual(draw(7), draw(8));
});

test('chances are spread evenly from 0 to 1', () => {
  const next = chance(1);
  const tenths = new Array<number>(10).fill(0);
  for (let draws = 0; draws < 100_000; draws++) tenths[Math.floor(next() * 10)]! += 1;
  for (const count of tenths) assert.ok(count > 9600 && count < 10_400, `${tenths}`);
});

test('a seed means the same tomorrow: what it replayed can be replayed still', () => {
  const next = seededBelow(7);
  assert.deepEqual(
    Array.from({ length: 6 }, () => next(1000)),
    [893, 980, 186, 383, 380, 854],
  );
});

test('each of a list is picked as often', () => {
  const draw = chance(1);
  const counts = { a: 0, b: 0, c: 0 };
  for (let draws = 0; draws < 30_000; draws++) counts[pick(draw, ['a', 'b', 'c'] as const)] += 1;
  for (const count of Object.values(counts)) assert.ok(count > 9600 && count < 10_400, `${count}`);
});
