import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BloomFilter } from './bloom-filter.ts';

/** Words of a client that counts: the least random ids there are. */
const counted = (count: number): Int32Array => Int32Array.of(0, 0x4000, -0x80000000, count);

test('every id that was added is found, through all layers', () => {
  const filter = new BloomFilter(1024);
  for (let count = 0; count < 20_000; count++) filter.add(counted(count));
  for (let count = 0; count < 20_000; count++) assert.equal(filter.mayHave(counted(count)), true);
});

test('fewer than one new id in fifty is taken for a known one, though ids only count', () => {
  const filter = new BloomFilter(1024);
  for (let count = 0; count < 20_000; count++) filter.add(counted(count));
  let wrong = 0;
  for (let count = 20_000; count < 40_000; count++) if (filter.mayHave(counted(count))) wrong += 1;
  assert.ok(wrong < 400, `${wrong} of 20,000`);
});

test('an empty filter knows nothing', () => {
  assert.equal(new BloomFilter().mayHave(counted(0)), false);
});
