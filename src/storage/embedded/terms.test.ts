import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT, PINNED, WAITING } from '../../domain/payment.ts';
import { markRow } from '../../testing/stores.ts';
import { Batch } from '../batch.ts';
import { EngineStand } from './engine.fixture.ts';
import { makeNewStore } from './restoring.ts';
import { SEGMENT_HEADER_BYTES } from './shared-log/segments.ts';

const LATER_MS = 1e12;

function restore(stand: EngineStand): void {
  makeNewStore({
    database: stand.database,
    files: stand.files,
    directory: '/store/log',
    store: Uint8Array.of(2, 2, 3, 4, 5, 6, 7, 8),
    asksFirstUntilMs: LATER_MS,
    wallMs: () => 0,
  });
}

// It may have been asked for and sent since, and the power loss may have taken the intent.
for (const isIndexed of [false, true]) {
  test(`after a power loss an uncertain payment that waits is pinned, ${isIndexed ? 'in the index' : 'in the log'}`, async () => {
    const stand = new EngineStand();
    await (await stand.open()).join('a');
    restore(stand);
    const engine = await (await stand.open()).join('a');
    await engine.accept(1);
    const { state, isUncertain } = (await engine.payment(1))!;
    assert.deepEqual([state, isUncertain], [WAITING, true]);
    if (isIndexed) {
      for (const other of [2, 3]) {
        stand.index();
        await engine.accept(other);
      }
      stand.index();
    }
    const anew = await (await stand.open(2)).join('a');
    for (let looks = 0; looks < 2; looks++) {
      const found = (await anew.payment(1))!;
      assert.deepEqual([found.state, found.isUncertain, found.processor], [PINNED, true, DEFAULT]);
      // Until it has read of the term the index has it as it was.
      stand.index();
    }
  });
}

test('after a power loss what may have been sent is pinned, though all who lived before had left', async () => {
  const stand = new EngineStand();
  const first = await (await stand.open()).join('a');
  await first.accept(1);
  const left = first.store.leave();
  stand.files.endSyncs();
  await left;
  const second = await (await stand.open()).join('a');
  const batch = new Batch(second.joined!.epoch, second.joined!.generation);
  markRow(batch, (await second.payment(1))!, { requestedAtMs: 7 });
  await second.store.write(batch);
  stand.losePower();
  const anew = await (await stand.open(2)).join('a');
  assert.equal((await anew.payment(1))!.state, PINNED);
});

test('what a restore says of later acceptances stays said if the head of its log is damaged', async () => {
  const stand = new EngineStand();
  await (await (await stand.open()).join('a')).accept(1);
  restore(stand);
  stand.segment(2)[SEGMENT_HEADER_BYTES + 50]! ^= 4;
  const engine = await (await stand.open()).join('a');
  assert.deepEqual(
    stand.damaged.map(([segment]) => segment),
    [2],
  );
  assert.equal(engine.joined!.asksFirstUntilMs, LATER_MS);
  assert.equal((await engine.payment(1))!.isUncertain, true);
});
