import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryReserve } from './memory-reserve.ts';

const MiB = 2 ** 20;
const QUEUED = 5000;

/** A reserve of a process that may have 120 MiB; in a second at a time it has what a test says. */
function reserveOf(limitBytes = 120 * MiB) {
  const process = { used: 0 as number | undefined, looks: 0, collections: 0, garbage: 0 };
  const used = (): number | undefined => {
    process.looks += 1;
    return process.used;
  };
  const collect = (): void => {
    process.collections += 1;
    process.used! -= process.garbage;
  };
  const reserve = new MemoryReserve({ limitBytes, used, collect });
  let nowMs = 0;
  const isLowWith = (mib: number | undefined, queued = QUEUED): boolean => {
    process.used = mib && mib * MiB;
    nowMs += 1000;
    return reserve.isLow(nowMs, queued);
  };
  return { process, reserve, isLowWith };
}

test('payments are refused above five sixths of the limit and taken again below four fifths', () => {
  const { isLowWith } = reserveOf();
  const lows = [60, 99.9, 100, 97, 96, 95.9, 99, 100].map(mib => isLowWith(mib));
  assert.deepEqual(lows, [false, false, true, true, true, false, false, true]);
});

test('memory that no queue of payments takes keeps none out', () => {
  const { isLowWith } = reserveOf();
  assert.deepEqual(
    [0, 127, 128, 127].map(queued => isLowWith(119, queued)),
    [false, false, true, false],
  );
});

test('without a limit, and while nobody can say, all are taken', () => {
  assert.equal(reserveOf(Number.POSITIVE_INFINITY).isLowWith(100_000), false);
  const { isLowWith } = reserveOf();
  assert.equal(isLowWith(undefined), false);
  assert.equal(isLowWith(110), true);
  assert.equal(isLowWith(undefined), true, 'it is as it was');
});

test('garbage is collected before anybody is refused, once a second at most', () => {
  const { process, reserve, isLowWith } = reserveOf();
  process.garbage = 30 * MiB;
  assert.equal(isLowWith(99), false);
  assert.equal(process.collections, 0);
  assert.equal(isLowWith(105), false, '75 are left');
  assert.equal(process.collections, 1);
  process.garbage = 0;
  assert.equal(isLowWith(110), true);
  process.used = 97 * MiB;
  for (let ms = 3000; ms < 4000; ms += 100) assert.equal(reserve.isLow(ms, QUEUED), true);
  assert.equal(process.collections, 2);
  assert.equal(reserve.isLow(4000, QUEUED), true);
  assert.equal(process.collections, 3);
});

test('memory is looked at ten times a second at most', () => {
  const { process, reserve } = reserveOf();
  for (let ms = 0; ms < 1000; ms++) reserve.isLow(ms, QUEUED);
  assert.equal(process.looks, 10);
});

test('a client waits for as long as memory takes to come back, and is told what there is', () => {
  const { reserve, isLowWith } = reserveOf();
  assert.equal(reserve.waitSeconds, 1);
  isLowWith(110);
  assert.equal(reserve.waitSeconds, 1, 'nothing is known yet');
  isLowWith(108);
  assert.equal(reserve.waitSeconds, 6, '12 MiB at 2 a second');
  assert.equal(
    reserve.reason,
    'the backend has 108.0 MiB of memory, of 120.0 MiB that it may have (payments are taken again below 96.0 MiB)',
  );
  isLowWith(50);
  assert.equal(reserve.waitSeconds, 1);
});
