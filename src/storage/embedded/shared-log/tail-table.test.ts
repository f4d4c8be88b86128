import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailTable } from './tail-table.ts';

test('the table holds many and gives back what a burst needed', () => {
  const tail = new TailTable();
  for (let count = 0; count < 5000; count++) tail.add(Int32Array.of(count, 0, 0, count & 15), 0);
  for (let count = 0; count < 5000; count++) assert.ok(tail.find(Int32Array.of(1, 2, 3, count), 0) < 0);
  assert.equal(tail.find(Int32Array.of(4999, 0, 0, 4999 & 15), 0), 4999 * 16);
  for (let count = 0; count < 4990; count++) tail.rows[count * 16 + 15] = 1;
  for (let count = 4990; count < 5000; count++) tail.rows[count * 16 + 15] = 2;
  tail.dropBefore(2);
  assert.equal(tail.count, 10);
  assert.ok(tail.rows.length <= 64 * 16);
  assert.equal(tail.find(Int32Array.of(4999, 0, 0, 4999 & 15), 0), 9 * 16);
  assert.ok(tail.find(Int32Array.of(1, 0, 0, 1), 0) < 0);
});
