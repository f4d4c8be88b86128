/** Damage in a log that is in use: whoever comes upon it takes nothing more before it has joined anew. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FALLBACK } from '../../domain/payment.ts';
import { markRow } from '../../testing/stores.ts';
import { Batch } from '../batch.ts';
import { EngineStand } from './engine.fixture.ts';

test('an instance that reads damage neither accepts, intends nor beats', async () => {
  const stand = new EngineStand();
  const a = await (await stand.open()).join('a');
  const b = await (await stand.open()).join('b');
  await a.accept(1);
  const payment = (await a.payment(1))!;
  const from = stand.segment().length;
  await b.accept(2);
  await b.accept(3);
  // What the other has read is not what this one comes upon.
  stand.segment()[from + 60]! ^= 4;
  await assert.rejects(a.accept(4), { reason: 'lost' });
  const intent = new Batch(a.joined!.epoch, a.joined!.generation);
  markRow(intent, payment, { processor: FALLBACK, requestedAtMs: 5 });
  await assert.rejects(a.store.write(intent), { reason: 'lost' });
  await assert.rejects(a.store.beat(''), { reason: 'lost' });
  await assert.rejects(a.store.adopt('b'), { reason: 'lost' });
});

test('what was read before it was damaged, by the one instance that there is, is not lost', async () => {
  const stand = new EngineStand();
  const engine = await (await stand.open()).join('a');
  await engine.accept(1);
  const from = stand.segment().length;
  await engine.accept(2);
  await engine.accept(3);
  stand.segment()[from + 60]! ^= 4;
  // The index comes upon it.
  stand.index();
  await assert.rejects(engine.accept(4), { reason: 'lost' });
  await engine.raw.reopen();
  await engine.join('a');
  assert.deepEqual(await engine.found(1, 2, 3, 4), [1, 2, 3]);
});
