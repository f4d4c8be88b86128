import assert from 'node:assert/strict';
import { test } from 'node:test';
import { totalCents } from '../../../domain/money.ts';
import { PINNED, SENT, SETTLED, WAITING } from '../../../domain/payment.ts';
import { seededBelow } from '../../../domain/random.ts';
import { seed } from '../../../testing/stores.ts';
import { Order } from '../shared-log/order.ts';
import { ANOTHER_AMOUNT, COUNTED } from '../shared-log/order-state.ts';
import { LogReader } from '../shared-log/reader.ts';
import { storeIdOf } from '../shared-log/segments.ts';
import * as row from '../shared-log/tail-table.ts';
import { IndexReader } from './index-reader.ts';
import { IndexedLog, words } from './log-index.fixture.ts';
import { LogIndex } from './log-index.ts';

/** The same log, moved in one step by an index that has seen nothing before. */
function movedAtOnce(log: IndexedLog): unknown {
  const whole = new IndexedLog();
  for (const name of log.files.list('/log')) {
    whole.files.remove(`/log/${name}`);
    whole.files.createWhole(`/log/${name}`, log.files.bytesOf(`/log/${name}`));
  }
  whole.index().advance();
  return whole.tables();
}

/** Everything that can become of payments, with a move wherever `move` is called. */
function live(log: IndexedLog, move: () => void): void {
  log.accept(1, 9);
  move();
  log.send(1);
  log.send(2);
  move();
  log.fail(1, WAITING);
  log.settle(2);
  move();
  log.send(1, 1, 2);
  log.settle(3);
  move();
  log.accept(10, 5);
  log.crash();
  log.send(1, 1, 3);
  move();
  log.settle(1, { processor: 1 });
  log.settle(10, { requestedAtMs: 5 });
  log.fail(4, PINNED, 2501);
  move();
}

test('a move from any position comes to the same as one from the beginning', () => {
  for (let steps = 0; steps < 64; steps++) {
    const log = new IndexedLog();
    let index = log.index();
    let step = 0;
    live(log, () => {
      if ((steps & (1 << step++)) === 0) return;
      log.mark(index.advance());
      // Every other step is another one's, who begins where the tables are.
      if (step % 2) index = log.index();
    });
    log.index().advance();
    assert.deepEqual(log.tables(), movedAtOnce(log), `steps ${steps.toString(2)}`);
  }
});

test('an index that lost what it had not on its disk is moved anew, whatever the log says it had', () => {
  const log = new IndexedLog();
  let saved = log.database.serialize();
  let step = 0;
  live(log, () => {
    log.mark(log.index().advance());
    if (step++ === 1) saved = log.database.serialize();
  });
  const had = log.tables();
  log.restore(saved);
  log.index().advance();
  assert.deepEqual(log.tables(), had);
});

test('of two that index at once each payment is moved once', () => {
  const log = new IndexedLog();
  const [one, other] = [log.index(), log.index()];
  let turn = 0;
  live(log, () => {
    const [first, second] = turn++ % 2 ? [one, other] : [other, one];
    const at = first.advance();
    assert.equal(second.advance(), at, 'it has been moved already');
    assert.equal(second.advance(), at);
    log.mark(at);
  });
  assert.deepEqual(log.tables(), movedAtOnce(log));
});

/** The database, whose next statement that matches `sql` throws once it has been run so many times. */
function breaking(log: IndexedLog, times: number): LogIndex {
  let left = times;
  const database = new Proxy(log.database, {
    get(target, name) {
      if (name === 'prepare')
        return (sql: string) =>
          new Proxy(target.prepare(sql), {
            get(statement, method) {
              const value = statement[method as keyof typeof statement];
              if (typeof value !== 'function') return value;
              return (...values: never[]) => {
                if (method === 'run' && left-- === 0) throw Object.assign(new Error('full'), { errcode: 13 });
                return (value as (...all: never[]) => unknown).apply(statement, values);
              };
            },
          });
      const value = target[name as keyof typeof target];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const { files } = log;
  return new LogIndex({ database, files, directory: '/log' });
}

test('an index is as far as the log when it was asked, also where another one has moved meanwhile', () => {
  const log = new IndexedLog();
  const [one, other] = [log.index(), log.index()];
  log.accept(1);
  assert.equal(one.advance(), log.writer.position);
  assert.equal(other.advance(), log.writer.position);
  log.accept(2);
  one.advance();
  log.accept(3);
  assert.equal(other.advance(), log.writer.position);
  assert.equal(other.position, log.writer.position);
});

test('a move that fails anywhere leaves the tables as they were, and is done by the next one', () => {
  for (let times = 0; ; times++) {
    const log = new IndexedLog();
    log.accept(1, 4);
    log.send(1);
    log.fail(1, WAITING);
    log.settle(2);
    log.index().advance();
    log.send(3);
    log.settle(3);
    log.fail(4, PINNED);
    log.settle(4);
    const before = log.tables();
    const index = breaking(log, times);
    try {
      index.advance();
      assert.ok(times > 10, 'many places to break');
      break;
    } catch (error) {
      assert.match(String(error), /full/);
    }
    assert.deepEqual(log.tables(), before);
    assert.equal(log.database.isTransaction, false);
    if (times % 2) index.advance();
    else log.index().advance();
    assert.deepEqual(log.tables(), movedAtOnce(log), `broken at statement ${times}`);
  }
});

test('a purge in the middle of a move takes what was in front of it, and nothing behind', () => {
  for (const isIndexedBefore of [false, true]) {
    const log = new IndexedLog();
    const index = log.index();
    log.accept(1, 3);
    log.send(1);
    log.fail(1, WAITING);
    log.settle(2);
    if (isIndexedBefore) log.mark(index.advance());
    log.settle(3);
    log.send(1);
    log.fail(1, WAITING, 2600, 2);
    log.write(batch => batch.purge(1));
    log.accept(3, 2, 5);
    log.settle(3, { cents: 5 });
    index.advance();
    assert.deepEqual(log.states(), { 3: SETTLED, 4: WAITING });
    const { summary } = new IndexReader(log.database).summary(-Infinity, Infinity);
    assert.deepEqual(summary.default, { count: 1, high: 0, low: 5 });
    assert.deepEqual(log.database.prepare('SELECT * FROM attempts').all(), []);
    assert.deepEqual(log.tables(), movedAtOnce(log));
  }
});

test('a term that begins in the middle of a move pins what waits, in the tables and behind', () => {
  for (const isIndexedBefore of [false, true]) {
    const log = new IndexedLog();
    const index = log.index();
    log.accept(1, 4);
    log.send(2, 1);
    log.settle(3);
    if (isIndexedBefore) {
      log.mark(index.advance());
      log.accept(10);
      log.mark(index.advance());
    } else log.accept(10);
    const before = log.writer.epoch;
    log.beginTerm();
    log.accept(5, 1);
    log.settle(4);
    index.advance();
    assert.deepEqual(log.states(), { 1: PINNED, 2: SENT, 3: SETTLED, 4: SETTLED, 5: WAITING, 10: PINNED });
    const [first] = index.unsettled([before], 0, 9).payments;
    const progress = [row.ROW_PROCESSOR, row.ROW_REQUESTED_AT, row.ROW_ATTEMPTS].map(name => first?.[name]);
    assert.deepEqual(progress, [0, 1001, 1]);
  }
});

test('what was done behind a term, before the move, is what counts', () => {
  const log = new IndexedLog();
  const index = log.index();
  log.accept(1, 2);
  log.mark(index.advance());
  log.accept(3);
  log.mark(index.advance());
  log.beginTerm();
  log.settle(1);
  log.send(2);
  index.advance();
  assert.deepEqual(log.states(), { 1: SETTLED, 2: SENT, 3: PINNED });
});

test('a payment that was accepted, sent and settled meanwhile is written once', () => {
  const log = new IndexedLog();
  log.accept(1, 20);
  for (let n = 1; n <= 20; n++) {
    log.send(n);
    log.settle(n, { requestedAtMs: 64 });
  }
  const before = changesOf(log);
  log.index().advance();
  // Twenty payments, a bucket of each of the seven levels, and where the log goes on.
  assert.equal(changesOf(log) - before, 20 + 7 + 1);
});

const changesOf = (log: IndexedLog): number =>
  Number(Object.values(log.database.prepare('SELECT total_changes()').get()!)[0]);

test(`totals are those of an independent sum on any window (SEED=${seed})`, () => {
  const below = seededBelow(seed);
  const log = new IndexedLog(20_000);
  const index = log.index();
  const booked: { at: number; processor: number; cents: number }[] = [];
  for (let n = 1; n <= 600; n++) {
    const cents = 1 + below(999_999_999_999);
    const at = below([100, 5_000, 300_000, 86_400_000][below(4)]!);
    const processor = below(2);
    log.accept(n, 1, cents);
    assert.equal(log.settle(n, { processor, requestedAtMs: at, cents }), 1);
    booked.push({ at, processor, cents });
    if (below(40) === 0) log.mark(index.advance());
  }
  assert.ok(log.files.list('/log').length > 3, 'over several segments');
  index.advance();
  for (let check = 0; check < 500; check++) {
    const edge = (): number => (below(8) === 0 ? Infinity : booked[below(booked.length)]!.at + below(3) - 1);
    const [from, to] = [-edge(), edge()].map((value, place) => (place === 0 && below(2) ? -value : value));
    const { summary } = new IndexReader(log.database).summary(from!, to!);
    for (const [processor, total] of [summary.default, summary.fallback].entries()) {
      const within = booked.filter(
        each => each.processor === processor && each.at >= from! && each.at <= to!,
      );
      const sum = within.reduce((cents, each) => cents + BigInt(each.cents), 0n);
      assert.deepEqual([total.count, totalCents(total)], [within.length, sum], `${from} to ${to}`);
    }
  }
});

test('the unsettled payments of some origins come page by page, in order', () => {
  const log = new IndexedLog();
  const first = log.writer.epoch;
  log.accept(1, 5);
  log.settle(2);
  log.crash();
  log.accept(6, 3);
  const index = log.index();
  const position = index.advance();
  const page = (origins: number[], after: number, limit: number): number[] => {
    const found = index.unsettled(origins, after, limit);
    assert.equal(found.position, position);
    return found.payments.map(payment => payment[row.ROW_SEQ]!);
  };
  assert.deepEqual(page([first], 0, 3), [1, 3, 4]);
  assert.deepEqual(page([first], 4, 3), [5]);
  assert.deepEqual(page([first, log.writer.epoch], 3, 9), [4, 5, 6, 7, 8]);
  assert.deepEqual(page([], 0, 9), []);
});

test('whoever begins where the index stands decides as those do who have read all', () => {
  const log = new IndexedLog();
  const index = log.index();
  log.accept(1);
  log.mark(index.advance());
  log.accept(2);
  index.advance();
  const { position, state, tail } = index.opened;
  const order = new Order(log.order.store);
  order.restore(state!, tail);
  // Looked up before the mark, when the index had neither.
  const batch = log.writer.batch(0);
  for (const n of [1, 2]) batch.accept(words(n), 0, log.writer.epoch, 5, 1000);
  assert.equal(log.writer.append(), COUNTED);
  const reader = new LogReader({
    ...{ files: log.files, directory: '/log', id: storeIdOf(index.opened.store), order, position },
    events: { gap: () => assert.fail(), left: fd => log.files.close(fd) },
  });
  reader.poll();
  reader.close();
  assert.deepEqual([...order.results.subarray(0, 2)], [ANOTHER_AMOUNT, ANOTHER_AMOUNT]);
  assert.equal(order.digest, log.order.digest);
});
