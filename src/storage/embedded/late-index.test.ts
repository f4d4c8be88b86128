/** Answers of the index that come when the tail has moved on: what lies between is in neither. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HELD_REFUSED } from '../../domain/payment.ts';
import { asked, holdRow, settleRow } from '../../testing/stores.ts';
import { Batch } from '../batch.ts';
import { type Engine, EngineStand } from './engine.fixture.ts';

async function settle(engine: Engine, n: number): Promise<void> {
  const batch = new Batch(engine.joined!.epoch, engine.joined!.generation);
  settleRow(batch, (await engine.payment(n))!, { requestedAtMs: 5 });
  await engine.store.write(batch);
}

async function hold(engine: Engine, n: number): Promise<void> {
  const batch = new Batch(engine.joined!.epoch, engine.joined!.generation);
  holdRow(batch, (await engine.payment(n))!, { held: HELD_REFUSED, retryAtMs: 5 });
  await engine.store.write(batch);
}

/**
 * An instance with three payments (`begin` does more to them) that asks its index, settles the first one, and
 * gets its answer when another one has indexed that twice and the tail has let go of it.
 */
async function late<T>(
  ask: (store: Engine['store']) => Promise<T>,
  begin: (engine: Engine) => Promise<void> = async () => {},
): Promise<T> {
  const stand = new EngineStand();
  const indexer = await (await stand.open()).join('indexer');
  const index = async (): Promise<void> => {
    await indexer.store.look();
    stand.index();
  };
  const held: (() => void)[] = [];
  const one = await (await stand.open(1, false, held)).join('a');
  for (const n of [1, 2, 3]) {
    await one.accept(n);
    await index();
  }
  await begin(one);
  for (const n of [4, 5]) {
    await index();
    await one.accept(n);
  }
  const answer = ask(one.store);
  await settle(one, 1);
  for (const n of [6, 7]) {
    await index();
    await one.accept(n);
  }
  while (held.length > 0) held.shift()!();
  return answer;
}

test('a settled payment is not taken for unsettled', async () => {
  const taken = await late(store => store.take(0, 9));
  assert.deepEqual(
    taken.map(({ seq }) => seq),
    [2, 3, 4, 5, 6, 7],
  );
});

test('a held payment that is settled is not taken for held', async () => {
  const taken = await late(
    store => store.takeHeld(9, 9),
    async engine => {
      for (const n of [1, 2]) await hold(engine, n);
    },
  );
  assert.deepEqual(
    taken.map(({ seq }) => seq),
    [2],
  );
});

test('a settlement is counted', async () => {
  assert.equal((await late(store => store.summary(0, 9))).default.count, 1);
});

test('a page is full where the tail knows more of it to be settled than the index', async () => {
  const stand = new EngineStand();
  const one = await (await stand.open()).join('a');
  await one.accept(1, 2, 3, 4, 5, 6, 7, 8);
  stand.index();
  for (const n of [1, 2, 3, 4, 5]) await settle(one, n);
  const page = await asked(one.raw).take(0, 2);
  assert.deepEqual(
    page.map(({ seq }) => seq),
    [6, 7],
  );
});
