/** The index stands exactly where a batch begins that changes what it has: it has nothing of that batch. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PINNED } from '../../domain/payment.ts';
import { type Engine, EngineStand } from './engine.fixture.ts';
import { makeNewStore } from './restoring.ts';

/** A payment that the tail has let go of, and an index that stands at the log's end. */
async function indexedToTheEnd(stand: EngineStand): Promise<Engine> {
  const engine = await (await stand.open()).join('a');
  await engine.accept(1);
  for (const n of [2, 3]) {
    stand.index();
    await engine.accept(n);
    await engine.settle((await engine.payment(n))!);
  }
  stand.index();
  // Whoever looks has the index moved, and nobody marks that.
  await new Promise(moved => engine.raw.latest(1, moved));
  return engine;
}

test('what waits is pinned by a term that begins there', async () => {
  const stand = new EngineStand();
  await indexedToTheEnd(stand);
  const anew = await (await stand.open(2)).join('a');
  const taken = await anew.store.take(0, 9);
  assert.deepEqual(
    taken.map(({ seq, state }) => [seq, state]),
    [[1, PINNED]],
  );
});

test('what is unsettled is uncertain by a doubt that begins there', async () => {
  const stand = new EngineStand();
  await indexedToTheEnd(stand);
  makeNewStore({
    ...{ database: stand.database, files: stand.files, directory: '/store/log' },
    store: Uint8Array.of(2, 2, 3, 4, 5, 6, 7, 8),
    asksFirstUntilMs: 0,
    wallMs: () => 0,
  });
  const anew = await (await stand.open()).join('a');
  const taken = await anew.store.take(0, 9);
  assert.deepEqual(
    taken.map(({ seq, isUncertain }) => [seq, isUncertain]),
    [[1, true]],
  );
});

test('a purge that begins there forgets what the index has', async () => {
  const stand = new EngineStand();
  const engine = await indexedToTheEnd(stand);
  const purged = engine.store.purge();
  // Behind the one of the indexer.
  for (let syncs = 0; syncs < 2; syncs++) stand.files.endSyncs();
  assert.equal(await purged, 2);
  assert.deepEqual(await engine.store.take(0, 9), []);
  assert.equal((await engine.store.summary(-Infinity, Infinity)).default.count, 0);
});
