/** A pin belongs to the address that its payment was sent to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT, FALLBACK, HELD_URL, idTextWords, PINNED } from '../domain/payment.ts';
import { MemoryState } from '../storage/memory/state.ts';
import { instanceStand, type StandOptions } from '../testing/fakes.ts';
import { PinnedElsewhere, settleAddresses } from './processor-addresses.ts';

const BEFORE = ['http://old:8080', 'http://fallback:8080'] as const;
const AFTER = ['http://new:8080', 'http://fallback:8080'] as const;
const ID = '00000001-0000-4000-8000-000000000000';

/** An instance that starts with these addresses. */
function starting(
  state: MemoryState,
  urls: readonly [string, string],
  mayHold: boolean,
  post: StandOptions['post'],
) {
  return instanceStand({
    ...{ state, post: post! },
    change: parts => ({
      ...parts,
      joined: async () => {
        await settleAddresses({ store: parts.store, urls, mayHold, nowMs: () => 5000 });
      },
    }),
  });
}

type Starting = ReturnType<typeof starting>;

async function begin(stand: Starting): Promise<unknown> {
  let failed: unknown;
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  const start = stand.instance.start().then(over, error => {
    failed = error;
    over();
  });
  for (let step = 0; !isOver && step < 100; step++) await stand.pass(5);
  await start;
  return failed;
}

async function end(stand: Starting): Promise<void> {
  const stopped = stand.instance.stop();
  await stand.pass(4000);
  await stopped;
}

/** A deployment that has left with one payment, which default may have. */
async function pinned(): Promise<MemoryState> {
  const state = new MemoryState();
  const stand = starting(state, BEFORE, false, () => ({ sent: true, because: 'timed out' }));
  assert.equal(await begin(stand), undefined);
  stand.instance.accept(idTextWords(ID), 1990);
  void stand.instance.commit(1);
  await stand.pass(500);
  await end(stand);
  const { state: is, processor } = state.payments.get(ID)!;
  assert.deepEqual([is, processor], [PINNED, DEFAULT]);
  assert.deepEqual(state.urls, BEFORE);
  return state;
}

test('a start with another address is refused while payments may be at the earlier one, and changes nothing', async () => {
  const state = await pinned();
  const stand = starting(state, AFTER, false, () => ({ status: 200 }));
  const failed = await begin(stand);
  assert.ok(failed instanceof PinnedElsewhere);
  assert.deepEqual([failed.processor, failed.before, failed.count], ['default', 'http://old:8080', 1]);
  assert.deepEqual([stand.sent, state.urls, state.instances.get('backend-1')!.alive], [[], BEFORE, false]);
  const again = starting(state, BEFORE, false, () => ({ status: 200 }));
  assert.equal(await begin(again), undefined);
  await again.pass(3000);
  assert.equal(again.sent.length, 1);
});

test('where they may be held, they are, for good, and nothing of them leaves for the new address', async () => {
  const state = await pinned();
  const stand = starting(state, AFTER, true, () => ({ status: 200 }));
  assert.equal(await begin(stand), undefined);
  await stand.pass(7_200_000);
  assert.deepEqual(stand.sent, []);
  const { held, retryAtMs, state: is } = state.payments.get(ID)!;
  assert.deepEqual([held, retryAtMs, is, state.urls], [HELD_URL, Infinity, PINNED, AFTER]);
  assert.match(state.acts[0]!.text, /http:\/\/old:8080/);
  await end(stand);
  const later = starting(state, AFTER, false, () => ({ status: 200 }));
  assert.equal(await begin(later), undefined, 'what is held is no reason any more');
});

test('the address of the other processor may change', async () => {
  const state = await pinned();
  const urls = [BEFORE[DEFAULT], 'http://other:8080'] as const;
  assert.equal(await begin(starting(state, urls, false, () => ({ status: 200 }))), undefined);
  assert.equal(state.urls![FALLBACK], 'http://other:8080');
});
