import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cents } from '../domain/money.ts';
import { FALLBACK, PINNED, SENT, SETTLED } from '../domain/payment.ts';
import { chance } from '../domain/random.ts';
import { INSERT, SETTLE } from '../storage/batch.ts';
import { untouched } from '../storage/memory/state.ts';
import { StoreFault } from '../storage/ports.ts';
import { type WriterStand, writerStand } from '../testing/store-stand.ts';
import { Overflow } from './overflow.ts';
import { NONE } from './payment-pool.ts';
import { ReadyQueue } from './ready-queue.ts';

const POLICY = { defaultAttempts: 5, backoffMinMs: 100, backoffMaxMs: 200, fallbackAfterMs: 1000 };
const OPEN = { default: true, fallback: true, defaultWorks: true, fallbackHasRoom: true };

interface OverflowStand extends WriterStand {
  readonly overflow: Overflow;
  readonly ready: ReadyQueue;
  /** How often the worker was woken. */
  wakes: number;
  /** A payment is accepted, as the worker takes it in. True: it is parked. */
  enter(number: number): boolean;
  /** Hands what is gathered to the store, and waits for its answer. */
  write(): void;
  /** The next payment leaves, and is settled; its number, or undefined if none may leave. */
  leave(): number | undefined;
  /** Refills and lets all leave that can, until nothing comes any more: their numbers. */
  drain(): number[];
}

/** `parked`: the store may hold payments from before. */
function overflowStand(capacity: number, parked = false): OverflowStand {
  const leaving = new Set<number>();
  const writer = writerStand(
    {
      // As the worker does it.
      written(slot, kind, result) {
        const isParked = kind === INSERT && overflow.stored(slot, result);
        if (isParked || kind === SETTLE) pool.free(slot);
        else if (leaving.delete(slot)) settle(slot);
      },
    },
    capacity,
  );
  const { pool, clock, store } = writer;
  const ready = new ReadyQueue(pool, POLICY);
  const wake = (): void => {
    stand.wakes += 1;
    clock.soon(() => overflow.refill());
  };
  const overflow = new Overflow({ pool, ready, store, clock, parked, wake });
  const settle = (slot: number): void => {
    pool.state[slot] = SETTLED;
    writer.writer.settle(slot, 0);
  };
  const stand: OverflowStand = Object.assign(writer, {
    overflow,
    ready,
    wakes: 0,
    enter(number: number) {
      const slot = stand.add(number);
      assert.notEqual(slot, NONE);
      stand.writer.put(slot);
      const isParked = overflow.takes(slot);
      if (!isParked) ready.enter(slot);
      return isParked;
    },
    write() {
      stand.writer.whenWritten(() => {});
      stand.pass(1);
    },
    leave() {
      const slot = ready.next(clock.monotonicMs(), OPEN);
      if (slot === NONE) return undefined;
      if (pool.seq[slot]! > 0) settle(slot);
      else leaving.add(slot);
      return pool.words[slot * 4]!;
    },
    drain() {
      const left: number[] = [];
      for (let quiet = 0; quiet < 3; quiet++) {
        for (let number = stand.leave(); number !== undefined; number = stand.leave()) {
          left.push(number);
          quiet = 0;
        }
        overflow.refill();
        stand.write();
        stand.pass(300);
      }
      return left;
    },
  });
  return stand;
}

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** Payments that `owner` stored. */
function storeAs(owner: string, { state, clock }: WriterStand, ids: readonly number[]): void {
  for (const number of ids) {
    const id = new Uint8Array(16);
    const view = new DataView(id.buffer);
    view.setInt32(0, number);
    view.setInt32(12, 7);
    state.put({ ...untouched, id, owner, cents: 1990 as Cents, acceptedAtMs: clock.wallMs() });
  }
}

/** All payments of a dead instance become those of this one. */
function adoptAll(dead: string, { store, overflow }: OverflowStand): void {
  store.adopt(dead, 100, answer => {
    assert.ok(!(answer instanceof StoreFault));
    overflow.adopt(answer);
  });
}

const ascending = (of: readonly number[]): number[] => of.toSorted((one, other) => one - other);

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
      if (random() < (isGrowing ? 0.6 : 0.2) && stand.pool.size < 32) parked += stand.enter(++number) ? 1 : 0;
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
    assert.deepEqual(left, numbers(1, number));
    assert.ok(parked > 100 && parked < number, `${parked} of ${number} were parked`);
  });
}

test('adopted payments for which there was no room come back, though one of ours has a later number', () => {
  const stand = overflowStand(8);
  storeAs('backend-2', stand, numbers(1, 12));
  stand.enter(100);
  stand.write();
  adoptAll('backend-2', stand);
  stand.pass(1);
  assert.equal(stand.pool.size, 8);
  assert.deepEqual(ascending(stand.drain()), [...numbers(1, 12), 100]);
  assert.equal(stand.enter(101), false);
});

test('an answer that is short does not end the overflow if more were missed since it was asked for', () => {
  const stand = overflowStand(4, true);
  storeAs('backend-2', stand, numbers(1, 8));
  storeAs('backend-1', stand, [100]);
  stand.overflow.refill();
  stand.pass(1);
  assert.equal(stand.leave(), 100);
  // The store is asked for what comes behind 100; those that are adopted come before it.
  adoptAll('backend-2', stand);
  stand.overflow.refill();
  stand.pass(1);
  assert.equal(stand.pool.size, 4);
  assert.deepEqual(ascending(stand.drain()), numbers(1, 8));
});

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

test('one that is held here already does not hold up those behind it', () => {
  const stand = overflowStand(8);
  const { pool, ready } = stand;
  storeAs('backend-3', stand, [1, 2]);
  storeAs('backend-2', stand, numbers(3, 10));
  adoptAll('backend-2', stand);
  stand.pass(1);
  adoptAll('backend-3', stand);
  stand.pass(1);
  assert.equal(pool.size, 8);
  assert.equal(pool.find([1, 0, 0, 7]), NONE);
  // Six of the younger ones stay at work.
  for (let atWork = 0; atWork < 6; atWork++) assert.notEqual(ready.next(0, OPEN), NONE);
  storeAs('backend-1', stand, [11]);
  const left = stand.drain();
  assert.deepEqual(left.slice(2), [1, 2, 11]);
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
