import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DEFAULT,
  FALLBACK,
  idBytes,
  PINNED,
  type ProcessorIndex,
  SENT,
  type StoredPayment,
} from '../domain/payment.ts';
import { Process, WALL_START_MS } from './event-loop.ts';
import type { Attempt } from './tracked-payment.ts';
import { World } from './world.ts';

const ID = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';
const PROCESS = new Process('backend-1', 1, 0);

/** A world whose store has a payment with an intent, of which nothing has left yet. */
function intended(processor: ProcessorIndex, state: typeof SENT | typeof PINNED) {
  const world = new World(1);
  const { invariants, memory } = world;
  const requestedAtMs = WALL_START_MS;
  const row = { id: idBytes(ID)!, seq: 1, cents: 5, state, processor, requestedAtMs, tries: 0 };
  const stored = { ...(row as unknown as StoredPayment), owner: PROCESS.name };
  memory.payments.set(ID, stored);
  memory.bySeq.set(1, stored);
  invariants.sent(ID, 5);
  invariants.intended(ID, PROCESS.name);
  const request = { correlationId: ID, cents: 5, requestedAtMs, traceparent: undefined };
  const leave = (): Attempt => invariants.leaves(PROCESS, processor, request);
  return { world, leave, wrong: () => invariants.violations.map(({ what }) => what) };
}

test('fallback is not chosen before its time, but what is pinned there goes there', () => {
  const [chosen, pinned] = [intended(FALLBACK, SENT), intended(FALLBACK, PINNED)];
  for (const { leave } of [chosen, pinned]) leave();
  assert.deepEqual(chosen.wrong(), ['on fallback after 0 attempts on default and 2 ms']);
  assert.deepEqual(pinned.wrong(), []);
});

test('what was refused for certain does not leave again as it was, unless a new term has pinned it', () => {
  for (const isNewTerm of [false, true]) {
    const { world, leave, wrong } = intended(DEFAULT, SENT);
    const attempt = leave();
    world.eventLoop.step(10);
    world.invariants.ended(attempt, { status: 500 });
    if (isNewTerm) world.memory.term += 1;
    world.invariants.step();
    leave();
    const again = 'left again with the requestedAt of an attempt that was refused for certain';
    assert.deepEqual(wrong(), isNewTerm ? [] : [again]);
  }
});
