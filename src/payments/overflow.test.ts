import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FALLBACK, PINNED, SENT } from '../domain/payment.ts';
import { chance } from '../domain/random.ts';
import { StoreFault } from '../storage/ports.ts';
import { numbers, OPEN, overflowStand, storeAs } from '../testing/overflow-stand.ts';
import { NONE } from './payment-pool.ts';

test('when the lanes are filled, a payment is parked, and its slot is free once the store has it', () => {
  const stand = overflowStand(64);
  let number = 1;
  while (!stand.enter(number)) number += 1;
  assert.ok(number > 1 && number < 64, `number ${number} was the first`);
  assert.equal(stand.ready.size, number - 1);
  assert.equal(stand.pool.size, number);
  stand.write();
  assert.equal(stand.pool.size, number - 1);
  assert.equal(stand.overflow.room, 0);
});

test('as long as the store may hold a parked payment, new ones go behind it', () => {
  const stand = overflowStand(64);
  let number = 1;
  while (!stand.enter(number)) number += 1;
  for (let left = 1; left < number; left++) assert.equal(stand.leave(), left);
  assert.equal(stand.ready.size, 0);
  assert.equal(stand.enter(number + 1), true, 'the one before it is not stored yet');
  stand.write();
  assert.equal(stand.enter(number + 2), true, 'the store has those before it');
  assert.deepEqual(stand.drain(), [number, number + 1, number + 2]);
  assert.equal(stand.enter(number + 3), false, 'the store has none any more');
});

test('what the store held from before comes first', () => {
  const stand = overflowStand(64, true);
  storeAs('backend-1', stand, [1, 2, 3]);
  assert.equal(stand.enter(4), true);
  assert.deepEqual(stand.drain(), [1, 2, 3, 4]);
  assert.equal(stand.enter(5), false);
});

test('parked payments come back in the order in which they were accepted', () => {
  const stand = overflowStand(64);
  for (const number of numbers(1, 60)) {
    stand.enter(number);
    if (number % 7 === 0) stand.write();
  }
  for (const number of numbers(61, 90)) {
    stand.write();
    stand.enter(number);
  }
  assert.deepEqual(stand.drain(), numbers(1, 90));
  assert.equal(stand.pool.size, 0);
});

for (const seed of [1, 2, 3, 4, 5]) {
  test(`whatever happens when, none overtakes and none is lost (SEED=${seed})`, () => {
    const random = chance(seed);
    const stand = overflowStand(32);
    stand.fault = () => (random() < 0.1 ? new StoreFault('busy', 'by chance') : undefined);
    const left: number[] = [];
    let number = 0;
    let parked = 0;
    for (let step = 0; step < 4000; step++) {
      // Times of growing and times of draining.
      const isGrowing = Math.floor(step / 100) % 2 === 0;
      const isRoom = stand.pool.size < 32 && stand.writer.isAccepting;
      if (isRoom && random() < (isGrowing ? 0.6 : 0.2)) parked += stand.enter(++number) ? 1 : 0;
      if (random() < (isGrowing ? 0.1 : 0.6)) {
        const one = stand.leave();
        if (one !== undefined) left.push(one);
      }
      if (random() < 0.3) stand.writer.submit();
      if (random() < 0.3) stand.overflow.refill();
      if (random() < 0.5) stand.pass(random() * 50);
    }
    stand.fault = () => undefined;
    stand.pass(1000);
    left.push(...stand.drain());
    const refused = new Set(stand.refused);
    const taken = numbers(1, number).filter(each => !refused.has(each));
    assert.deepEqual(
      left.filter(each => !refused.has(each)),
      taken,
    );
    assert.ok(parked > 100 && parked < number, `${parked} of ${number} were parked`);
    assert.ok(refused.size > 10 && taken.length > 500, `${refused.size} of ${number} were refused`);
  });
}

test('an answer that is short ends the overflow', () => {
  const stand = overflowStand(64, true);
  stand.overflow.refill();
  assert.equal(stand.enter(1), true, 'the store has not answered yet');
  stand.write();
  assert.deepEqual(stand.drain(), [1]);
  assert.equal(stand.enter(2), false);
});

test('the store is asked for no more than there is room for, and one call at a time', () => {
  const stand = overflowStand(64);
  for (const number of numbers(1, 60)) {
    stand.enter(number);
    stand.write();
  }
  const { store, overflow } = stand;
  const take = store.take.bind(store);
  const limits: number[] = [];
  store.take = (afterSeq, limit, reply) => {
    limits.push(limit);
    take(afterSeq, limit, reply);
  };
  overflow.refill();
  assert.deepEqual(limits, [], 'the lanes are filled');
  stand.leave();
  stand.write();
  overflow.refill();
  assert.deepEqual(limits, [], 'it is not worth a call yet');
  while (stand.ready.size > 5) stand.leave();
  stand.write();
  const { room } = overflow;
  overflow.refill();
  overflow.refill();
  assert.deepEqual(limits, [room]);
  assert.equal(stand.wakes, 0);
  stand.pass(1);
  assert.equal(stand.ready.size, 5 + room);
  assert.equal(overflow.room, 0);
  assert.equal(stand.wakes, 1);
});

test('what is at work leaves less room', () => {
  const stand = overflowStand(8);
  const { pool, overflow } = stand;
  assert.ok(overflow.room > 1);
  while (pool.size < 7) stand.add(pool.size + 1);
  assert.equal(overflow.room, 1);
  stand.add(8);
  assert.equal(overflow.room, 0);
});

test('what came back and is at work does not keep those behind it in the store', () => {
  const stand = overflowStand(64, true);
  storeAs('backend-1', stand, numbers(1, 40));
  const atWork: number[] = [];
  for (let rounds = 0; rounds < 10; rounds++) {
    stand.overflow.refill();
    stand.pass(1);
    for (let slot = stand.ready.next(0, OPEN); slot !== NONE; slot = stand.ready.next(0, OPEN))
      atWork.push(stand.pool.words[slot * 4]!);
  }
  assert.deepEqual(atWork, numbers(1, 40));
});

test('a store that does not answer is asked again, by itself', () => {
  const stand = overflowStand(64, true);
  stand.enter(1);
  stand.write();
  stand.fault = call => (call === 'take' ? new StoreFault('busy', 'not now') : undefined);
  stand.overflow.refill();
  stand.pass(1000);
  assert.equal(stand.ready.size, 0);
  stand.fault = () => undefined;
  stand.pass(1000);
  assert.equal(stand.ready.size, 1);
});

test('what the store held as sent comes back as pinned to where it was sent, with all that was known of it', () => {
  const stand = overflowStand(64, true);
  stand.enter(1);
  stand.write();
  const [payment] = stand.state.payments.values();
  const requestedAtMs = stand.clock.wallMs();
  Object.assign(payment!, { state: SENT, processor: FALLBACK, requestedAtMs, attempts: 6, tries: 5 });
  stand.pass(500);
  stand.overflow.refill();
  stand.pass(1);
  const { pool } = stand;
  const slot = pool.find([1, 0, 0, 7]);
  assert.equal(pool.state[slot], PINNED);
  assert.equal(pool.processor[slot], FALLBACK);
  assert.equal(pool.requestedAtMs[slot], requestedAtMs);
  assert.equal(pool.attempts[slot], 6);
  assert.equal(pool.tries[slot], 5);
  assert.equal(pool.seq[slot], payment!.seq);
  assert.equal(pool.cents[slot], 1990);
  const waitedMs = stand.clock.monotonicMs() - pool.acceptedMonotonicMs[slot]!;
  assert.ok(waitedMs >= 500 && waitedMs <= 510, `it has waited ${waitedMs} ms`);
});

test('one that came in a second time is brought back once the store has said that it knows it', () => {
  const stand = overflowStand(64, true);
  stand.enter(1);
  stand.write();
  assert.equal(stand.pool.size, 0);
  assert.equal(stand.enter(1), true);
  stand.overflow.refill();
  stand.pass(0.3);
  assert.equal(stand.ready.size, 0);
  stand.write();
  assert.equal(stand.pool.size, 0);
  stand.pass(500);
  assert.equal(stand.ready.size, 1);
  assert.deepEqual(stand.drain(), [1]);
});

test('one that another instance was first with is not waited for', () => {
  const stand = overflowStand(4);
  storeAs('backend-2', stand, [1]);
  assert.equal(stand.enter(2), false);
  assert.equal(stand.enter(1), true);
  stand.write();
  assert.equal(stand.pool.size, 1);
  assert.equal(stand.leave(), 2);
  assert.equal(stand.enter(3), false, 'the store holds none of ours');
});

test('an overflow that is closed hears no answer', () => {
  const stand = overflowStand(64, true);
  stand.enter(1);
  stand.write();
  stand.overflow.refill();
  stand.overflow.close();
  stand.pass(1000);
  assert.equal(stand.ready.size, 0);
  assert.equal(stand.pool.size, 0);
});

test('what leaves while the store is asked does not come back with its answer', () => {
  const stand = overflowStand(64, true);
  storeAs('backend-1', stand, [1, 2]);
  stand.overflow.refill();
  stand.pass(1);
  // From the beginning: what is adopted may be older.
  stand.overflow.adopted();
  stand.store.take = (_afterSeq, _limit, reply) => {
    const found = [...stand.state.payments.values()].map(payment => ({ ...payment }));
    stand.clock.after(10, () => reply(found));
  };
  stand.overflow.refill();
  assert.equal(stand.leave(), 1);
  stand.write();
  stand.overflow.left(1);
  assert.equal(stand.pool.size, 1);
  stand.pass(10);
  assert.deepEqual([stand.pool.size, stand.ready.size], [1, 1]);
});
