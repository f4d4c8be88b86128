/** When a batch leaves for a store that asks for its batches to wait. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT, SETTLED } from '../domain/payment.ts';
import { type WriterStand, writerStand } from '../testing/store-stand.ts';

test('under load a batch waits for more rows where the store asks for that, and leaves by itself', () => {
  const stand = writerStand({}, 1024, 20);
  const { writer } = stand;
  let number = 0;
  const add = (): void => {
    writer.put(stand.add(++number));
    writer.submit();
  };
  for (let turn = 0; turn < 900; turn++) {
    add();
    stand.pass(0.75);
  }
  const rows = stand.writes.slice(-20).map(write => write.rows.length);
  assert.ok(Math.min(...rows) >= 10, String(rows));
  stand.pass(2);
  assert.equal(writer.pending, 0);
  add();
  writer.whenWritten(() => {});
  stand.pass(0.3);
  assert.equal(writer.pending, 0, 'not while somebody waits for it');
});

function settle({ writer, pool }: WriterStand, slot: number): void {
  pool.state[slot] = SETTLED;
  pool.processor[slot] = DEFAULT;
  writer.settle(slot, 1_783_684_800_900);
  writer.submit();
}

test('settlements leave together, and no payment that comes in waits for them', () => {
  const stand = writerStand({}, 64, 20);
  const { writer } = stand;
  const slots = [1, 2, 3, 4].map(number => stand.stored(number));
  const before = stand.writes.length;
  const sent = (): string[] => stand.kinds().slice(before);
  settle(stand, slots[0]!);
  stand.pass(15);
  settle(stand, slots[1]!);
  writer.put(stand.add(5));
  writer.submit();
  stand.pass(1);
  assert.deepEqual(sent(), ['INSERT 5']);
  stand.pass(23);
  assert.equal(writer.pending, 2);
  stand.pass(2);
  assert.deepEqual(sent().slice(1), ['SETTLE 1, SETTLE 2']);
  settle(stand, slots[2]!);
  writer.whenWritten(() => {});
  assert.deepEqual(sent().slice(2), ['SETTLE 3'], 'who asks what is settled does not wait');
});

test('settlements that are due leave with what leaves then', () => {
  const stand = writerStand({}, 64, 20);
  const { writer } = stand;
  const slots = [1, 2].map(number => stand.stored(number));
  const before = stand.writes.length;
  stand.storeMs = 30;
  settle(stand, slots[0]!);
  writer.put(stand.add(3));
  writer.submit();
  stand.pass(45);
  writer.put(stand.add(4));
  settle(stand, slots[1]!);
  stand.pass(90);
  assert.deepEqual(stand.kinds().slice(before), ['INSERT 3', 'INSERT 4, SETTLE 1, SETTLE 2']);
});

test('under load a payment does not wait for as long as a settlement before it would have', () => {
  const stand = writerStand({}, 1024, 20);
  const { writer } = stand;
  const slot = stand.stored(1);
  let number = 1;
  const add = (): void => {
    writer.put(stand.add(++number));
    writer.submit();
  };
  for (let turn = 0; turn < 900; turn++) {
    add();
    stand.pass(0.75);
  }
  writer.whenWritten(() => {});
  stand.pass(1);
  assert.equal(writer.pending, 0);
  settle(stand, slot);
  stand.pass(0.2);
  const batches = stand.writes.length;
  add();
  stand.pass(20);
  assert.ok(stand.writes.length > batches);
});
