import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cents } from '../domain/money.ts';
import { DEFAULT, SENT, writeIdBytes } from '../domain/payment.ts';
import { MemoryState, untouched } from '../storage/memory/state.ts';
import { StoreFault } from '../storage/ports.ts';
import {
  acceptStand,
  decided,
  decisions,
  paymentId,
  size,
  storedNumbers,
  turnOf,
  watch,
} from '../testing/accept-stand.ts';
import type { InstanceStand } from '../testing/fakes.ts';
import { ACCEPTED, CONFLICT, type Kept, OVER_CAPACITY, UNAVAILABLE } from './api.ts';

/** A store in which another instance has put these payments. */
function storeWith(...numbers: readonly number[]): MemoryState {
  const state = new MemoryState();
  state.instance('backend-2').alive = true;
  for (const number of numbers) {
    const bytes = new Uint8Array(16);
    writeIdBytes(paymentId(number), 0, bytes, 0);
    state.put({ ...untouched, id: bytes, owner: 'backend-2', cents: 1990 as Cents, acceptedAtMs: 1 });
  }
  return state;
}

for (const [when, storeMs] of [
  ['before the call returns', 0],
  ['later', 0.1],
] as const) {
  const stands = (state?: MemoryState): Promise<InstanceStand> =>
    acceptStand({ storeMs, ...(state && { state }) });

  test(`the store decides on each payment of a turn, ${when}`, async () => {
    const stand = await stands(storeWith(2, 3));
    const kept = turnOf(stand, [1, 1990], [2, 1990], [3, 1991], [1, 1990], [4, 5]);
    assert.equal(kept instanceof Promise, storeMs > 0);
    assert.deepEqual(await decided(stand, kept, 5), [ACCEPTED, ACCEPTED, CONFLICT, ACCEPTED, ACCEPTED]);
    await stand.pass(100);
    assert.deepEqual(storedNumbers(stand), [1, 4]);
    const sent = stand.sent.map(({ request }) => request.correlationId.slice(0, 8));
    assert.deepEqual(sent, ['00000001', '00000004'], 'what is not ours does not leave here');
    assert.equal(size(stand), 2);
    assert.equal(stand.instance.session!.worker.atWork, 2);
  });

  test(`what the store knew in one turn it is asked again in the next, ${when}`, async () => {
    const stand = await stands(storeWith(1));
    assert.deepEqual(await decided(stand, turnOf(stand, [1, 1991]), 1), [CONFLICT]);
    assert.deepEqual(await decided(stand, turnOf(stand, [1, 1990]), 1), [ACCEPTED]);
    assert.deepEqual(await decided(stand, turnOf(stand, [1, 1991]), 1), [CONFLICT]);
    assert.deepEqual(storedNumbers(stand), []);
  });

  test(`a turn of which all is kept says so in one word, ${when}`, async () => {
    const stand = await stands(storeWith(2));
    const kept = turnOf(stand, [1, 1990], [2, 1990]);
    await stand.pass(10);
    assert.equal(await kept, true);
  });

  test(`a payment and its first intent are one row of one write, ${when}`, async () => {
    const stand = await stands();
    const kept = turnOf(stand, [1, 1990], [2, 250]);
    assert.equal(stand.writes.length, 1);
    assert.equal(stand.sent.length, 0, 'it leaves once the store has it');
    assert.deepEqual(await decided(stand, kept, 2), [ACCEPTED, ACCEPTED]);
    assert.equal(stand.writes.length, 1);
    assert.equal(stand.sent.length, 2);
    for (const [at, cents] of [1990, 250].entries()) {
      const row = stand.writes[0]![at]!;
      assert.deepEqual(
        [row.kind, row.id, row.cents, row.state, row.processor, row.attempts, row.tries],
        ['INSERT', at + 1, cents, SENT, DEFAULT, 1, 1],
      );
      assert.equal(row.requestedAtMs, stand.sent[at]!.request.requestedAtMs);
    }
  });

  test(`what is known here is not written again, ${when}`, async () => {
    const stand = await stands();
    await decided(stand, turnOf(stand, [1, 1990]), 1);
    assert.equal(stand.instance.accept(paymentId(1), 1990), ACCEPTED);
    assert.equal(stand.instance.accept(paymentId(1), 1991), CONFLICT);
    assert.equal(stand.instance.commit(1), true, 'the store has it: nothing is waited for');
    assert.equal(stand.writes.length, 1);
    assert.equal(size(stand), 1);
  });

  test(`parked payments are accepted by the word of the store, and again, ${when}`, async () => {
    const stand = await acceptStand({ storeMs, change: parts => ({ ...parts, concurrency: 1 }) });
    const all = Array.from({ length: 8 }, (_, at) => [at + 1, 1990] as const);
    assert.equal((await decided(stand, turnOf(stand, ...all), 8)).length, 8);
    assert.deepEqual(storedNumbers(stand), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.ok(size(stand) < 8, 'some are only in the store');
    assert.deepEqual(await decided(stand, turnOf(stand, [8, 1990]), 1), [ACCEPTED]);
    assert.deepEqual(await decided(stand, turnOf(stand, [7, 1991]), 1), [CONFLICT]);
    assert.equal(stand.state.payments.size, 8);
  });
}

test('a second request for the same id waits for the decision on the first, whatever that is', async () => {
  for (const [cents, decision] of [
    [1990, ACCEPTED],
    [1991, CONFLICT],
    [undefined, UNAVAILABLE],
  ] as const) {
    const stand = await acceptStand({ state: storeWith(9) });
    stand.storeMs = 50;
    if (cents === undefined)
      stand.fault = call => (call === 'write' ? new StoreFault('full', 'x') : undefined);
    const number = cents === undefined ? 1 : 9;
    const payment = [number, cents ?? 1990] as const;
    const turns = [turnOf(stand, payment), turnOf(stand, payment, payment)];
    const watched = turns.map(watch);
    await stand.pass(90);
    turns.push(turnOf(stand, payment));
    assert.deepEqual(
      watched.map(({ isDone }) => isDone),
      [false, false],
    );
    assert.equal(stand.writes.length, 1);
    await stand.pass(20);
    const [first, second, third] = (await Promise.all(turns)) as [Kept, Kept, Kept];
    assert.deepEqual(decisions(first, 1), [decision]);
    assert.deepEqual(decisions(second, 2), [decision, decision]);
    assert.deepEqual(decisions(third, 1), [decision]);
    assert.equal(stand.writes[0]!.length, 1);
  }
});

test('a turn that has to wait for the write before it is decided by its own write', async () => {
  const stand = await acceptStand({ state: storeWith(3) });
  stand.storeMs = 5;
  const first = turnOf(stand, [1, 1990]);
  const second = turnOf(stand, [2, 1990], [3, 1]);
  const watched = watch(second);
  await stand.pass(15);
  assert.equal(await first, true);
  assert.equal(watched.isDone, false);
  assert.deepEqual(await decided(stand, second, 2), [ACCEPTED, CONFLICT]);
  assert.deepEqual(
    stand.writes.map(rows => rows.map(({ id: word }) => word)),
    [[1], [2, 3]],
  );
});

test('a count that does not match refuses the turn as a whole, and nothing of the next one', async () => {
  const stand = await acceptStand({ storeMs: 0 });
  const { instance } = stand;
  assert.equal(instance.commit(1), false, 'nothing was accepted');
  for (const waiting of [1, 3]) {
    instance.accept(paymentId(1), 1990);
    instance.accept(paymentId(2), 1990);
    assert.equal(instance.commit(waiting), false);
    assert.equal(turnOf(stand, [waiting + 10, 1990]), true);
  }
});

test('another amount of a payment on which the store has not decided is not refused by a guess', async () => {
  for (const [fault, theirs, ours] of [
    // The store has 1990 of it, from another instance.
    [undefined, CONFLICT, UNAVAILABLE],
    [new StoreFault('full', 'no room'), UNAVAILABLE, UNAVAILABLE],
  ] as const) {
    const stand = await acceptStand({ state: storeWith(1) });
    stand.fault = call => (call === 'write' ? fault : undefined);
    const kept = turnOf(stand, [1, 1991], [1, 1990]);
    assert.deepEqual(await decided(stand, kept, 2), [theirs, ours]);
  }
  const stand = await acceptStand();
  assert.deepEqual(await decided(stand, turnOf(stand, [1, 1991], [1, 1990]), 2), [ACCEPTED, CONFLICT]);
});

test('the id and the trace are those of the call, though the caller uses them again', async () => {
  const stand = await acceptStand();
  const [scratch, trace] = [paymentId(1), Int32Array.of(1, 2, 3, 4, 1)];
  stand.instance.accept(scratch, 1990, trace);
  scratch.fill(9);
  trace.fill(9);
  stand.instance.commit(1);
  await stand.pass(200);
  const [{ request }] = stand.sent as [(typeof stand.sent)[0]];
  assert.equal(request.correlationId, '00000001-0000-0000-0000-000000000007');
  assert.match(request.traceparent!, /^00-00000001000000020000000300000004-/);
});

test('a full queue takes no more, but what it has', async () => {
  const stand = await acceptStand({ storeMs: 0 });
  const { instance } = stand;
  for (let number = 1; number <= 8; number++)
    assert.equal(instance.accept(paymentId(number), 1990), ACCEPTED);
  assert.equal(instance.accept(paymentId(9), 1990), OVER_CAPACITY);
  assert.equal(instance.accept(paymentId(8), 1990), ACCEPTED, 'known all the same');
  assert.equal(instance.commit(9), true);
});
