import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SETTLED } from '../domain/payment.ts';
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
import { ACCEPTED, type Kept, UNAVAILABLE } from './api.ts';

const refusing =
  (reason: StoreFault['reason'], of = 'write') =>
  (call: string): StoreFault | undefined =>
    call === of ? new StoreFault(reason, 'not now') : undefined;

for (const reason of ['full', 'busy'] as const)
  for (const storeMs of [0, 0.1]) {
    test(`what a store does not take that is ${reason} is refused, and nothing else of the turn (${storeMs} ms)`, async () => {
      const stand = await acceptStand({ storeMs });
      await decided(stand, turnOf(stand, [1, 1990]), 1);
      stand.fault = refusing(reason);
      const kept = turnOf(stand, [2, 1990], [1, 1990], [3, 5], [2, 1990]);
      assert.deepEqual(await decided(stand, kept, 4), [UNAVAILABLE, ACCEPTED, UNAVAILABLE, UNAVAILABLE]);
      assert.equal(size(stand), 1, 'the slots are free');
      assert.equal(stand.instance.session!.worker.atWork, 1, 'so are their places');
      assert.equal(stand.instance.accept(paymentId(4), 1990), UNAVAILABLE, 'it is not even tried');
      assert.equal(turnOf(stand, [1, 1990]), true);
      await stand.pass(1000);
      assert.deepEqual([storedNumbers(stand), stand.sent.length], [[1], 1]);

      stand.fault = () => undefined;
      await stand.pass(1000);
      assert.deepEqual(await decided(stand, turnOf(stand, [2, 7]), 1), [ACCEPTED], 'as if it had never come');
      await stand.pass(10);
      assert.deepEqual([storedNumbers(stand), stand.sent.length], [[1, 2], 2]);
    });
  }

for (const reason of ['full', 'busy'] as const) {
  test(`what happens to older payments while the store is ${reason} is kept for when it is not`, async () => {
    let isAnswering = false;
    const stand = await acceptStand({
      post: () => (isAnswering ? { status: 200 } : { status: 500 }),
    });
    await decided(stand, turnOf(stand, [1, 1990], [2, 1990]), 2);
    stand.fault = refusing(reason);
    isAnswering = true;
    // Their next attempts have no intent in the store, so they do not leave.
    const sent = stand.sent.length;
    await stand.pass(2000);
    assert.equal(stand.sent.length, sent);
    assert.deepEqual(stand.instance.readiness().reasons, [`the store is ${reason}: not now`]);
    stand.fault = () => undefined;
    await stand.pass(1000);
    assert.deepEqual(
      [...stand.state.payments.values()].map(({ state }) => state),
      [SETTLED, SETTLED],
    );
    assert.equal(stand.sent.length, sent + 2, 'once each');
    assert.deepEqual(stand.instance.readiness().reasons, []);
  });
}

/** The session ends, and another begins. */
async function endSession(stand: InstanceStand): Promise<void> {
  stand.state.instance('backend-1').epoch += 1;
  await stand.pass(700);
  assert.deepEqual(stand.states, ['joining', 'live', 'fenced', 'live']);
}

test('what was accepted in a session that ended before the commit is refused', async () => {
  const stand = await acceptStand();
  // As far as the session goes, nothing of it was written.
  stand.fault = refusing('fenced');
  assert.equal(stand.instance.accept(paymentId(1), 1990), ACCEPTED);
  stand.state.instance('backend-1').epoch += 1;
  await stand.pass(600);
  stand.fault = () => undefined;
  await stand.pass(700);
  assert.equal(stand.states.at(-1), 'live');
  const kept = stand.instance.commit(1);
  assert.deepEqual(await decided(stand, kept, 1), [UNAVAILABLE]);
  assert.deepEqual([size(stand), stand.state.payments.size], [0, 0]);
});

test('a session that ends has everything refused on which the store has not decided', async () => {
  const stand = await acceptStand();
  await decided(stand, turnOf(stand, [1, 1990]), 1);
  const { store } = stand;
  const write = store.write.bind(store);
  const replies: (() => void)[] = [];
  store.write = (batch, reply) => write(batch, answer => void replies.push(() => reply(answer)));
  const turns = [turnOf(stand, [1, 1990], [2, 1990]), turnOf(stand, [3, 1990], [2, 1990])];
  const watched = turns.map(watch);
  await stand.pass(100);
  assert.deepEqual(
    watched.map(({ isDone }) => isDone),
    [false, false],
  );
  await endSession(stand);
  const [first, second] = (await Promise.all(turns)) as [Kept, Kept];
  assert.deepEqual(decisions(first, 2), [ACCEPTED, UNAVAILABLE]);
  assert.deepEqual(decisions(second, 2), [UNAVAILABLE, UNAVAILABLE]);
  // What the store says to the session that ended touches nothing of this one.
  store.write = write;
  const held = size(stand);
  for (const reply of replies) reply();
  assert.equal(size(stand), held);
  assert.deepEqual(await decided(stand, turnOf(stand, [3, 1990]), 1), [ACCEPTED]);
});

test('between two sessions nothing is accepted', async () => {
  const stand = await acceptStand();
  stand.fault = refusing('busy', 'join');
  stand.state.instance('backend-1').epoch += 1;
  await stand.pass(700);
  assert.equal(stand.states.at(-1), 'fenced');
  assert.equal(stand.instance.accept(paymentId(1), 1990), UNAVAILABLE);
  assert.equal(stand.instance.commit(1), false);
});

test('an instance that has stopped its work and is leaving accepts nothing', async () => {
  const stand = await acceptStand();
  const { store } = stand;
  store.leave = () => {};
  void stand.instance.stop();
  assert.equal(stand.instance.accept(paymentId(1), 1990), UNAVAILABLE);
});

test('a session that ends while it takes a payment refuses this one with all others', async () => {
  const stand = await acceptStand({ storeMs: 0, queueCapacity: 4096 });
  stand.fault = refusing('fenced');
  let number = 0;
  // The page that is full leaves, and the store says that this session is over.
  while (stand.instance.accept(paymentId(number + 1), 1990) === ACCEPTED) number += 1;
  assert.ok(number > 100 && number < 4096, `${number} were accepted before`);
  stand.fault = () => undefined;
  await stand.pass(700);
  assert.deepEqual(stand.states, ['joining', 'live', 'fenced', 'live']);
  const kept = await stand.instance.commit(number);
  assert.deepEqual(new Set(decisions(kept, number)), new Set([UNAVAILABLE]));
  assert.deepEqual([size(stand), stand.sent.length], [0, 0]);
});

test('a commit for which nothing was accepted has nothing to keep', async () => {
  const stand = await acceptStand();
  assert.equal(stand.instance.commit(1), false);
});
