import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT, WAITING } from '../../domain/payment.ts';
import { markRow } from '../../testing/stores.ts';
import { Batch } from '../batch.ts';
import { StoreFault } from '../ports.ts';
import { EngineStand } from './engine.fixture.ts';
import { openMemoryIndex } from './index/schema.ts';
import { INDEX_LAG } from './indexing.ts';

// Where all instances wait for their disk, nothing is pinned after a loss of power: what left has to be on
// it.
for (const isFlushing of [false, true]) {
  test(`an intent that was answered is not forgotten by a loss of power (${isFlushing ? 'flush' : 'commit'})`, async () => {
    const stand = new EngineStand();
    const engine = await (await stand.open(1, isFlushing)).join('a');
    const { epoch, generation } = engine.joined!;
    const accepted = engine.accept(1);
    stand.rest(3000);
    await accepted;
    stand.rest(3000);
    const batch = new Batch(epoch, generation);
    markRow(batch, (await engine.payment(1))!, { requestedAtMs: 2000 });
    let isAnswered = false;
    engine.raw.write(batch, answer => {
      assert.ok(!(answer instanceof StoreFault));
      isAnswered = true;
    });
    await new Promise(resolve => setImmediate(resolve));
    stand.losePower();
    const anew = await (await stand.open(2, isFlushing)).join('a');
    const payment = await anew.payment(1);
    // Answered, it may have left for default; then nothing may say that it waits for either processor.
    if (isAnswered) {
      assert.notEqual(payment!.state, WAITING);
      assert.equal(payment!.processor, DEFAULT);
    }
  });
}

test('what is on the disk is not cut off by what its predecessors left unsynced in an earlier segment', async () => {
  const stand = new EngineStand();
  stand.segmentBytes = 600;
  // Before it asks for the first sync.
  stand.indexLag = { ...INDEX_LAG, ms: 100 };
  const { database } = stand;
  const dead = await (await stand.open()).join('dead');
  stand.files.endSyncs();
  for (let n = 1; n <= 12; n++) await dead.accept(n);
  stand.index();
  // It is killed before the disk has any of it; the next one begins where the index is, in a later segment.
  const engine = await (await stand.open(1, true)).join('a');
  const accepted = engine.accept(100);
  const waiting = setInterval(() => stand.files.endSyncs());
  await accepted.finally(() => clearInterval(waiting));
  stand.losePower();
  // The index had nothing on its disk.
  database.close();
  stand.database = openMemoryIndex(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  const anew = await (await stand.open(2, true)).join('a');
  assert.deepEqual(await anew.found(1, 12, 100), [1, 12, 100]);
});
