import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FALLBACK, idBytes, PINNED, SENT, type StoredPayment } from '../domain/payment.ts';
import { Process, WALL_START_MS } from './event-loop.ts';
import { World } from './world.ts';

const ID = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';

/** What is wrong with a first attempt on fallback at once, of a payment that the store has in `state`. */
function wrongWithFallback(state: typeof SENT | typeof PINNED): string[] {
  const { invariants, memory, plan } = new World(1);
  assert.ok(plan.policy.fallbackAfterMs > 0);
  const requestedAtMs = WALL_START_MS;
  const row = { id: idBytes(ID)!, seq: 1, cents: 5, state, processor: FALLBACK, requestedAtMs };
  memory.payments.set(ID, { ...(row as unknown as StoredPayment), tries: 0, owner: 'backend-1' });
  invariants.sent(ID, 5);
  const process = new Process('backend-1', 1, 0);
  invariants.leaves(process, FALLBACK, {
    correlationId: ID,
    cents: 5,
    requestedAtMs,
    traceparent: undefined,
  });
  return invariants.violations.map(({ what }) => what);
}

test('fallback is not chosen before its time, but what is pinned there goes there', () => {
  assert.deepEqual(wrongWithFallback(SENT), ['on fallback after 0 attempts on default and 2 ms']);
  assert.deepEqual(wrongWithFallback(PINNED), []);
});
