import assert from 'node:assert/strict';
import { test } from 'node:test';
import { totalCents } from '../domain/money.ts';
import { idText, idTextWords, writeIdBytes } from '../domain/payment.ts';
import { chance } from '../domain/random.ts';
import { Book } from './book.ts';

/** Ids that only count up, as tests and bad generators make them. */
const id = (number: number): Int32Array => Int32Array.of(0, 0x4000, 0x8000 << 16, number);

function textOf(words: Int32Array): string {
  const bytes = new Uint8Array(16);
  writeIdBytes(words, 0, bytes, 0);
  return idText(bytes);
}

test('a payment is recorded once, found by its id and listed as it came', () => {
  const book = new Book();
  const words = idTextWords('4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3');
  assert.equal(book.find(words), -1);
  assert.equal(book.record(words, 1990, 1_700_000_000_123), true);
  assert.equal(book.record(words, 5, 6), false);
  assert.equal(book.size, 1);
  assert.equal(book.find(words), 0);
  assert.deepEqual(book.entry(0), {
    correlationId: '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3',
    cents: 1990,
    requestedAtMs: 1_700_000_000_123,
  });
});

test('ids that differ in one word only are told apart', () => {
  const book = new Book();
  for (let word = 0; word < 4; word++) {
    const words = new Int32Array(4);
    words[word] = -1;
    assert.equal(book.record(words, 1, word), true);
  }
  assert.equal(book.size, 4);
});

test('many payments over several blocks are all found again, and only they', () => {
  const book = new Book();
  const count = 150_000;
  for (let number = 0; number < count; number++) book.record(id(number), number, number);
  for (let number = 0; number < count; number += 7) assert.equal(book.find(id(number)), number);
  assert.equal(book.find(id(count)), -1);
  assert.equal(book.entry(count - 1).correlationId, textOf(id(count - 1)));
});

test('any window has the sum that counting one by one gives, bounds included', () => {
  const book = new Book();
  const next = chance(11);
  const startMs = 1_700_000_000_000;
  const payments = Array.from({ length: 3000 }, (_, number) => {
    const payment = { cents: Math.floor(next() * 1e6), atMs: startMs + Math.floor(next() * 20_000) };
    book.record(id(number), payment.cents, payment.atMs);
    return payment;
  });
  const edges = [-Infinity, Infinity, startMs, startMs + 999, startMs + 1000, startMs + 19_999];
  const instant = (): number =>
    next() < 0.3 ? edges[Math.floor(next() * edges.length)]! : startMs - 1000 + Math.floor(next() * 22_000);
  for (let round = 0; round < 500; round++) {
    // One in three begins or ends exactly at a payment.
    const fromMs = next() < 0.3 ? payments[Math.floor(next() * 3000)]!.atMs : instant();
    const toMs = next() < 0.3 ? payments[Math.floor(next() * 3000)]!.atMs : instant();
    const inside = payments.filter(({ atMs }) => atMs >= fromMs && atMs <= toMs);
    const total = book.total(fromMs, toMs);
    assert.equal(total.count, inside.length, `${fromMs} to ${toMs}`);
    assert.equal(
      totalCents(total),
      inside.reduce((sum, { cents }) => sum + BigInt(cents), 0n),
    );
  }
});

test('sums beyond what a double holds are exact', () => {
  const book = new Book();
  for (let number = 0; number < 20_000; number++) book.record(id(number), 999_999_999_999, 0);
  assert.equal(totalCents(book.total(-Infinity, Infinity)), 19_999_999_999_980_000n);
  assert.equal(totalCents(book.total(0, 0)), 19_999_999_999_980_000n);
});

test('a cleared book knows nothing and records anew', () => {
  const book = new Book();
  book.record(id(1), 1, 1);
  book.clear();
  assert.equal(book.size, 0);
  assert.equal(book.find(id(1)), -1);
  assert.equal(book.total(-Infinity, Infinity).count, 0);
  assert.equal(book.record(id(1), 2, 1), true);
  assert.equal(totalCents(book.total(0, 1)), 2n);
});
