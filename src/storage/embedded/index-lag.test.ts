/** How far the index may be behind the log, and that nobody notices. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SETTLED, WAITING } from '../../domain/payment.ts';
import { KNOWN } from '../ports.ts';
import { type Engine, EngineStand } from './engine.fixture.ts';
import { INDEX_LAG } from './indexing.ts';
import { segmentsAmong } from './shared-log/segments.ts';

/** How often the indexer looks how far the index is behind. */
const LOOK_MS = 250;

const indexed = ({ database }: EngineStand): number =>
  (database.prepare('SELECT count(*) AS count FROM payments').get() as { count: number }).count;

async function begun(stand: EngineStand): Promise<Engine> {
  const engine = await (await stand.open()).join('a');
  await engine.accept(1);
  stand.index();
  assert.equal(indexed(stand), 1);
  return engine;
}

test('few payments are indexed together, when the first of them has waited for as long as it may', async () => {
  const stand = new EngineStand();
  const engine = await begun(stand);
  stand.pass(3 * INDEX_LAG.ms);
  await engine.accept(2);
  stand.pass(LOOK_MS);
  assert.equal(indexed(stand), 2, 'after a rest there is nothing to wait for');
  for (let n = 3; n < 10; n++) {
    await engine.accept(n);
    stand.pass(LOOK_MS);
  }
  assert.equal(indexed(stand), 2);
  stand.pass(INDEX_LAG.ms - 7 * LOOK_MS);
  assert.equal(indexed(stand), 9);
});

test('many payments are indexed at once', async () => {
  const stand = new EngineStand();
  const engine = await begun(stand);
  await engine.accept(2);
  stand.pass(LOOK_MS);
  await engine.accept(...Array.from({ length: INDEX_LAG.rows - 1 }, (_, n) => 3 + n));
  stand.pass(LOOK_MS);
  assert.equal(indexed(stand), 2);
  await engine.accept(3 + INDEX_LAG.rows);
  stand.pass(LOOK_MS);
  assert.equal(indexed(stand), 2 + INDEX_LAG.rows);
});

test('beats alone are indexed too, so that their segments go', async () => {
  const stand = new EngineStand();
  stand.segmentBytes = 600;
  stand.indexLag = { ...INDEX_LAG, bytes: 1000 };
  const engine = await begun(stand);
  for (let beats = 0; beats < 100; beats++) {
    await engine.store.beat(JSON.stringify({ beats }));
    stand.rest(500);
  }
  const segments = segmentsAmong(stand.files.list('/store/log'));
  assert.ok(segments.length <= 4, `${segments.length} segments are left`);
  assert.ok(segments.at(-1)! > 10);
});

test('the disk is asked to take what is said of payments, once, and no beats', async () => {
  const stand = new EngineStand();
  const engine = await begun(stand);
  stand.rest(2000);
  for (let beats = 0; beats < 10; beats++) {
    await engine.store.beat('{}');
    assert.equal(stand.rest(500), 0);
  }
  await engine.accept(2);
  assert.equal(stand.rest(3000), 1);
});

test('a summary is exact and current while the index is behind', async () => {
  const stand = new EngineStand();
  const engine = await begun(stand);
  const other = await (await stand.open()).join('b');
  for (let n = 2; n <= 40; n++) {
    await engine.accept(n);
    await engine.settle((await engine.payment(n))!);
    const { count } = (await other.store.summary(-Infinity, Infinity)).default;
    assert.equal(count, n - 1, `${indexed(stand)} are indexed`);
    stand.pass(7 * LOOK_MS);
  }
});

test('whoever starts after a kill knows what the index did not', async () => {
  const stand = new EngineStand();
  const killed = await begun(stand);
  await killed.accept(2, 3, 4);
  await killed.settle((await killed.payment(3))!);
  assert.equal(indexed(stand), 1);
  const engine = await (await stand.open()).join('a');
  assert.equal(indexed(stand), 1, 'a start does not wait for the index');
  const states = (await Promise.all([1, 2, 3, 4].map(n => engine.payment(n)))).map(each => each!.state);
  assert.deepEqual(states, [WAITING, WAITING, SETTLED, WAITING]);
  assert.deepEqual(await engine.accept(2, 3), [KNOWN, KNOWN]);
  assert.deepEqual(
    (await engine.store.take(0, 9)).map(({ seq }) => seq),
    [1, 2, 4],
  );
  assert.equal((await engine.store.summary(-Infinity, Infinity)).default.count, 1);
});
