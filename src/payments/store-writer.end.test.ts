import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyTotal } from '../domain/money.ts';
import { DEFAULT, SETTLED } from '../domain/payment.ts';
import { StoreFault } from '../storage/ports.ts';
import { type WriterStand, writerStand } from '../testing/store-stand.ts';

test('an instance that was fenced writes nothing more', () => {
  const stand = writerStand();
  const slot = stand.stored(1);
  stand.state.instance('backend-1').epoch += 1;
  stand.writer.mark(slot);
  stand.writer.whenWritten(() => {});
  stand.writer.put(stand.add(2));
  stand.pass(5000);
  assert.deepEqual(stand.reported, ['fenced']);
  assert.deepEqual(stand.kinds(), ['MARK 1']);
  assert.equal(stand.state.payments.size, 1);
});

/** A writer whose store was purged while it had a batch, and which was closed for that. */
function purgedStand(waiter: () => void): WriterStand {
  const stand = writerStand({ purged: () => stand.writer.close() });
  const slot = stand.stored(1);
  stand.store.purge(() => {});
  stand.pass(1);
  stand.writer.mark(slot);
  stand.writer.whenWritten(waiter);
  stand.writer.put(stand.add(2));
  stand.pass(5000);
  return stand;
}

test('a later generation is reported as purged, and no row of the batch as written; nothing more leaves', () => {
  const stand = purgedStand(() => {});
  assert.deepEqual(stand.reported, ['well', 'purged 2']);
  assert.deepEqual(stand.kinds(), ['MARK 1']);
  assert.equal(stand.state.payments.size, 0);
});

test('a waiter for a batch that a purge has overtaken is called', () => {
  let isCalled = false;
  purgedStand(() => {
    isCalled = true;
  });
  assert.equal(isCalled, true);
});

test('a writer that is closed calls every waiter once, and writes nothing more', () => {
  const stand = writerStand();
  const { writer } = stand;
  stand.storeMs = 5;
  let called = '';
  writer.put(stand.add(1));
  writer.submit();
  writer.whenWritten(() => {
    called += 'a';
  });
  writer.put(stand.add(2));
  writer.whenWritten(() => {
    called += 'b';
  });
  stand.pass(1);
  writer.close();
  assert.deepEqual([...called].sort().join(''), 'ab');
  writer.submit();
  stand.pass(1000);
  assert.equal(called.length, 2);
  assert.deepEqual(stand.kinds(), ['INSERT 1']);
  assert.deepEqual(stand.reported, []);
});

test('a writer that is closed does not send again what the store refused', () => {
  const stand = writerStand();
  const { writer } = stand;
  stand.stored(1);
  stand.fault = call => (call === 'write' ? new StoreFault('busy', 'not now') : undefined);
  writer.put(stand.add(2));
  writer.whenWritten(() => {});
  stand.pass(1);
  assert.equal(stand.writes.length, 1);
  writer.close();
  stand.fault = () => undefined;
  stand.pass(1000);
  assert.equal(stand.writes.length, 1);
});

test('a waiter that comes to a closed writer does not wait for ever', () => {
  const stand = writerStand();
  stand.storeMs = 5;
  stand.writer.put(stand.add(1));
  stand.writer.submit();
  stand.writer.put(stand.add(2));
  stand.writer.close();
  let isCalled = false;
  stand.writer.whenWritten(() => {
    isCalled = true;
  });
  stand.pass(1000);
  assert.equal(isCalled, true);
});

test('a settlement that a full store may have already is not counted besides, and waited for', () => {
  const stand = writerStand();
  const { writer, pool } = stand;
  const slot = stand.stored(1);
  pool.state[slot] = SETTLED;
  pool.processor[slot] = DEFAULT;
  pool.attempts[slot] = 1;
  const counted = (): number => {
    const totals = { default: emptyTotal(), fallback: emptyTotal() };
    writer.addRefused(totals, -Infinity, Infinity);
    return totals.default.count;
  };
  writer.settle(slot, 1_783_684_800_900);
  stand.fault = call => (call === 'write' ? new StoreFault('full', 'not now') : undefined);
  writer.submit();
  stand.pass(1);
  assert.equal(counted(), 1, 'refused for certain');
  stand.fault = () => undefined;
  stand.losesReply = call => call === 'write';
  stand.pass(200);
  stand.fault = call => (call === 'write' ? new StoreFault('full', 'not now') : undefined);
  stand.pass(200);
  assert.equal(stand.reported.at(-1), 'full');
  assert.equal([...stand.state.payments.values()][0]!.state, SETTLED);
  assert.equal(counted(), 0);
  let isWritten = false;
  writer.whenWritten(() => {
    isWritten = true;
  });
  assert.equal(isWritten, false);
  stand.fault = () => undefined;
  stand.losesReply = () => false;
  stand.pass(400);
  assert.deepEqual([isWritten, counted()], [true, 0]);
});
