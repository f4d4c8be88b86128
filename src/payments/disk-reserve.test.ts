import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DiskSpace } from '../storage/ports.ts';
import { DiskReserve, type DiskReserveParts } from './disk-reserve.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

/** A reserve on a disk whose room a test sets. */
function reserveOn(parts: Partial<DiskReserveParts> = {}, total = 100 * GiB) {
  const disk = { free: total, looks: 0, isAway: false, unsettled: 0 };
  const look = (): DiskSpace | undefined => {
    disk.looks += 1;
    return disk.isAway ? undefined : { free: disk.free, total };
  };
  const reserve = new DiskReserve({
    look,
    baseBytes: undefined,
    unsettled: () => disk.unsettled,
    ...parts,
  });
  let nowMs = 0;
  const isLowWith = (free: number): boolean => {
    disk.free = free;
    nowMs += 1000;
    return reserve.isLow(nowMs);
  };
  return { disk, reserve, isLowWith };
}

test('the base is an eighth of a small disk, 256 MiB of a large one, or what is set', () => {
  for (const [total, baseBytes, base] of [
    [48 * MiB, undefined, 6 * MiB],
    [2 * GiB, undefined, 256 * MiB],
    [500 * GiB, undefined, 256 * MiB],
    [48 * MiB, 10 * MiB, 10 * MiB],
    [500 * GiB, GiB, GiB],
  ] as const) {
    const { reserve, isLowWith } = reserveOn({ baseBytes }, total);
    assert.equal(isLowWith(base), false);
    assert.equal(reserve.figures?.reserveBytes, base);
    assert.equal(isLowWith(base - 1), true);
  }
});

test('payments are taken again above a higher mark than they are refused at', () => {
  const { isLowWith } = reserveOn({ baseBytes: 100 * MiB });
  const frees = [150, 101, 100, 99, 110, 124, 125, 110, 100, 99].map(mib => isLowWith(mib * MiB));
  assert.deepEqual(frees, [false, false, false, true, true, true, false, false, false, true]);
});

test('each unsettled payment keeps what it takes to settle it', () => {
  const { disk, reserve, isLowWith } = reserveOn({ baseBytes: 100 * MiB });
  disk.unsettled = 10 * 1024;
  assert.equal(isLowWith(109 * MiB), true);
  assert.equal(reserve.figures?.reserveBytes, 110 * MiB);
  disk.unsettled = 0;
  assert.equal(isLowWith(125 * MiB), false, 'settling frees what was kept for it');
  disk.unsettled = 10_000_000;
  isLowWith(GiB);
  assert.equal(
    reserve.figures?.reserveBytes,
    356 * MiB + 1_280_000_000,
    'less of many: the log is used again',
  );
});

test('the disk is looked at ten times a second, however often it is asked', () => {
  const { disk, reserve } = reserveOn();
  for (let ms = 0; ms < 1000; ms += 1) for (let times = 0; times < 20; times++) reserve.isLow(ms);
  assert.equal(disk.looks, 10);
});

test('a disk that cannot be asked changes nothing', () => {
  const { disk, reserve, isLowWith } = reserveOn({ baseBytes: 100 * MiB });
  disk.isAway = true;
  assert.equal(isLowWith(0), false);
  assert.equal(reserve.figures, undefined);
  disk.isAway = false;
  assert.equal(isLowWith(0), true);
  disk.isAway = true;
  assert.equal(isLowWith(GiB), true);
});

test('the reason names what is left and what is needed; the wait is by how fast room comes about', () => {
  const { reserve, isLowWith } = reserveOn({ baseBytes: 100 * MiB });
  isLowWith(50 * MiB);
  assert.equal(reserve.isLow(1000), true);
  assert.match(reserve.reason, /has 50\.0 MiB left.*again above 125\.0 MiB/);
  isLowWith(50 * MiB);
  assert.equal(reserve.waitSeconds, 60, 'no room comes about');
  isLowWith(55 * MiB);
  assert.equal(reserve.waitSeconds, 14, '70 MiB at 5 MiB a second');
  isLowWith(200 * MiB);
  assert.equal(reserve.waitSeconds, 1);
});
