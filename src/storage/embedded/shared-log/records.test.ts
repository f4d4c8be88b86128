import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { chance } from '../../../domain/random.ts';
import { crc32 } from './crc32.ts';
import { BatchView, findBatch, gapsOf, type LogBytes, readBatch, salvage, undecidedFrom } from './decoder.ts';
import { LogVersionError } from './log-error.ts';
import {
  BATCH_HEADER_BYTES,
  BatchEncoder,
  type BatchOrigin,
  batchBytesMax,
  recordBytes,
  recordKind,
} from './records.ts';

const origin = (number: number): BatchOrigin => ({
  store: 0x1234abcd,
  instance: 2,
  epoch: 7,
  number,
  generation: 1,
  marksSeen: 3,
});

const sourceOf = (bytes: Uint8Array): LogBytes => ({
  bytes,
  view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
});

/** A batch of every size and shape: payments, texts, and one record alone. */
function encoded(number: number): Uint8Array {
  const encoder = new BatchEncoder();
  const words = Int32Array.of(number, 2, -3, 4);
  const progress = { state: 2, processor: 0, requestedAtMs: 1_783_686_896_001, attempts: 1, tries: 1 };
  switch (number % 4) {
    case 0:
      encoder.accept(words, 0, 7, 1990, 1_783_686_896_000);
      encoder.intend(words, 0, 7, 1, 0, 1_783_686_896_001, 1, 1);
      break;
    case 1:
      encoder.beat(new TextEncoder().encode(`{"n":${number}}`));
      encoder.endAttempt(words, 0, 7, progress, 3, 12.5, 1_783_686_896_500);
      break;
    case 2:
      encoder.leave();
      break;
    default:
      encoder.book(words, 0, 7, 1, 1_783_686_896_001, 1_783_686_896_050, 999_999_999_999, 1);
      encoder.act(
        ...([words, 0, 7, progress, 3, 1990, 1_783_686_896_001] as const),
        ...(['Zoë', 'geschlossen, weil ü'].map(each => new TextEncoder().encode(each)) as [
          Uint8Array,
          Uint8Array,
        ]),
      );
      encoder.hold(words, 0, 7, progress, 1, 1_783_686_896_001);
  }
  return encoder.bytes.slice(0, encoder.finish(origin(number)));
}

const join = (parts: readonly Uint8Array[]): Uint8Array => Uint8Array.from(parts.flatMap(part => [...part]));

/** The numbers of all whole batches, as a reader at rest finds them. */
function numbers(bytes: Uint8Array): number[] {
  const source = sourceOf(bytes);
  const batch = new BatchView();
  const found: number[] = [];
  for (let at = findBatch(source, 0, bytes.length, batch); at !== -1; ) {
    found.push(batch.number);
    at = findBatch(source, at + batch.byteLength, bytes.length, batch);
  }
  return found;
}

const COUNT = 8;
const batches = Array.from({ length: COUNT }, (_, number) => encoded(number));
const log = join(batches);
const all = batches.map((_, number) => number);

test('the sum is that of zlib, of any part and in any parts', () => {
  const random = chance(1);
  const bytes = Uint8Array.from({ length: 300 }, () => random() * 256);
  for (let start = 0; start < 20; start++) {
    for (let end = start; end < 300; end += 7) {
      const whole = zlibCrc32(bytes.subarray(start, end));
      assert.equal(crc32(bytes, start, end), whole);
      const middle = Math.floor((start + end) / 2);
      assert.equal(crc32(bytes, middle, end, crc32(bytes, start, middle)), whole);
    }
  }
});

test('what was written is read', () => {
  assert.deepEqual(numbers(log), all);
  const source = sourceOf(log);
  const batch = new BatchView();
  assert.equal(readBatch(source, 0, log.length, batch), true);
  assert.deepEqual(
    [batch.store, batch.instance, batch.epoch, batch.generation, batch.marksSeen, batch.count],
    [0x1234abcd, 2, 7, 1, 3, 2],
  );
  const accept = batch.recordsAt;
  assert.deepEqual([recordKind(source.view, accept), recordBytes(source.view, accept)], [1, 44]);
  assert.equal(source.view.getFloat64(accept + 28, true), 1990);
  assert.equal(source.view.getFloat64(accept + 36, true), 1_783_686_896_000);
});

test('of a log that is cut anywhere, every batch in front of the cut is read, and the rest is a torn tail', () => {
  let start = 0;
  let whole = 0;
  for (let cut = 0; cut <= log.length; cut++) {
    if (cut === start + (batches[whole]?.length ?? Infinity)) {
      start = cut;
      whole += 1;
    }
    const bytes = log.slice(0, cut);
    assert.deepEqual(numbers(bytes), all.slice(0, whole));
    const gaps = gapsOf(sourceOf(bytes), start, cut);
    assert.deepEqual(
      gaps.map(({ is }) => is),
      cut === start ? [] : ['torn'],
      `cut at ${cut}`,
    );
  }
});

test('a batch that is cut anywhere, with others behind it, costs itself alone and is known as torn', () => {
  for (const [number, batch] of batches.entries()) {
    const before = join(batches.slice(0, number));
    const behind = batches.slice(number + 1);
    if (behind.length === 0) continue;
    for (let cut = 1; cut < batch.length; cut++) {
      const bytes = join([before, batch.slice(0, cut), ...behind]);
      assert.deepEqual(
        numbers(bytes),
        all.filter(other => other !== number),
      );
      const [gap, ...more] = gapsOf(sourceOf(bytes), before.length, before.length + cut);
      assert.deepEqual([gap?.is, gap?.from, more.length], ['torn', before.length, 0], `cut at ${cut}`);
    }
  }
});

test('a bit that is flipped anywhere costs the batch that it is in, and no other record of it', () => {
  let start = 0;
  for (const [number, batch] of batches.entries()) {
    const count = batch[6]!;
    for (let bit = 0; bit < batch.length * 8; bit++) {
      const bytes = log.slice();
      bytes[start + (bit >> 3)]! ^= 1 << (bit & 7);
      const rest = all.filter(other => other !== number);
      assert.deepEqual(numbers(bytes), rest, `bit ${bit} of batch ${number}`);
      const [gap, ...more] = gapsOf(sourceOf(bytes), start, start + batch.length);
      assert.deepEqual([gap?.is, more.length], ['damaged', 0]);
      const records = salvage(sourceOf(bytes), start, start + batch.length, () => {});
      assert.equal(records, bit < BATCH_HEADER_BYTES * 8 ? 0 : count - 1);
      assert.equal(gap?.records, records);
    }
    start += batch.length;
  }
});

test('garbage between batches, with magics and zeros in it, hides none of them', () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = chance(seed);
    const parts: Uint8Array[] = [];
    for (const batch of batches) {
      const length = Math.floor(random() * 150);
      const garbage = Uint8Array.from({ length }, () =>
        random() < 0.2 ? 0xfe : random() < 0.2 ? 0 : random() * 256,
      );
      // The beginning of a batch that was never finished, header and all.
      const cut = random() < 0.5 ? Math.floor(random() * batch.length) : 0;
      parts.push(garbage, batch.slice(0, cut), batch);
    }
    assert.deepEqual(numbers(join(parts)), all, `SEED=${seed}`);
  }
});

test('two batches that were both cut short are told apart', () => {
  const bytes = join([batches[3]!.slice(0, 60), batches[1]!.slice(0, 50), batches[0]!]);
  assert.deepEqual(numbers(bytes), [0]);
  assert.deepEqual(
    gapsOf(sourceOf(bytes), 0, 110).map(({ is, from, to }) => [is, from, to]),
    [
      ['torn', 0, 60],
      ['torn', 60, 110],
    ],
  );
});

test('a batch of another version is refused, not passed over', () => {
  const bytes = batches[0]!.slice();
  bytes[4] = 2;
  new DataView(bytes.buffer).setUint32(40, crc32(bytes, 0, 40), true);
  assert.throws(() => numbers(bytes), LogVersionError);
});

test('records of one batch do not pass for those of another', () => {
  const encoder = new BatchEncoder();
  encoder.leave();
  encoder.leave();
  const one = encoder.bytes.slice(0, encoder.finish(origin(1)));
  const two = encoder.bytes.slice(0, encoder.finish(origin(2)));
  two.set(one.subarray(BATCH_HEADER_BYTES + 8), BATCH_HEADER_BYTES + 8);
  assert.deepEqual(numbers(two), []);
});

test('an encoder takes what has room and can be used again', () => {
  const encoder = new BatchEncoder();
  const text = new Uint8Array(60_000).fill(0x61);
  while (encoder.hasRoom(text.length)) encoder.beat(text);
  assert.equal(encoder.count, 4);
  assert.throws(() => encoder.beat(text), /full/);
  const bytes = encoder.bytes.slice(0, encoder.finish(origin(9)));
  assert.ok(bytes.length <= batchBytesMax);
  assert.deepEqual(numbers(bytes), [9]);
  encoder.clear();
  encoder.leave();
  assert.equal(encoder.finish(origin(10)), BATCH_HEADER_BYTES + 8);
});

test('what is further from the end than the longest batch is decided', () => {
  assert.equal(undecidedFrom(10, 1000), 10);
  assert.equal(undecidedFrom(10, batchBytesMax + 500), 500);
});
