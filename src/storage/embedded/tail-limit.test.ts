import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SETTLED } from '../../domain/payment.ts';
import { TAIL_ROWS_MAX } from './appending.ts';
import { EngineStand } from './engine.fixture.ts';

const PAGE = 1024;

test('an index that stands still makes the store full for new payments, not for those that it has', async () => {
  const stand = new EngineStand();
  const engine = await (await stand.open()).join('a');
  for (let first = 1; first <= TAIL_ROWS_MAX; first += PAGE)
    await engine.accept(...Array.from({ length: PAGE }, (_, n) => first + n));
  const next = TAIL_ROWS_MAX + 1;
  await assert.rejects(engine.accept(next), { reason: 'full' });
  await engine.settle((await engine.payment(1))!);
  assert.equal((await engine.payment(1))?.state, SETTLED);
  // Each mark lets go of what stands in front of the one before it.
  stand.index();
  stand.index();
  await engine.settle((await engine.payment(2))!);
  stand.index();
  assert.ok((await engine.accept(next))[0]! > 0);
});
