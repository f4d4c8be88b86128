import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT, FALLBACK, PINNED, SENT, SETTLED } from '../domain/payment.ts';
import { StoreFault } from '../storage/ports.ts';
import { writerStand } from '../testing/store-stand.ts';
import type { PaymentPool } from './payment-pool.ts';

/** Rows of a page that is full. */
const PAGE_ROWS = 1024;

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

test('what was not answered is sent again as it was, whatever else is said of it, and its clients wait', () => {
  const stand = writerStand();
  const { writer, pool } = stand;
  const one = stand.stored(1);
  stand.losesReply = call => call === 'write';
  intend(pool, one);
  writer.mark(one, true);
  writer.put(stand.add(3));
  writer.submit();
  stand.pass(1);
  assert.deepEqual(stand.reported, ['unanswered']);
  assert.equal(writer.isAccepting, false);
  // What comes in meanwhile was not sent, so it is refused.
  writer.put(stand.add(4));
  pool.state[one] = PINNED;
  writer.mark(one);
  stand.pass(200);
  assert.deepEqual(stand.reported.slice(1), ['4 refused', 'unanswered']);
  for (const reason of ['busy', 'full'] as const) {
    stand.fault = call => (call === 'write' ? new StoreFault(reason, 'not now') : undefined);
    stand.pass(400);
    assert.equal(stand.reported.at(-1), reason, 'of the repetition, not of the batch');
  }
  stand.fault = () => undefined;
  stand.losesReply = () => false;
  stand.reported.length = 0;
  stand.pass(400);
  const repeated = stand.writes.slice(0, -1);
  assert.ok(repeated.length > 4);
  for (const call of repeated) assert.deepEqual({ ...call, atMs: 0 }, { ...stand.writes[0], atMs: 0 });
  assert.deepEqual(stand.kinds().slice(-2), ['MARK 1, INSERT 3', 'MARK 1']);
  assert.deepEqual(stand.reported, ['well', '1 written, sent', '3 written', 'well', '1 written']);
  assert.equal(stand.state.payments.size, 2);
  assert.equal(writer.isAccepting, true);
});

test('what the store refused goes under another number than what is sent without its new payments', () => {
  const stand = writerStand();
  const { writer } = stand;
  stand.fault = call => (call === 'write' ? new StoreFault('busy', 'not now') : undefined);
  writer.put(stand.add(1));
  writer.submit();
  stand.pass(500);
  stand.fault = () => undefined;
  stand.pass(500);
  const numbers = stand.writes.map(({ number }) => number);
  assert.ok(numbers.length > 2);
  assert.deepEqual(
    numbers,
    [...new Set(numbers)].sort((one, other) => one - other),
  );
});

for (const reason of ['busy', 'full'] as const) {
  test(`what the store was ${reason} for is sent again as it was, before anything later, without what was new`, () => {
    const stand = writerStand();
    const { writer, pool } = stand;
    const [one, two] = [stand.stored(1), stand.stored(2)];
    stand.fault = call => (call === 'write' ? new StoreFault(reason, 'not now') : undefined);
    intend(pool, one);
    writer.mark(one, true);
    writer.put(stand.add(3));
    writer.attempt(two, 3, 5, 0);
    writer.submit();
    // What happens meanwhile waits behind it, but for what is new.
    const four = stand.add(4);
    writer.put(four);
    pool.state[two] = SETTLED;
    writer.settle(two, 0);
    stand.pass(1);
    assert.deepEqual(stand.reported, ['3 refused', '4 refused', reason]);
    assert.deepEqual(stand.kinds(), ['MARK 1, INSERT 3, ATTEMPT 2']);
    writer.submit();
    stand.pass(1000);
    const again = stand.writes.slice(1);
    assert.ok(again.length >= 2, 'it is sent again and again');
    const [whole] = stand.writes;
    for (const { rows, isFlushed } of again) {
      assert.deepEqual(rows, [whole!.rows[0], whole!.rows[2]]);
      assert.equal(isFlushed, true);
    }
    assert.deepEqual(new Set(stand.reported.slice(3)), new Set([reason]));

    stand.fault = () => undefined;
    stand.reported.length = 0;
    const refused = stand.writes.length;
    stand.pass(1000);
    // Whether there is room for what is new, too, has to be asked for.
    const isFull = reason === 'full';
    assert.deepEqual(stand.kinds().slice(refused), [
      ...['MARK 1, ATTEMPT 2', 'SETTLE 2'],
      ...(isFull ? [''] : []),
    ]);
    const still = isFull ? reason : 'well';
    const told = [still, '1 written, sent', still, '2 written', ...(isFull ? ['well'] : [])];
    assert.deepEqual(stand.reported, told);
    writer.put(four);
    writer.submit();
    stand.pass(1);
    assert.deepEqual(stand.reported.slice(told.length), ['well', '4 written']);
  });

  test(`while the store is ${reason}, nothing new is taken; once it takes anything, all is`, () => {
    const stand = writerStand();
    const { writer, pool } = stand;
    assert.equal(writer.isAccepting, true);
    stand.fault = call => (call === 'write' ? new StoreFault(reason, 'not now') : undefined);
    const slot = stand.add(1);
    writer.put(slot);
    writer.submit();
    stand.pass(1);
    assert.deepEqual(stand.reported, ['1 refused', reason]);
    assert.deepEqual([writer.isAccepting, writer.pending, pool.storing[slot]], [false, 0, 0]);
    // Nothing is left to be written, but whether the store takes anything has to be found out.
    stand.pass(1000);
    assert.equal(writer.isAccepting, false);
    stand.fault = () => undefined;
    stand.pass(1000);
    assert.equal(writer.isAccepting, true);
    assert.equal(stand.reported.at(-1), 'well');
    // The same slot can be put again.
    writer.put(slot);
    writer.submit();
    stand.pass(1);
    assert.equal(stand.reported.at(-1), '1 written');
  });
}

test('a refused payment takes the intent in its own row with it', () => {
  const stand = writerStand();
  const { writer, pool } = stand;
  const older = stand.stored(1);
  const slot = stand.add(2);
  writer.put(slot);
  intend(pool, slot);
  writer.mark(slot);
  intend(pool, older);
  writer.mark(older);
  stand.fault = call => (call === 'write' ? new StoreFault('full', 'not now') : undefined);
  writer.submit();
  stand.pass(1);
  assert.deepEqual(stand.reported, ['2 refused', 'full']);
  stand.fault = () => undefined;
  stand.pass(1000);
  assert.deepEqual(stand.kinds().slice(-2), ['MARK 1', '']);
  assert.equal(stand.state.payments.size, 1);
});

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

test('a payment that the store has is reported as known, or as one of another amount', () => {
  const stand = writerStand();
  for (const number of [1, 2]) stand.pool.free(stand.stored(number));
  stand.writer.put(stand.add(1));
  stand.writer.put(stand.add(2, 1991));
  stand.writer.submit();
  stand.pass(1);
  assert.deepEqual(stand.reported, ['well', '1 known', '2 other amount']);
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

test('a page leaves as soon as it is submitted, and not before', () => {
  const stand = writerStand();
  const { writer } = stand;
  writer.put(stand.add(1));
  stand.pass(1000);
  assert.equal(stand.writes.length, 0);
  writer.submit();
  assert.deepEqual(stand.kinds(), ['INSERT 1']);
});

test('a page that is full leaves by itself', () => {
  const stand = writerStand({}, 4096);
  const { writer } = stand;
  let number = 0;
  while (stand.writes.length === 0 && number < 4000) writer.put(stand.add(++number));
  const [page] = stand.writes;
  assert.equal(page?.rows.length, number - 1, 'the row that had no room any more is in the next one');
  assert.equal(writer.pending, number);
});

test('where a full page leaves, the disk is asked for with the page that has the row', () => {
  const stand = writerStand({}, 4096);
  const { writer } = stand;
  const slot = stand.stored(1);
  let number = 1;
  while (writer.pending < PAGE_ROWS) writer.put(stand.add(++number));
  assert.equal(stand.writes.length, 0);
  writer.mark(slot, true);
  assert.equal(stand.writes.length, 1, 'the page was full');
  writer.submit();
  stand.pass(1);
  assert.deepEqual(
    stand.writes.map(({ rows, isFlushed }) => [rows.at(-1)!.kind, isFlushed]),
    [
      ['INSERT', false],
      ['MARK', true],
    ],
  );
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

const busy = (call: string): StoreFault | undefined =>
  call === 'write' ? new StoreFault('busy', 'not now') : undefined;

test('a waiter for a batch that the store refused waits until it is written', () => {
  const stand = writerStand();
  const slot = stand.stored(1);
  stand.fault = busy;
  let isCalled = false;
  stand.writer.mark(slot);
  stand.writer.whenWritten(() => {
    isCalled = true;
  });
  stand.pass(1000);
  assert.equal(isCalled, false);
  stand.fault = () => undefined;
  stand.pass(1000);
  assert.equal(isCalled, true);
});

test('a waiter for new payments that are refused is called, whichever page they were in', () => {
  const stand = writerStand();
  stand.storeMs = 5;
  stand.fault = busy;
  const called: number[] = [];
  for (const page of [1, 2]) {
    stand.writer.put(stand.add(page));
    stand.writer.whenWritten(() => void called.push(page));
  }
  stand.pass(100);
  stand.fault = () => undefined;
  stand.pass(1000);
  assert.deepEqual(called, [1, 2]);
});
