import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT, FALLBACK, PINNED, SENT, SETTLED } from '../domain/payment.ts';
import { StoreFault } from '../storage/ports.ts';
import { type WriterStand, writerStand } from '../testing/store-stand.ts';
import type { PaymentPool } from './payment-pool.ts';

/** An attempt on `to` begins, as far as the store learns of it. */
function intend(pool: PaymentPool, slot: number, to: typeof DEFAULT | typeof FALLBACK = DEFAULT): void {
  pool.attempts[slot]! += 1;
  pool.processor[slot] = to;
  pool.requestedAtMs[slot] = 1_783_684_800_500;
  pool.state[slot] = SENT;
}

test('rows leave, and are reported as written, in the order in which they happened', () => {
  const stand = writerStand();
  const { writer, pool } = stand;
  const one = stand.stored(1);
  const two = stand.stored(2);
  const three = stand.add(3);
  intend(pool, one);
  writer.mark(one);
  writer.put(three);
  writer.attempt(one, 3, 5, 0);
  pool.state[two] = SETTLED;
  pool.processor[two] = FALLBACK;
  writer.settle(two, 1_783_684_800_900);
  pool.state[one] = PINNED;
  writer.mark(one);
  writer.submit();
  stand.pass(1);
  assert.deepEqual(stand.kinds(), ['MARK 1, INSERT 3, ATTEMPT 1, SETTLE 2, MARK 1']);
  assert.deepEqual(stand.reported, ['well', '1 written, sent', '3 written', '2 written', '1 written']);
  const [settled] = [...stand.state.payments.values()].filter(({ seq }) => seq === 2);
  assert.equal(settled!.state, SETTLED);
  assert.equal(settled!.settledAtMs, 1_783_684_800_900);
});

test('a row says what was true when it was recorded', () => {
  const stand = writerStand();
  const { writer, pool } = stand;
  const slot = stand.stored(1);
  intend(pool, slot);
  writer.mark(slot);
  pool.state[slot] = PINNED;
  pool.attempts[slot] = 7;
  writer.whenWritten(() => {});
  const [row] = stand.writes[0]!.rows;
  assert.equal(row!.state, SENT);
  assert.equal(row!.attempts, 1);
});

test('one batch is on its way at a time, and the next one gathers meanwhile', () => {
  const stand = writerStand();
  const { writer } = stand;
  stand.storeMs = 5;
  writer.put(stand.add(1));
  writer.submit();
  for (const number of [2, 3, 4]) {
    writer.put(stand.add(number));
    writer.whenWritten(() => {});
    writer.submit();
  }
  stand.pass(9);
  assert.deepEqual(stand.kinds(), ['INSERT 1']);
  assert.equal(writer.pending, 4);
  stand.pass(11);
  assert.deepEqual(stand.kinds(), ['INSERT 1', 'INSERT 2, INSERT 3, INSERT 4']);
  assert.equal(writer.pending, 0);
});

for (const reason of ['busy', 'full'] as const) {
  test(`a batch for which the store was ${reason} is sent again as it was, before any later one`, () => {
    const stand = writerStand();
    const { writer, pool } = stand;
    const slot = stand.stored(1);
    stand.fault = call => (call === 'write' ? new StoreFault(reason, 'not now') : undefined);
    intend(pool, slot);
    writer.mark(slot);
    writer.whenWritten(() => {});
    stand.pass(1);
    // What happens meanwhile, settlements included, waits behind it.
    writer.put(stand.add(2));
    pool.state[slot] = SETTLED;
    writer.settle(slot, 0);
    writer.submit();
    stand.pass(1000);
    const refused = stand.writes.length;
    assert.ok(refused >= 2, 'it was never sent again');
    assert.deepEqual(new Set(stand.kinds()), new Set(['MARK 1']));
    for (const { rows } of stand.writes) assert.deepEqual(rows, stand.writes[0]!.rows);
    assert.deepEqual(new Set(stand.reported), new Set([reason]));

    stand.fault = () => undefined;
    stand.pass(1000);
    assert.deepEqual(stand.kinds().slice(refused), ['MARK 1', 'INSERT 2, SETTLE 1']);
    assert.deepEqual(stand.reported.slice(refused), [
      'well',
      '1 written, sent',
      'well',
      '2 written',
      '1 written',
    ]);
  });
}

test("a first attempt's intent is part of the payment's own row as long as that has not left", () => {
  const stand = writerStand();
  const { writer, pool } = stand;
  const [one, two] = [stand.add(1), stand.add(2)];
  writer.put(one);
  writer.put(two);
  intend(pool, one, FALLBACK);
  writer.mark(one, true);
  writer.submit();
  assert.deepEqual(stand.kinds(), ['INSERT 1, INSERT 2']);
  assert.equal(stand.writes[0]!.isFlushed, true);
  const [row, other] = stand.writes[0]!.rows;
  assert.deepEqual([row!.state, row!.processor, row!.attempts], [SENT, FALLBACK, 1]);
  assert.equal(row!.requestedAtMs, pool.requestedAtMs[one]);
  assert.deepEqual([other!.processor, other!.attempts], [-1, 0]);
  stand.pass(1);
  assert.deepEqual(stand.reported, ['well', '1 written, sent', '2 written']);
});

test('once its own row has left, what happens to a payment is a row of its own', () => {
  const stand = writerStand();
  const { writer, pool } = stand;
  const slot = stand.add(1);
  writer.put(slot);
  writer.submit();
  assert.equal(pool.storing[slot], 1);
  stand.pass(1);
  assert.equal(pool.storing[slot], 0);
  intend(pool, slot);
  writer.mark(slot);
  writer.whenWritten(() => {});
  assert.deepEqual(stand.kinds(), ['INSERT 1', 'MARK 1']);
});

test('a payment of another instance is reported as known', () => {
  const stand = writerStand();
  const slot = stand.stored(1);
  stand.pool.free(slot);
  stand.writer.put(stand.add(1));
  stand.writer.whenWritten(() => {});
  stand.pass(1);
  assert.deepEqual(stand.reported, ['well', '1 known']);
});

test('a batch asks for the disk only if one of its rows does', () => {
  const stand = writerStand();
  const { writer } = stand;
  const slot = stand.stored(1);
  for (const isFlushed of [true, false]) {
    writer.mark(slot);
    writer.mark(slot, isFlushed);
    writer.mark(slot);
    writer.whenWritten(() => {});
    stand.pass(1);
  }
  assert.deepEqual(
    stand.writes.map(({ isFlushed }) => isFlushed),
    [true, false],
  );
});

/** How long after an earlier batch one leaves to which `record` has added something. */
function waitedMs(record: (stand: WriterStand, slot: number) => void): number {
  const stand = writerStand();
  const slot = stand.stored(1);
  const startMs = stand.loop.nowMs;
  record(stand, slot);
  stand.writer.submit();
  stand.pass(1000);
  assert.equal(stand.writes.length, 1);
  return stand.writes[0]!.atMs - startMs;
}

test('a page for which nobody waits leaves later than an urgent one, which leaves later than one that is awaited', () => {
  const lazyMs = waitedMs(({ writer, add }) => writer.put(add(2)));
  const urgentMs = waitedMs(({ writer }, slot) => writer.mark(slot));
  assert.ok(lazyMs > urgentMs && urgentMs > 5, `${lazyMs} and ${urgentMs} ms`);
  const awaitedMs = waitedMs(({ writer, add }) => {
    writer.put(add(2));
    writer.whenWritten(() => {});
  });
  assert.equal(awaitedMs, 0);
  const settlingMs = waitedMs(({ writer, pool }, slot) => {
    pool.state[slot] = SETTLED;
    writer.settle(slot, 0);
  });
  assert.equal(settlingMs, 0);
});

test('what becomes urgent while it waits does not wait as long as it would have', () => {
  const startedMs = waitedMs(({ writer, add, pass }, slot) => {
    writer.put(add(2));
    writer.submit();
    pass(1);
    writer.mark(slot);
  });
  assert.equal(
    startedMs,
    waitedMs(({ writer }, slot) => writer.mark(slot)),
  );
});

test('the first page waits for nothing', () => {
  const stand = writerStand();
  stand.writer.put(stand.add(1));
  stand.writer.submit();
  assert.equal(stand.writes.length, 1);
});

/** Rows that a page takes before it leaves although its time has not come. */
function rowsUntilFull(record: (stand: WriterStand, slot: number) => void): number {
  const stand = writerStand({}, 4096);
  const slot = stand.stored(1);
  for (let rows = 1; rows < 4000; rows++) {
    record(stand, slot);
    const isDue = stand.writer.isDue;
    stand.writer.submit();
    if (stand.writes.length === 0) continue;
    assert.equal(isDue, true);
    assert.equal(stand.writes[0]!.rows.length, rows);
    return rows;
  }
  return assert.fail('it is never full');
}

test('a page that is full does not wait, and an urgent one is full with fewer rows', () => {
  let number = 1;
  const lazy = rowsUntilFull(({ writer, add }) => writer.put(add(++number)));
  const urgent = rowsUntilFull(({ writer }, slot) => writer.mark(slot));
  assert.ok(lazy > urgent && urgent > 1, `${lazy} and ${urgent} rows`);
});

test('submitting is due only where no timer and no answer of the store will see to it', () => {
  const stand = writerStand();
  const { writer } = stand;
  writer.put(stand.add(1));
  assert.equal(writer.isDue, true);
  writer.submit();
  writer.put(stand.add(2));
  assert.equal(writer.isDue, false, 'the store is at work');
  stand.pass(1);
  assert.equal(writer.isDue, false, 'a timer is set');
  stand.pass(200);
  assert.equal(writer.pending, 0);
});

test('a waiter is called after everything that was recorded before, and for nothing that was recorded later', () => {
  const stand = writerStand();
  const { writer } = stand;
  stand.storeMs = 5;
  const called: number[][] = [];
  const wait = (): void => {
    writer.whenWritten(() => {
      called.push([...stand.state.bySeq.values()].map(({ id }) => id[3]!));
      assert.equal(stand.reported.filter(line => line.endsWith(' written')).length, called.at(-1)!.length);
    });
  };
  wait();
  assert.deepEqual(called, [[]], 'nothing was recorded: it is called at once');
  writer.put(stand.add(1));
  writer.submit();
  wait();
  writer.put(stand.add(2));
  wait();
  stand.pass(9);
  assert.equal(called.length, 1);
  stand.pass(1);
  assert.deepEqual(called, [[], [1]]);
  writer.put(stand.add(3));
  stand.pass(10);
  assert.deepEqual(called, [[], [1], [1, 2]]);
});

test('a waiter for a batch that the store refused waits until it is written', () => {
  const stand = writerStand();
  stand.fault = call => (call === 'write' ? new StoreFault('busy', 'not now') : undefined);
  let isCalled = false;
  stand.writer.put(stand.add(1));
  stand.writer.whenWritten(() => {
    isCalled = true;
  });
  stand.pass(1000);
  assert.equal(isCalled, false);
  stand.fault = () => undefined;
  stand.pass(1000);
  assert.equal(isCalled, true);
});
