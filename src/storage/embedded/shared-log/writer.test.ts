import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from './crc32.ts';
import type { Gap } from './decoder.ts';
import { LogBehindError, LogForeignError, LogVersionError } from './log-error.ts';
import { Order } from './order.ts';
import { ANOTHER_AMOUNT, BATCH_FENCED, COUNTED } from './order-state.ts';
import { LogReader } from './reader.ts';
import { BatchEncoder, batchBytesMax } from './records.ts';
import {
  encodeSegmentHeader,
  logSegmentName,
  positionOf,
  SEGMENT_HEADER_BYTES,
  storeIdOf,
} from './segments.ts';
import { VirtualLogFiles } from './virtual-log-files.ts';
import { LogFault, LogWriter } from './writer.ts';

const STORE_ID = storeIdOf(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
const START = positionOf(1, SEGMENT_HEADER_BYTES);
const nameOf = (segment: number): string => `/log/${logSegmentName(segment)}`;
const paymentId = (count: number): Int32Array => Int32Array.of(count, 2, 3, 4);

function newDisk(): VirtualLogFiles {
  const files = new VirtualLogFiles();
  files.createWhole(nameOf(1), encodeSegmentHeader(STORE_ID, 1, 1));
  return files;
}

/** One that reads and writes, and what it passed over. */
class Member {
  readonly order = new Order(STORE_ID.mark);
  readonly gaps: [segment: number, gap: Gap][] = [];
  readonly writer: LogWriter;
  #nonce = 1000;

  constructor(files: VirtualLogFiles, name?: string, segmentBytes?: number) {
    this.writer = new LogWriter({
      files,
      directory: '/log',
      id: STORE_ID,
      order: this.order,
      position: START,
      events: { gap: (segment, gap) => this.gaps.push([segment, gap]) },
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
    });
    this.writer.poll();
    if (name === undefined) return;
    const epoch = this.writer.join(name, this.order.members.named(name)?.epoch ?? 0, this.#nonce++);
    assert(typeof epoch === 'number' && epoch > 0);
  }

  put(count: number, cents = 5): void {
    this.writer.batch().accept(paymentId(count), 0, this.writer.epoch, cents, 1);
  }

  accept(count: number, cents = 5): number {
    this.put(count, cents);
    assert.equal(this.writer.append(), COUNTED);
    return this.writer.results[0]!;
  }

  has(count: number): boolean {
    return this.order.tail.find(paymentId(count), 0) >= 0;
  }
}

/** A new reader of the whole log finds the same as those who were there. */
function assertAgreed(files: VirtualLogFiles, ...members: Member[]): Member {
  const late = new Member(files);
  for (const { writer, order } of members) {
    writer.poll();
    assert.deepEqual(order.save(), late.order.save());
  }
  return late;
}

test('what becomes of a record is known when its append returns, with all that stands before it', () => {
  const files = newDisk();
  const [a, b] = [new Member(files, 'a'), new Member(files, 'b')];
  assert.equal(a.accept(1, 5), 1);
  assert.equal(b.accept(1, 6), ANOTHER_AMOUNT);
  assert.equal(b.accept(2, 6), 2);
  assertAgreed(files, a, b);
});

test('a write that is cut short anywhere is appended again and counts once', () => {
  const whole = new BatchEncoder();
  whole.accept(paymentId(1), 0, 1, 5, 1);
  const length = whole.finish({ store: 1, instance: 1, epoch: 1, number: 1, generation: 1, marksSeen: 0 });
  for (let cut = 0; cut < length; cut++) {
    const files = newDisk();
    const [a, b] = [new Member(files, 'a'), new Member(files, 'b')];
    files.cutNextTo = cut;
    assert.equal(a.accept(1), 1);
    assert.equal(b.accept(2), 2);
    const late = assertAgreed(files, a, b);
    const gaps = late.gaps.map(([segment, gap]) => [segment, gap.is, gap.to - gap.from]);
    assert.deepEqual(gaps, cut === 0 ? [] : [[1, 'torn', cut]]);
  }
});

test('a disk that takes nothing is full, and the same batch is appended later', () => {
  const files = newDisk();
  const a = new Member(files, 'a');
  a.put(1);
  for (const [code, reason] of [
    ['ENOSPC', 'full'],
    ['EMFILE', 'busy'],
    ['EIO', 'lost'],
  ] as const) {
    files.failNext = code;
    const fault = a.writer.append();
    assert(fault instanceof LogFault);
    assert.equal(fault.reason, reason);
  }
  assert.equal(a.has(1), false);
  assert.equal(a.writer.append(), COUNTED);
  assert.equal(a.writer.results[0], 1);
  a.put(2);
  files.failNext = 'ENOSPC';
  a.writer.append();
  a.writer.discard();
  assert.equal(a.accept(3), 2);
  assert.equal(assertAgreed(files, a).has(2), false);
});

test('who looks in the middle of a write decides nothing, and reads the batch when it is whole', () => {
  const files = newDisk();
  const [a, b] = [new Member(files, 'a'), new Member(files, 'b')];
  for (let half = 0; half < 88; half++) {
    files.halfOf = half;
    let looked = false;
    files.onHalf = () => {
      b.writer.poll();
      b.writer.poll();
      looked = true;
      assert.equal(b.has(half), false);
    };
    a.accept(half);
    assert(looked);
    b.writer.poll();
    assert.equal(b.has(half), true);
  }
  assert.deepEqual(b.gaps, []);
});

test('an instance that was fenced learns it from its next batch, which is gone', () => {
  const files = newDisk();
  const [a, b] = [new Member(files, 'a'), new Member(files, 'b')];
  b.writer.batch().fence(a.writer.epoch, 0);
  b.writer.append();
  a.put(1);
  assert.equal(a.writer.append(), BATCH_FENCED);
  assert.equal(a.writer.append(), COUNTED, 'there is nothing left to append');
  assert.equal(assertAgreed(files, a, b).has(1), false);
});

test('a batch behind a seal is appended to the next segment', () => {
  const files = newDisk();
  const [a, b] = [new Member(files, 'a', 600), new Member(files, 'b', 600)];
  for (let count = 1; count <= 60; count += 2) {
    assert.equal(a.accept(count), count);
    assert.equal(b.accept(count + 1), count + 1);
  }
  assert.ok(files.list('/log').length > 5);
  assert.deepEqual(b.gaps, []);
  assertAgreed(files, a, b);
});

test('the next segment may be there before its seal, and is not read until then', () => {
  const files = newDisk();
  const [a, b] = [new Member(files, 'a'), new Member(files, 'b')];
  files.createWhole(nameOf(2), encodeSegmentHeader(STORE_ID, 2, 1));
  a.accept(1);
  b.writer.batch().seal(2);
  assert.equal(b.writer.append(), COUNTED);
  assert.equal(a.accept(2), 2);
  assert.equal(Math.floor(a.writer.position / 2 ** 32), 2);
  assertAgreed(files, a, b);
});

test('who comes to a seal and finds nothing behind it has to begin anew', () => {
  const files = newDisk();
  const [a, b] = [new Member(files, 'a'), new Member(files, 'b')];
  files.createWhole(nameOf(2), encodeSegmentHeader(STORE_ID, 2, 1));
  a.writer.batch().seal(2);
  a.writer.append();
  files.remove(nameOf(2));
  assert.throws(() => b.writer.poll(), LogBehindError);
});

test("another store's segment is refused, a damaged header reported, another version refused", () => {
  const foreign = new VirtualLogFiles();
  const other = storeIdOf(Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1));
  foreign.createWhole(nameOf(1), encodeSegmentHeader(other, 1, 1));
  assert.throws(() => new Member(foreign), LogForeignError);

  const files = newDisk();
  const a = new Member(files, 'a');
  a.accept(1);
  files.bytesOf(nameOf(1))[9]! ^= 1;
  const late = assertAgreed(files, a);
  assert.deepEqual(late.gaps, [[1, { is: 'damaged', from: 0, to: SEGMENT_HEADER_BYTES, records: 0 }]]);

  const newer = new VirtualLogFiles();
  const header = encodeSegmentHeader(STORE_ID, 1, 1);
  newer.createWhole(nameOf(1), header);
  assert.throws(() => {
    const bytes = newer.bytesOf(nameOf(1));
    bytes[7] = 9;
    // With a right sum: damage is another matter.
    const whole = encodeSegmentHeader(STORE_ID, 1, 1);
    whole[7] = 9;
    new DataView(bytes.buffer).setUint32(28, crc32(whole, 0, 28), true);
    new Member(newer);
  }, LogVersionError);
});

test('one batch that is damaged is reported where it is, and costs nothing behind it', () => {
  const files = newDisk();
  const a = new Member(files, 'a');
  a.put(1);
  a.put(2);
  const at = a.writer.position % 2 ** 32;
  a.writer.append();
  a.accept(3);
  files.bytesOf(nameOf(1))[at + 60]! ^= 4;
  const late = new Member(files);
  assert.deepEqual([late.has(1), late.has(2), late.has(3)], [false, false, true]);
  const to = at + 44 + 44 + 44;
  assert.deepEqual(late.gaps, [[1, { is: 'damaged', from: at, to, records: 1 }]]);
});

test('garbage longer than any batch is passed over, at the end of the log too', () => {
  const files = newDisk();
  const a = new Member(files, 'a');
  const fd = files.openToAppend(nameOf(1));
  const garbage = new Uint8Array(3 * batchBytesMax).fill(0xfe);
  files.append(fd, garbage, garbage.length);
  const b = new Member(files, 'b');
  // Who has read what nobody knows decides nothing by it.
  for (const member of [a, b]) {
    member.put(1);
    assert.equal((member.writer.append() as LogFault).reason, 'lost');
  }
  assert.ok(b.gaps.every(([, gap]) => gap.is === 'damaged'));
  const passed = b.gaps.reduce((sum, [, gap]) => sum + gap.to - gap.from, 0);
  assert.equal(passed, garbage.length);
  assertAgreed(files, a, b);
});

test('those who wait for the disk at the same time share one sync, and one that began too soon is not theirs', () => {
  const files = newDisk();
  const a = new Member(files, 'a');
  const ended: string[] = [];
  a.accept(1);
  a.writer.flush(() => ended.push('first'));
  a.accept(2);
  a.writer.flush(() => ended.push('second'));
  a.writer.flush(error => ended.push(`third ${error?.message}`));
  assert.equal(files.endSyncs(), 1);
  assert.deepEqual(ended, ['first']);
  assert.equal(files.endSyncs(new Error('gone')), 1);
  assert.deepEqual(ended, ['first', 'second', 'third gone']);
});

test('a flush covers the segments that were left since, so a power loss takes nothing that was flushed', () => {
  const files = newDisk();
  const a = new Member(files, 'a', 300);
  for (let count = 1; count <= 20; count++) a.accept(count);
  a.writer.flush(() => {});
  assert.ok(files.endSyncs() > 2);
  a.accept(21);
  a.writer.close();
  files.losePower();
  const late = new Member(files);
  for (let count = 1; count <= 20; count++) assert.equal(late.has(count), true);
  assert.equal(late.has(21), false);
});

test('a writer that is closed while the disk is at work closes its files afterwards', () => {
  const files = newDisk();
  const a = new Member(files, 'a', 300);
  for (let count = 1; count <= 9; count++) a.accept(count);
  let isFlushed = false;
  a.writer.flush(() => {
    isFlushed = true;
  });
  a.writer.close();
  files.endSyncs();
  assert.ok(isFlushed);
  assert.equal(files.openFiles, 0);
});

test('a writer that is closed in reply to a flush closes its files once', () => {
  const files = newDisk();
  const a = new Member(files, 'a');
  a.accept(1);
  a.writer.flush(() => a.writer.close());
  files.endSyncs();
  assert.equal(files.openFiles, 0);
});

test('two that join with one name at the same moment: one has it', () => {
  const files = newDisk();
  const [a, b] = [new Member(files), new Member(files)];
  assert.deepEqual([a.writer.join('x', 0, 1), b.writer.join('x', 0, 2)], [1, 0]);
});

test('a reader alone follows', () => {
  const files = newDisk();
  const a = new Member(files, 'a', 300);
  const order = new Order(STORE_ID.mark);
  const left: number[] = [];
  const events = { gap: () => assert.fail(), left: (fd: number) => left.push(fd) };
  const reader = new LogReader({ files, directory: '/log', id: STORE_ID, order, position: START, events });
  for (let count = 1; count <= 9; count++) a.accept(count);
  reader.poll();
  a.writer.poll();
  assert.deepEqual(order.save(), a.order.save());
  assert.equal(reader.position, a.writer.position);
  assert.ok(left.length > 0);
});
