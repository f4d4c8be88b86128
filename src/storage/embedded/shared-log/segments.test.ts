import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from './crc32.ts';
import { LogVersionError } from './log-error.ts';
import type { LogFiles } from './log-files.ts';
import { realLogFiles } from './real-log-files.ts';
import {
  checkSegmentHeader,
  encodeSegmentHeader,
  logSegmentName,
  missingSegments,
  offsetAt,
  positionOf,
  refusalOfFileSystem,
  removableSegments,
  segmentAt,
  segmentsAmong,
  storeIdOf,
} from './segments.ts';
import { VirtualLogFiles } from './virtual-log-files.ts';

const ours = storeIdOf(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
const other = storeIdOf(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 9));

test('a position is a segment and an offset, and a later one is greater', () => {
  const position = positionOf(2_000_000, 2 ** 32 - 1);
  assert.ok(Number.isSafeInteger(position));
  assert.deepEqual([segmentAt(position), offsetAt(position)], [2_000_000, 2 ** 32 - 1]);
  assert.ok(positionOf(3, 0) > positionOf(2, 2 ** 32 - 1));
});

test('segments are listed in order, whatever else is there', () => {
  const names = [
    logSegmentName(10),
    logSegmentName(9),
    'damaged',
    '0000000011.log.3-1.new',
    'a.0000000001.log',
  ];
  assert.deepEqual(segmentsAmong(names), [9, 10]);
});

test('a segment may go when the index has all of it on its disk', () => {
  assert.deepEqual(removableSegments([3, 4, 5], positionOf(4, 100)), [3]);
  assert.deepEqual(removableSegments([3, 4, 5], positionOf(5, 0)), [3, 4]);
});

test('a segment that is missing between the index and the end is found out', () => {
  assert.deepEqual(missingSegments([3, 5], positionOf(3, 100)), [4]);
  assert.deepEqual(missingSegments([4, 5], positionOf(3, 100)), [3]);
  assert.deepEqual(missingSegments([3, 4, 5], positionOf(4, 100)), []);
  assert.deepEqual(missingSegments([], positionOf(1, 32)), []);
});

test("a segment's header says whose it is", () => {
  const header = encodeSegmentHeader(ours, 7, 3);
  const check = (bytes: Uint8Array, length = 32, id = ours, segment = 7): string =>
    checkSegmentHeader(bytes, length, id, segment, 'x.log');
  assert.equal(check(header), 'ours');
  assert.throws(() => check(header, 32, ours, 8), /x\.log is a copy of 0000000007\.log/);
  assert.throws(() => check(header, 32, other), /x\.log is of another store/);
  assert.equal(check(header, 31), 'damaged');
  for (let bit = 0; bit < 256; bit++) {
    const bytes = header.slice();
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(check(bytes), 'damaged', `bit ${bit}`);
  }
  const summed = (change: (bytes: Uint8Array) => void): Uint8Array => {
    const bytes = header.slice();
    change(bytes);
    new DataView(bytes.buffer).setUint32(28, crc32(bytes, 0, 28), true);
    return bytes;
  };
  assert.throws(() => check(summed(bytes => bytes.fill(9, 7, 8))), LogVersionError);
  assert.throws(() => check(summed(bytes => bytes.fill(9, 0, 1))), /x\.log is not a segment of a log/);
});

test('a file system of another machine is refused', () => {
  assert.match(refusalOfFileSystem(0x6969) ?? '', /NFS.*local directory/);
  assert.match(refusalOfFileSystem(0xff534d42 | 0) ?? '', /CIFS/);
  assert.equal(refusalOfFileSystem(0xef53), undefined);
});

function sameOfBoth(name: string, use: (files: LogFiles, directory: string) => void): void {
  test(`virtual files: ${name}`, () => use(new VirtualLogFiles(), '/log'));
  test(`real files: ${name}`, () => {
    const directory = mkdtempSync(join(tmpdir(), 'soquete-shared-log-'));
    try {
      use(realLogFiles, directory);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}

sameOfBoth('a file is put there whole, by the first', (files, directory) => {
  const path = join(directory, 'a.log');
  assert.equal(files.createWhole(path, Uint8Array.of(1, 2)), true);
  assert.equal(files.createWhole(path, Uint8Array.of(3)), false);
  assert.deepEqual(files.list(directory), ['a.log']);
  const fd = files.openToAppend(path);
  const bytes = new Uint8Array(9);
  assert.equal(files.read(fd, bytes, 1, 8, 0), 2);
  assert.deepEqual([...bytes.subarray(0, 4)], [0, 1, 2, 0]);
  files.close(fd);
});

sameOfBoth('two that append have one order, and a removed file is read to its end', (files, directory) => {
  const path = join(directory, 'a.log');
  files.createWhole(path, new Uint8Array(0));
  const [one, two] = [files.openToAppend(path), files.openToAppend(path)];
  files.append(one, Uint8Array.of(1, 1, 9), 2);
  files.append(two, Uint8Array.of(2), 1);
  files.append(one, Uint8Array.of(1), 1);
  files.remove(path);
  const bytes = new Uint8Array(4);
  for (const fd of [one, two]) {
    assert.equal(files.read(fd, bytes, 0, 4, 0), 4);
    assert.deepEqual([...bytes], [1, 1, 2, 1]);
    files.close(fd);
  }
  assert.throws(() => files.openToAppend(path), { code: 'ENOENT' });
  assert.deepEqual(files.list(directory), []);
  files.remove(path);
});
