import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CENTS_MAX } from '../../domain/money.ts';
import { idWords } from '../../domain/payment.ts';
import { seededBelow } from '../../domain/random.ts';
import { idOf, seed } from '../../testing/stores.ts';
import {
  decodeHeader,
  decodeRecords,
  encodeHeader,
  encodeRecord,
  RECORD_BYTES,
  segmentName,
  segmentNumber,
} from './log-format.ts';

const at = 1_783_684_800_123;

function records(count: number): Uint8Array {
  const bytes = new Uint8Array(count * RECORD_BYTES);
  for (let n = 0; n < count; n++) {
    encodeRecord(bytes, n * RECORD_BYTES, [9, ...idWords(idOf(n))], 1, CENTS_MAX - n, at + n);
  }
  return bytes;
}

function decoded(bytes: Uint8Array): { count: number; end: number } {
  let count = 0;
  const end = decodeRecords(bytes, 0, bytes.length, (source, idStart, cents, acceptedAtMs) => {
    assert.deepEqual(source.subarray(idStart, idStart + 16), idOf(count));
    assert.deepEqual([cents, acceptedAtMs], [CENTS_MAX - count, at + count]);
    count += 1;
  });
  return { count, end };
}

test('records come back as they were written', () => {
  assert.deepEqual(decoded(records(50)), { count: 50, end: 50 * RECORD_BYTES });
});

test('a log that ends at any byte gives the records before', () => {
  const bytes = records(3);
  for (let end = 0; end < bytes.length; end++) {
    const whole = Math.floor(end / RECORD_BYTES);
    assert.deepEqual(decoded(bytes.slice(0, end)), { count: whole, end: whole * RECORD_BYTES });
  }
});

test('a changed bit anywhere ends the log before its record', () => {
  for (let bit = 0; bit < RECORD_BYTES * 8; bit++) {
    const bytes = records(3);
    bytes[RECORD_BYTES + (bit >> 3)]! ^= 1 << (bit & 7);
    assert.equal(decoded(bytes).count, 1, `bit ${bit}`);
  }
});

test('zeros and chance are no records', () => {
  assert.equal(decoded(new Uint8Array(320)).count, 0);
  const next = seededBelow(seed);
  for (let round = 0; round < 1000; round++) {
    assert.equal(decoded(Uint8Array.from({ length: 32 }, () => next(256))).count, 0, `SEED=${seed}`);
  }
});

test('a header tells its generation and term, and what is none is told from it', () => {
  const header = { generation: 4_000_000_000, term: 3_000_000_000 };
  assert.deepEqual(decodeHeader(encodeHeader(header)), header);
  assert.equal(decodeHeader(encodeHeader(header).subarray(0, 31)), undefined);
  assert.equal(decodeHeader(new Uint8Array(32)), undefined);
});

test("a segment's name tells its instance and number", () => {
  assert.equal(segmentNumber('backend-1', segmentName('backend-1', 42)), 42);
  assert.equal(segmentNumber('a', segmentName('a.1', 42)), undefined);
  assert.equal(segmentNumber('a', 'a.1.log.tmp'), undefined);
  assert.ok(segmentName('a', 9) < segmentName('a', 10));
});
