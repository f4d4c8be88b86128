/** An overflow with a queue, a writer and a store of its own, which does with them as the worker does. */
import assert from 'node:assert/strict';
import type { Cents } from '../domain/money.ts';
import { SETTLED } from '../domain/payment.ts';
import { Overflow } from '../payments/overflow.ts';
import { NONE } from '../payments/payment-pool.ts';
import { ReadyQueue } from '../payments/ready-queue.ts';
import { INSERT, SETTLE } from '../storage/batch.ts';
import { untouched } from '../storage/memory/state.ts';
import { KNOWN, StoreFault } from '../storage/ports.ts';
import { type WriterStand, writerStand } from './store-stand.ts';

const POLICY = { defaultAttempts: 5, backoffMinMs: 100, backoffMaxMs: 200, fallbackAfterMs: 1000 };
export const OPEN = { default: true, fallback: true, defaultWorks: true, fallbackHasRoom: true };

export interface OverflowStand extends WriterStand {
  readonly overflow: Overflow;
  readonly ready: ReadyQueue;
  /** Those that the store did not take. */
  readonly refused: number[];
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
export function overflowStand(capacity: number, parked = false): OverflowStand {
  const leaving = new Set<number>();
  const writer = writerStand(
    {
      // As the worker does it.
      written(slot, kind, result) {
        const isParked = kind === INSERT && overflow.stored(slot, result);
        if (isParked || kind === SETTLE) pool.free(slot);
        else if (leaving.delete(slot)) settle(slot);
      },
      refused(slot) {
        stand.refused.push(pool.words[slot * 4]!);
        if (overflow.stored(slot, KNOWN) || leaving.delete(slot)) pool.free(slot);
        else pool.retire(slot);
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
    refused: [],
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

export const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** Payments that `owner` stored. */
export function storeAs(owner: string, { state, clock }: WriterStand, ids: readonly number[]): void {
  for (const number of ids) {
    const id = new Uint8Array(16);
    const view = new DataView(id.buffer);
    view.setInt32(0, number);
    view.setInt32(12, 7);
    state.put({ ...untouched, id, owner, cents: 1990 as Cents, acceptedAtMs: clock.wallMs() });
  }
}

/** All payments of a dead instance become those of this one. */
export function adoptAll(dead: string, { store, overflow }: OverflowStand): void {
  store.adopt(dead, answer => {
    assert.ok(!(answer instanceof StoreFault));
    // As the worker does it.
    overflow.adopted();
    overflow.refill();
  });
}

export const ascending = (of: readonly number[]): number[] => of.toSorted((one, other) => one - other);
