import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOSED, HELD_REFUSED, PINNED, SENT, SETTLED, WAITING } from '../../../domain/payment.ts';
import { tailOf } from './model-index.fixture.ts';
import { Order } from './order.ts';
import {
  ANOTHER_AMOUNT,
  BATCH_FOREIGN,
  BATCH_PURGED,
  BATCH_REPEATED,
  BATCH_SEALED,
  BATCH_STALE,
  COUNTED,
  SAME_AMOUNT,
} from './order-state.ts';
import { ALL_SHARES, INDEXER } from './ordered-members.ts';
import type { BatchEncoder } from './records.ts';
import { positionOf } from './segments.ts';
import { ROW_HELD, ROW_PROCESSOR, ROW_SETTLED_AT } from './tail-table.ts';
import { begun, fence, paymentIn, progress, STORE, text } from './written-log.fixture.ts';

test('of several amounts of an id the first is accepted, and its intent alone counts', () => {
  const log = begun();
  const other = log.results(2, batch => {
    batch.accept(paymentIn(5), 0, 2, 5, 1000);
    batch.intend(paymentIn(5), 0, 2, SENT, 1, 1001, 1, 1);
    batch.accept(paymentIn(6), 0, 2, 5, 1000);
  });
  assert.deepEqual(other, [ANOTHER_AMOUNT, 0, 2]);
  assert.deepEqual(
    log.results(2, batch => batch.accept(paymentIn(5), 0, 2, 1990, 1000)),
    [SAME_AMOUNT],
  );
});

test('a batch that is appended twice counts once', () => {
  const log = begun();
  const fill = (batch: BatchEncoder): void => batch.accept(paymentIn(6), 0, 1, 5, 1000);
  assert.equal(log.feed(1, fill, { number: 2 }), COUNTED);
  assert.equal(log.feed(1, fill, { number: 2 }), BATCH_REPEATED);
  assert.equal(log.feed(1, fill, { number: 1 }), BATCH_REPEATED);
});

test('only the owner of a payment works on it', () => {
  const log = begun();
  log.results(1, batch => batch.accept(paymentIn(7), 0, 1, 5, 1000));
  const work = (batch: BatchEncoder): void => {
    batch.intend(paymentIn(5), 0, 1, PINNED, 0, 1001, 2, 1);
    batch.endAttempt(paymentIn(5), 0, 1, progress, 1, 1, 1);
    batch.hold(paymentIn(5), 0, 1, progress, 1, 1);
    batch.book(paymentIn(5), 0, 1, 0, 1, 2, 1990, 1);
    // Nor does it help to claim another origin, known or unknown.
    batch.book(paymentIn(5), 0, 2, 0, 1, 2, 1990, 1);
    batch.intend(paymentIn(7), 0, 1, SENT, 0, 1001, 1, 1);
  };
  assert.deepEqual(log.results(2, work), [0, 0, 0, 0, 0, 0]);
  assert.deepEqual(fence(log, 2, 1), [1]);
  assert.deepEqual(log.results(2, work), [0, 0, 0, 0, 0, 0], 'dead, and not adopted');
  log.results(2, batch => batch.adopt(1, ALL_SHARES));
  assert.deepEqual(log.results(2, work), [1, 1, 1, 1, 0, 1]);
});

test('while an attempt may be on its way, none leaves for the other processor', () => {
  const log = begun();
  const intend = (state: number, processor: number, epoch = 1): number =>
    log.results(epoch, batch => batch.intend(paymentIn(5), 0, 1, state, processor, 1002, 2, 1))[0]!;
  const end = (state: number, processor: number): void => {
    log.results(1, batch => batch.endAttempt(paymentIn(5), 0, 1, { ...progress, state, processor }, 1, 1, 1));
  };
  assert.equal(intend(SENT, 1), 0);
  assert.deepEqual(
    log.results(1, batch => batch.book(paymentIn(5), 0, 1, 1, 1, 2, 1990, 1)),
    [0],
  );
  end(WAITING, 0);
  assert.equal(intend(SENT, 1), 1);
  end(PINNED, 1);
  assert.equal(intend(SENT, 0), 0);
  end(WAITING, 1);
  assert.deepEqual([log.state(paymentIn(5)), intend(SENT, 0)], [PINNED, 0], 'a pin is never lifted');
  const start = log.order.tail.find(paymentIn(5), 0);
  assert.equal(log.order.tail.rows[start + ROW_PROCESSOR], 1);
});

test('an attempt on top of one whose end nobody has pins the payment', () => {
  const log = begun();
  fence(log, 2, 1);
  log.results(2, batch => batch.adopt(1, ALL_SHARES));
  log.results(2, batch => batch.intend(paymentIn(5), 0, 1, SENT, 0, 1002, 2, 1));
  log.results(2, batch => batch.endAttempt(paymentIn(5), 0, 1, progress, 1, 1, 1));
  assert.equal(log.state(paymentIn(5)), PINNED);
});

test('a settled payment is settled once; a closed one is never sent, one on its way never closed', () => {
  const log = begun();
  const book = (batch: BatchEncoder): void => batch.book(paymentIn(5), 0, 1, 0, 1, 2, 1990, 1);
  const close = (share: number) => (batch: BatchEncoder) =>
    batch.act(paymentIn(share), 0, 1, { ...progress, state: WAITING }, 3, 5, 1, text('me'), text('by hand'));
  assert.deepEqual(log.results(2, close(5)), [0]);
  assert.deepEqual(log.results(1, book), [1]);
  assert.deepEqual(
    [log.results(1, book), log.results(2, close(5)), log.state(paymentIn(5))],
    [[0], [0], SETTLED],
  );
  log.results(1, batch => batch.accept(paymentIn(6), 0, 1, 5, 1000));
  assert.deepEqual(log.results(2, close(6)), [1]);
  assert.deepEqual(
    log.results(1, batch => batch.intend(paymentIn(6), 0, 1, SENT, 0, 1, 1, 1)),
    [0],
  );
  // The index has it, and the table only that it is closed.
  log.results(1, batch => batch.accept(paymentIn(7), 0, 1, 5, 1000));
  log.index(1);
  assert.equal(log.state(paymentIn(7)), undefined);
  assert.deepEqual(log.results(2, close(7)), [1]);
  assert.deepEqual(
    log.results(1, batch => batch.intend(paymentIn(7), 0, 1, SENT, 0, 1, 1, 1)),
    [0],
  );
  assert.equal(log.state(paymentIn(7)), CLOSED);
});

test('a hold stays through attempts, is beside a pin, and ends with a settlement', () => {
  const log = begun();
  const held = (): number[] => {
    const start = log.order.tail.find(paymentIn(5), 0);
    return [ROW_HELD, ROW_SETTLED_AT].map(column => log.order.tail.rows[start + column]!);
  };
  const waiting = { ...progress, state: WAITING };
  const act = (state: number, kind: number) =>
    log.results(2, batch =>
      batch.act(paymentIn(5), 0, 1, { ...progress, state }, kind, 1990, 9, text('me'), text('why')),
    );
  log.results(1, batch => batch.endAttempt(paymentIn(5), 0, 1, waiting, 1, 1, 1));
  log.results(1, batch => batch.hold(paymentIn(5), 0, 1, waiting, HELD_REFUSED, 5000));
  assert.deepEqual(held(), [HELD_REFUSED, 5000]);
  log.results(1, batch => batch.intend(paymentIn(5), 0, 1, SENT, 0, 1, 1, 1, HELD_REFUSED));
  log.results(1, batch => batch.endAttempt(paymentIn(5), 0, 1, { ...progress, state: PINNED }, 1, 1, 1));
  assert.deepEqual(
    [log.state(paymentIn(5)), held()],
    [PINNED, [HELD_REFUSED, 0]],
    'due until it is held anew',
  );
  log.results(1, batch => batch.hold(paymentIn(5), 0, 1, waiting, HELD_REFUSED, 6000));
  assert.deepEqual([log.state(paymentIn(5)), held()], [PINNED, [HELD_REFUSED, 6000]], 'the pin stays');
  assert.deepEqual(act(WAITING, 1), [0], 'the operator saw another state');
  assert.deepEqual([act(PINNED, 1), held()], [[1], [HELD_REFUSED, 0]], 'due at once');
  assert.deepEqual(
    log.order.acts.map(({ kind, who, text: why }) => [kind, who, why]),
    [['retry', 'me', 'why']],
  );
  // Where the index has the payment, the next record brings the hold along.
  log.results(1, batch => batch.hold(paymentIn(5), 0, 1, waiting, HELD_REFUSED, 7000));
  log.index(1);
  log.results(1, batch => batch.endAttempt(paymentIn(5), 0, 1, waiting, 1, 1, 1, HELD_REFUSED));
  assert.equal(held()[0], HELD_REFUSED);
  assert.deepEqual([act(WAITING, 2), log.state(paymentIn(5)), held()], [[1], SETTLED, [0, 9]]);
});

test('behind a purge nothing counts that was made before it was known', () => {
  const log = begun();
  assert.deepEqual(
    log.results(2, batch => batch.purge(2)),
    [0],
    'of another generation',
  );
  assert.deepEqual(
    log.results(2, batch => batch.purge(1)),
    [1],
  );
  assert.equal(log.state(paymentIn(5)), undefined);
  const fill = (batch: BatchEncoder): void => batch.accept(paymentIn(6), 0, 1, 5, 1000);
  assert.equal(log.feed(1, fill, { generation: 1 }), BATCH_PURGED);
  assert.equal(
    log.feed(1, batch => batch.beat(text('')), { generation: 1 }),
    COUNTED,
    'not of payments',
  );
  assert.equal(log.feed(1, fill), COUNTED);
  assert.deepEqual(
    log.results(2, batch => batch.purge(1)),
    [0],
  );
  // In a batch of its own generation, behind the purge.
  const both = log.results(1, batch => {
    batch.purge(2);
    batch.accept(paymentIn(8), 0, 1, 5, 1000);
  });
  assert.deepEqual(both, [1, 0]);
});

test('the table keeps what stands behind the last mark but one, and a batch that knows less does not count', () => {
  const log = begun();
  const mark = (by: number, position: number): number =>
    log.results(by, batch => batch.indexed(position, false))[0]!;
  const accept = (share: number) => (batch: BatchEncoder) => batch.accept(paymentIn(share), 0, 1, 5, 1000);
  assert.equal(mark(1, log.at), 0, 'without the lease');
  log.results(1, batch => batch.lease(INDEXER, 0));
  assert.equal(mark(1, log.at + 1), 0, 'ahead of itself');
  const first = log.at;
  assert.equal(mark(1, first), 1);
  assert.equal(mark(1, first), 0, 'not further');
  assert.equal(log.state(paymentIn(5)), SENT, 'indexed, and kept');
  assert.equal(log.feed(1, accept(6), { marksSeen: 0 }), COUNTED);
  assert.equal(mark(1, log.at), 1);
  assert.deepEqual([log.state(paymentIn(5)), log.state(paymentIn(6))], [undefined, WAITING]);
  assert.equal(log.feed(1, accept(7), { marksSeen: 0 }), BATCH_STALE);
  assert.equal(
    log.feed(1, batch => batch.beat(text('')), { marksSeen: 0 }),
    COUNTED,
    'not of payments',
  );
  assert.equal(log.feed(1, accept(7), { marksSeen: 1 }), COUNTED);
  assert.equal(log.order.durableTo, 0);
  log.results(1, batch => batch.indexed(log.at, true));
  assert.equal(log.order.durableTo, log.at - 100);
});

test('a payment that only the index has comes back with its next record, but is not accepted anew', () => {
  const log = begun();
  log.results(1, batch => batch.intend(paymentIn(9), 0, 1, PINNED, 1, 1001, 3, 1));
  assert.deepEqual(
    log.results(1, batch => batch.accept(paymentIn(9), 0, 1, 5, 1000)),
    [0],
  );
  assert.equal(log.state(paymentIn(9)), PINNED);
});

test('behind a seal nothing counts in that segment', () => {
  const log = begun();
  assert.deepEqual(
    log.results(1, batch => batch.seal(3)),
    [0],
  );
  assert.deepEqual(
    log.results(1, batch => batch.seal(2)),
    [1],
  );
  assert.equal(
    log.feed(2, batch => batch.beat(text(''))),
    BATCH_SEALED,
  );
  log.at = positionOf(2, 100);
  assert.equal(
    log.feed(2, batch => batch.beat(text(''))),
    COUNTED,
  );
});

test('nothing of another store counts', () => {
  const log = begun();
  assert.equal(
    log.feed(1, batch => batch.beat(text('')), { store: 78 }),
    BATCH_FOREIGN,
  );
});

test('an order that is restored goes on as the one that was saved', () => {
  const log = begun();
  log.results(1, batch => batch.lease(INDEXER, 0));
  log.results(2, batch => batch.accept(paymentIn(6), 0, 2, 5, 1000));
  log.join('a');
  const again = new Order(STORE);
  again.restore(JSON.parse(JSON.stringify(log.order.save())), tailOf(log.order));
  assert.deepEqual(again.save(), log.order.save());
  assert.deepEqual(tailOf(again), tailOf(log.order));
  assert.equal(again.tail.find(paymentIn(6), 0), log.order.tail.find(paymentIn(6), 0));
});
