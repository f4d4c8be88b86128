import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Order } from './order.ts';
import { LogReader } from './reader.ts';
import {
  encodeSegmentHeader,
  logSegmentName,
  positionOf,
  SEGMENT_HEADER_BYTES,
  segmentAt,
  storeIdOf,
} from './segments.ts';
import { VirtualLogFiles } from './virtual-log-files.ts';
import { LogWriter } from './writer.ts';

const STORE_ID = storeIdOf(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
const START = positionOf(1, SEGMENT_HEADER_BYTES);
const nameOf = (segment: number): string => `/log/${logSegmentName(segment)}`;

/** A disk on which the end of the first segment comes after it was read for the first time. */
class LateSeal extends VirtualLogFiles {
  /** Where the first read of the log ends. */
  firstReadTo: number | undefined;

  override read(fd: number, bytes: Uint8Array, start: number, length: number, position: number): number {
    const taken = super.read(fd, bytes, start, length, position);
    const { firstReadTo } = this;
    if (position !== SEGMENT_HEADER_BYTES || firstReadTo === undefined || length === 1) return taken;
    this.firstReadTo = undefined;
    return Math.min(taken, firstReadTo - position);
  }
}

test('a seal that comes between two looks is read, and the segment behind it is not left', () => {
  const files = new LateSeal();
  files.createWhole(nameOf(1), encodeSegmentHeader(STORE_ID, 1, 1));
  const common = { files, directory: '/log', id: STORE_ID, position: START, events: { gap: () => {} } };
  const order = new Order(STORE_ID.mark);
  const writer = new LogWriter({ ...common, order, segmentBytes: 2_000 });
  writer.poll();
  writer.join('a', 0, 1);
  const accept = (payment: number): void => {
    writer.batch().accept(Int32Array.of(payment, 0, 0, 0), 0, writer.epoch, 5, 1);
    writer.append();
  };
  let payment = 1;
  while (segmentAt(writer.position) === 1) accept(payment++);
  accept(payment);

  // The seal is the last thing in it.
  files.firstReadTo = files.bytesOf(nameOf(1)).length - 1;
  const late = new Order(STORE_ID.mark);
  const gaps: number[] = [];
  const reader = new LogReader({
    ...common,
    order: late,
    events: { gap: segment => gaps.push(segment), left: fd => files.close(fd) },
  });
  reader.poll();
  reader.poll();
  assert.equal(files.firstReadTo, undefined);
  assert.deepEqual(gaps, []);
  assert.equal(reader.segment, 2);
  assert.deepEqual(late.save(), order.save());
});
