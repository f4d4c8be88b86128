import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cents } from '../domain/money.ts';
import { CLOSED, FALLBACK, HELD_AMOUNT, SETTLED, writeIdBytes } from '../domain/payment.ts';
import { Unavailable } from '../domain/unavailable.ts';
import { WALL_START_MS } from '../simulation/event-loop.ts';
import { MemoryState, untouched } from '../storage/memory/state.ts';
import { StoreFault } from '../storage/ports.ts';
import { type InstanceStand, instanceStand, type StandOptions } from '../testing/fakes.ts';
import { ACCEPTED, type PaymentView } from './api.ts';

const id = (number: number): Int32Array => Int32Array.of(number, 0, 0, 7);

function bytes(number: number): Uint8Array {
  const written = new Uint8Array(16);
  writeIdBytes(id(number), 0, written, 0);
  return written;
}

const text = (number: number): string => `0000000${number}-0000-0000-0000-000000000007`;

interface QueryStand extends InstanceStand {
  /** Accepts and commits. */
  take(number: number, cents?: number): void;
  /** Asks for a payment, and lets time pass for the answer. */
  find(number: number): Promise<PaymentView | undefined>;
}

async function queryStand(options: StandOptions = {}): Promise<QueryStand> {
  const stand = instanceStand(options);
  const start = stand.instance.start();
  await stand.pass(50);
  await start;
  return Object.assign(stand, {
    take(number: number, cents = 1990) {
      assert.equal(stand.instance.accept(id(number), cents), ACCEPTED);
      void stand.instance.commit(1);
    },
    async find(number: number) {
      const found = stand.instance.find(bytes(number));
      await stand.pass(5);
      return found;
    },
  });
}

const UNTRIED = { processor: null, requestedAtMs: null, attempts: 0, reason: null };

const refuseWrites = (call: string): StoreFault | undefined =>
  call === 'write' ? new StoreFault('busy', 'not now') : undefined;

/** Whether a promise is fulfilled by now. */
function watch<T>(promise: Promise<T>): { isDone: boolean } {
  const watched = { isDone: false };
  const done = (): void => {
    watched.isDone = true;
  };
  promise.then(done, done);
  return watched;
}

test('a payment that nobody knows is undefined', async () => {
  const stand = await queryStand();
  stand.take(1);
  assert.equal(await stand.find(2), undefined);
});

test('a payment that the store holds for another instance, which has not tried it yet, is queued', async () => {
  const stand = await queryStand();
  const acceptedAtMs = 1_783_684_800_000;
  stand.state.put({ ...untouched, id: bytes(1), owner: 'backend-2', cents: 1990 as Cents, acceptedAtMs });
  const view = await stand.find(1);
  assert.deepEqual(view, { correlationId: text(1), cents: 1990, status: 'queued', acceptedAtMs, ...UNTRIED });
});

test('a payment that another instance has tried is shown as the store has it', async () => {
  const state = new MemoryState();
  const stand = await queryStand({ state });
  state.put({
    ...untouched,
    id: bytes(1),
    owner: 'backend-2',
    cents: 1990 as Cents,
    acceptedAtMs: 1_783_684_800_000,
    processor: FALLBACK,
    requestedAtMs: 1_783_684_800_500,
    attempts: 6,
  });
  assert.deepEqual(await stand.find(1), {
    correlationId: text(1),
    cents: 1990,
    status: 'queued',
    processor: 'fallback',
    requestedAtMs: 1_783_684_800_500,
    acceptedAtMs: 1_783_684_800_000,
    attempts: 6,
    reason: null,
  });
});

test('a payment that is held or was closed says why', async () => {
  const state = new MemoryState();
  const stand = await queryStand({ state });
  const payment = { ...untouched, owner: 'backend-2', cents: 1990 as Cents, acceptedAtMs: 1_783_684_800_000 };
  state.put({ ...payment, id: bytes(1), held: HELD_AMOUNT });
  state.put({ ...payment, id: bytes(2), state: CLOSED, reason: 'paid in cash' });
  const shown = [await stand.find(1), await stand.find(2)].map(view => [view!.status, view!.reason]);
  assert.deepEqual(shown, [
    ['held', 'amount-differs'],
    ['closed', 'paid in cash'],
  ]);
});

test('a payment of this instance is shown as it is here, whatever the store knows of it', async () => {
  const stand = await queryStand({
    post: () => undefined,
    change: parts => ({ ...parts, concurrency: 1 }),
  });
  stand.take(1);
  await stand.pass(5);
  const { requestedAtMs } = stand.sent[0]!.request;
  // The only place is taken; the store learns of it with the first look-up on its heels.
  stand.take(2, 250);
  const acceptedAtMs = WALL_START_MS + stand.loop.nowMs;
  const waiting = { correlationId: text(2), cents: 250, status: 'queued', acceptedAtMs, ...UNTRIED };
  assert.equal(stand.state.payments.size, 1);
  assert.deepEqual(await stand.find(2), waiting);
  assert.equal(stand.state.payments.size, 2);
  assert.deepEqual(await stand.find(2), waiting);
  assert.deepEqual(await stand.find(1), {
    correlationId: text(1),
    cents: 1990,
    status: 'queued',
    acceptedAtMs: acceptedAtMs - 5,
    processor: 'default',
    requestedAtMs,
    attempts: 1,
    reason: null,
  });
});

test('a payment that is settled here is not shown before the store has that', async () => {
  const stand = await queryStand();
  stand.take(1);
  while (stand.sent.length === 0) await stand.pass(1);
  stand.fault = refuseWrites;
  await stand.pass(10);
  const { pool } = stand.instance.session!;
  assert.equal(pool.state[0], SETTLED);
  const found = stand.instance.find(bytes(1));
  const watched = watch(found);
  await stand.pass(1000);
  assert.equal(watched.isDone, false);
  stand.fault = () => undefined;
  await stand.pass(1000);
  const view = await found;
  assert.equal(view!.status, 'settled');
  assert.equal(view!.processor, 'default');
  assert.equal(view!.requestedAtMs, stand.sent[0]!.request.requestedAtMs);
  assert.equal(view!.attempts, 1);
});

test('a payment that is settled here while the store is asked is shown as the store has it', async () => {
  const stand = await queryStand({ post: () => undefined });
  stand.take(1);
  await stand.pass(50);
  const found = stand.instance.find(bytes(1));
  const { pool } = stand.instance.session!;
  pool.state[0] = SETTLED;
  pool.requestedAtMs[0] = 1;
  await stand.pass(5);
  const view = await found;
  assert.equal(view!.status, 'queued');
  assert.equal(view!.requestedAtMs, stand.sent[0]!.request.requestedAtMs);
});

test('a payment that another instance has settled is settled, though it is at work here', async () => {
  const stand = await queryStand({ post: () => undefined });
  stand.take(1);
  await stand.pass(100);
  const [payment] = stand.state.payments.values();
  Object.assign(payment!, { state: SETTLED, processor: FALLBACK, requestedAtMs: 1_783_684_801_000 });
  assert.equal(stand.instance.session!.pool.size, 1);
  const view = await stand.find(1);
  assert.deepEqual(
    [view!.status, view!.processor, view!.requestedAtMs],
    ['settled', 'fallback', 1_783_684_801_000],
  );
});

test('what the store does not answer is not guessed', async () => {
  const stand = await queryStand();
  stand.fault = call =>
    call === 'find' || call === 'summary' ? new StoreFault('busy', 'not now') : undefined;
  const found = assert.rejects(stand.instance.find(bytes(1)), Unavailable);
  const summary = assert.rejects(stand.instance.summary(-Infinity, Infinity), Unavailable);
  await stand.pass(5);
  await Promise.all([found, summary]);
});

test('a summary counts everything that was recorded here before it was asked for', async () => {
  const stand = await queryStand();
  for (const number of [1, 2, 3]) stand.take(number, 1990);
  while (stand.sent.length < 3) await stand.pass(1);
  stand.fault = refuseWrites;
  await stand.pass(10);
  const settled = [...stand.instance.session!.pool.state.subarray(0, 3)];
  assert.deepEqual(settled, [SETTLED, SETTLED, SETTLED]);
  assert.ok([...stand.state.payments.values()].every(({ state }) => state !== SETTLED));
  const asked = stand.instance.summary(-Infinity, Infinity);
  const watched = watch(asked);
  await stand.pass(1000);
  assert.equal(watched.isDone, false);
  stand.fault = () => undefined;
  await stand.pass(1000);
  const summary = await asked;
  assert.deepEqual(summary.default, { count: 3, high: 0, low: 5970 });
  assert.equal(summary.fallback.count, 0);
});

test('a full store holds up no summary, which counts what the store has yet to take', async () => {
  const stand = await queryStand();
  for (const number of [1, 2, 3]) stand.take(number, 1990);
  while (stand.sent.length < 3) await stand.pass(1);
  stand.fault = call => (call === 'write' ? new StoreFault('full', 'no space') : undefined);
  await stand.pass(10);
  const before = watch(stand.instance.summary(-Infinity, Infinity));
  await stand.pass(300);
  assert.equal(before.isDone, true, 'the store had not refused yet');
  assert.ok([...stand.state.payments.values()].every(({ state }) => state !== SETTLED));
  const sums = async (fromMs: number) => {
    const asked = stand.instance.summary(fromMs, Infinity);
    await stand.pass(5);
    return (await asked).default;
  };
  assert.deepEqual(await sums(-Infinity), { count: 3, high: 0, low: 5970 });
  assert.deepEqual(await sums(Infinity), { count: 0, high: 0, low: 0 });
  stand.fault = () => undefined;
  await stand.pass(1000);
  assert.ok([...stand.state.payments.values()].every(({ state }) => state === SETTLED));
  assert.deepEqual(await sums(-Infinity), { count: 3, high: 0, low: 5970 }, 'none is counted twice');
});

test('a summary that waits for payments which the store does not take is answered', async () => {
  const stand = await queryStand();
  stand.fault = refuseWrites;
  stand.take(1);
  const summary = watch(stand.instance.summary(-Infinity, Infinity));
  await stand.pass(1000);
  stand.fault = () => undefined;
  await stand.pass(1000);
  assert.equal(summary.isDone, true);
});

test('a summary that nothing holds up does not wait for the next page', async () => {
  const stand = await queryStand({ post: () => undefined });
  stand.take(1);
  const summary = watch(stand.instance.summary(-Infinity, Infinity));
  await stand.pass(5);
  assert.equal(summary.isDone, true);
});

test('a summary that waits for a page which a purge overtakes is answered', async () => {
  const stand = await queryStand({ post: () => undefined });
  stand.take(1);
  const summary = watch(stand.instance.summary(-Infinity, Infinity));
  // Another instance purges; the answer to the page is the first that this one learns of it.
  stand.state.generation += 1;
  await stand.pass(1);
  assert.deepEqual(stand.states, ['joining', 'live', 'purged', 'live']);
  await stand.pass(5000);
  assert.equal(summary.isDone, true);
});
