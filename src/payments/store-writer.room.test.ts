import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SETTLED } from '../domain/payment.ts';
import { StoreFault } from '../storage/ports.ts';
import { writerStand } from '../testing/store-stand.ts';

test('a store without room settles what it has at once, and takes payments when it says that it has some', () => {
  const stand = writerStand();
  const { writer, pool } = stand;
  const slots = [1, 2, 3].map(number => stand.stored(number));
  let isFull = true;
  stand.fault = call => {
    const rows = stand.writes.at(-1)?.rows ?? [];
    const needsRoom = rows.length === 0 || rows.some(({ kind }) => kind === 'INSERT');
    return call === 'write' && isFull && needsRoom ? new StoreFault('full', 'no room') : undefined;
  };
  writer.put(stand.add(4));
  writer.submit();
  stand.pass(1);
  assert.deepEqual(stand.reported, ['4 refused', 'full']);
  for (const slot of slots) {
    stand.reported.length = 0;
    pool.state[slot] = SETTLED;
    writer.settle(slot, 0);
    writer.submit();
    stand.pass(1);
    assert.deepEqual(stand.reported, ['full', `${pool.words[slot * 4]} written`]);
    stand.pass(1000);
    assert.equal(writer.isAccepting, false, 'it took a settlement, which needs no room');
    assert.deepEqual(new Set(stand.reported.slice(2)), new Set(['full']));
  }
  let isWritten = false;
  writer.whenWritten(() => {
    isWritten = true;
  });
  assert.ok(isWritten, 'nothing is left to be written');
  isFull = false;
  stand.pass(1000);
  assert.equal(writer.isAccepting, true);
  assert.deepEqual(stand.kinds().at(-1), '');
  assert.equal(stand.reported.at(-1), 'well');
  const asked = stand.writes.length;
  stand.pass(10_000);
  assert.equal(stand.writes.length, asked, 'it is not asked any more');
});
