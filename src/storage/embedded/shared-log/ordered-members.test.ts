import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PINNED, SENT, WAITING } from '../../../domain/payment.ts';
import { BOOT_PINS } from './boots.ts';
import { BATCH_FENCED } from './order-state.ts';
import { ALL_SHARES, CHECKER, INDEXER, SHARES } from './ordered-members.ts';
import type { BatchEncoder } from './records.ts';
import { begun, fence, paymentIn, text, WrittenLog } from './written-log.fixture.ts';

test('behind a fence, a leave or the next join of its name nothing of an epoch counts', () => {
  const ends: ((log: WrittenLog) => void)[] = [
    log => assert.deepEqual(fence(log, 2, 1), [1]),
    log =>
      assert.deepEqual(
        log.results(1, batch => batch.leave()),
        [1],
      ),
    log => assert.equal(log.join('a'), 3),
  ];
  for (const end of ends) {
    const log = begun();
    end(log);
    assert.equal(
      log.feed(1, batch => batch.beat(text(''))),
      BATCH_FENCED,
    );
    assert.equal(
      log.feed(1, batch => batch.book(paymentIn(5), 0, 1, 0, 1, 2, 1990, 1)),
      BATCH_FENCED,
    );
  }
});

test('a fence counts only if the epoch lives and has not beaten since', () => {
  const log = begun();
  log.feed(1, batch => batch.beat(text('{"a":1}')));
  assert.deepEqual(fence(log, 2, 1, 0), [0]);
  assert.deepEqual(fence(log, 2, 2, 0), [0], 'itself');
  assert.deepEqual(fence(log, 2, 1, 1), [1]);
  assert.deepEqual(fence(log, 2, 1, 1), [0]);
  assert.equal(log.order.members.named('a')?.figures, '{"a":1}');
});

test('of two that join with one name at the same moment one joins', () => {
  const log = begun();
  assert.equal(log.join('a', 1), 3);
  assert.equal(log.join('a', 1), 0);
  assert.equal(log.join('c', 0), 4);
  assert.equal(log.order.members.living(3)?.number, 1);
  assert.equal(log.order.members.living(4)?.number, 3);
  // Nobody joins under an epoch, and without one nobody does anything else.
  assert.deepEqual(
    log.results(2, batch => batch.join(text('d'), 0)),
    [0],
  );
  assert.deepEqual(
    log.results(0, batch => batch.accept(paymentIn(9), 0, 0, 1, 1)),
    [0],
  );
  assert.deepEqual(
    log.results(0, batch => batch.purge(1)),
    [0],
  );
});

test('what a dead epoch owned goes to who adopts it first, share by share, with what it had inherited', () => {
  const log = begun();
  const [a, b, c] = [1, 2, log.join('c')];
  for (const epoch of [a, b, c]) {
    const acceptAll = (batch: BatchEncoder): void => {
      for (let share = 0; share < SHARES; share++)
        batch.accept(Int32Array.of(epoch, 0, 0, share), 0, epoch, 5, 1000);
    };
    assert.ok(log.results(epoch, acceptAll).every(seq => seq > 0));
  }
  const adopt = (by: number, dead: number, shares: number): number =>
    log.results(by, batch => batch.adopt(dead, shares))[0]!;
  const owner = (share: number): number => log.order.members.owner(a, share);
  assert.equal(adopt(b, a, ALL_SHARES), 0, 'it lives');
  assert.equal(owner(5), a);
  fence(log, b, a);
  assert.equal(adopt(b, a, 0b100000), 0b100000);
  assert.equal(adopt(c, a, 0b1100000), 0b1000000);
  assert.deepEqual([owner(5), owner(6), owner(7)], [b, c, a]);
  fence(log, c, b);
  assert.equal(owner(5), b);
  const d = log.join('d');
  assert.equal(adopt(d, c, ALL_SHARES), 0, 'an heir that lives');
  assert.equal(adopt(d, b, ALL_SHARES), ALL_SHARES, 'its own payments, and what it had inherited');
  assert.deepEqual([owner(5), owner(6), log.order.members.owner(b, 0)], [d, c, d]);
  for (let share = 0; share < SHARES; share++) assert.equal(log.order.members.owner(c, share), c);
});

test('a lease has one holder, who lives; of two that take it one gets it', () => {
  const log = begun();
  const take = (by: number, lease: number, seen: number): number =>
    log.results(by, batch => batch.lease(lease, seen))[0]!;
  assert.deepEqual([take(1, CHECKER, 0), take(2, CHECKER, 0), take(2, INDEXER, 0)], [1, 0, 1]);
  assert.deepEqual(
    log.results(2, batch => batch.report(0, true, 12)),
    [0],
  );
  assert.deepEqual(
    log.results(1, batch => batch.report(0, true, 12)),
    [1],
  );
  assert.deepEqual(log.order.health[0], { isFailing: true, minResponseMs: 12, version: 1 });
  fence(log, 2, 1);
  assert.equal(log.order.members.holder(CHECKER), 0);
  assert.equal(take(2, 7, 0), 0, 'no such lease');
});

test('a dead epoch is forgotten by the indexer, and its name if that is asked', () => {
  const log = begun();
  fence(log, 2, 1);
  const forget = (epoch: number, name: boolean): number[] =>
    log.results(2, batch => batch.empty(epoch, name));
  assert.deepEqual(forget(1, true), [0], 'without the lease');
  log.results(2, batch => batch.lease(INDEXER, 0));
  assert.deepEqual([forget(2, true), forget(1, false), forget(1, true)], [[0], [1], [1]]);
  assert.equal(log.order.members.named('a'), undefined);
  assert.deepEqual(log.order.save().members.heirs, []);
});

test('an estate is forgotten when all that was in it is settled or closed', () => {
  const log = begun();
  log.results(1, batch => batch.accept(paymentIn(6), 0, 1, 5, 1000));
  fence(log, 2, 1);
  log.results(2, batch => batch.adopt(1, ALL_SHARES));
  assert.equal(log.order.members.unsettledOf(2), 2);
  log.results(2, batch => batch.book(paymentIn(5), 0, 1, 0, 1, 2, 1990, 1));
  assert.equal(log.order.members.owner(1, 6), 2);
  const seen = { state: WAITING, processor: -1, requestedAtMs: 0, attempts: 0, tries: 0 };
  log.results(2, batch => batch.act(paymentIn(6), 0, 1, seen, 3, 5, 1, text('me'), text('by hand')));
  assert.deepEqual([log.order.members.owner(1, 6), log.order.members.unsettledOf(2)], [0, 0]);
  const { heirs, unsettled } = log.order.save().members;
  assert.deepEqual([heirs, unsettled], [[], []]);
});

test('a new run of the machine ends all that lived, and pins what waits unless all had the disk wait', () => {
  for (const isFlushing of [false, true]) {
    const log = new WrittenLog();
    const join = (name: string): number => log.results(0, batch => batch.join(text(name), 0, isFlushing))[0]!;
    const boot = (run: number): number => log.results(0, batch => batch.boot(run, log.order.term, 0))[0]!;
    assert.deepEqual([boot(7), log.order.term], [1, 1], 'the first');
    assert.deepEqual([join('a'), join('b')], [1, 2]);
    log.results(1, batch => batch.accept(paymentIn(5), 0, 1, 1990, 1000));
    assert.deepEqual([boot(7), log.order.term], [0, 1], 'the same');
    const lost = isFlushing ? 0 : 1;
    assert.deepEqual([boot(8), log.order.term], [1, 1 + lost]);
    assert.equal(log.state(paymentIn(5)), isFlushing ? WAITING : PINNED);
    assert.deepEqual([...log.order.members.alive], []);
    assert.equal(
      log.feed(1, batch => batch.beat(text(''))),
      BATCH_FENCED,
    );
    assert.deepEqual([boot(9), log.order.term], [1, 1 + lost], 'nobody lived');
  }
});

test('a term that is asked for begins once for all that saw the same one, and ends all', () => {
  const log = begun();
  log.results(1, batch => batch.accept(paymentIn(6), 0, 1, 5, 1000));
  const force = (termSeen: number): number => log.results(0, batch => batch.boot(0, termSeen, BOOT_PINS))[0]!;
  assert.deepEqual([force(1), force(1), log.order.term], [1, 0, 2]);
  assert.deepEqual([log.state(paymentIn(5)), log.state(paymentIn(6))], [SENT, PINNED]);
  assert.deepEqual([...log.order.members.alive], []);
});
