import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SETTLED } from '../../domain/payment.ts';
import { EngineStand } from './engine.fixture.ts';
import { TAIL_ROWS_MAX, tailRowsMax } from './shared-log/tail-table.ts';

const PAGE = 1024;
const numbers = (first: number, count = PAGE): number[] => Array.from({ length: count }, (_, n) => first + n);

test('an index that stands still makes the store full for new payments, not for those that it has', async () => {
  const stand = new EngineStand();
  stand.tailRowsMax = 4 * PAGE;
  const engine = await (await stand.open()).join('a');
  for (let first = 1; first <= stand.tailRowsMax; first += PAGE) await engine.accept(...numbers(first));
  const next = stand.tailRowsMax + 1;
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

test('a store that is full takes payments again although nothing is left to do that would move the index', async () => {
  const stand = new EngineStand();
  stand.tailRowsMax = PAGE;
  const engine = await (await stand.open()).join('a');
  await engine.accept(...numbers(1));
  await engine.settle((await engine.payment(1))!);
  await assert.rejects(engine.accept(PAGE + 1), { reason: 'full' });
  stand.index();
  assert.ok((await engine.accept(PAGE + 1))[0]! > 0);
});

test('where few rows fit, they are indexed by eighths of what fits', async () => {
  const stand = new EngineStand();
  stand.tailRowsMax = PAGE;
  const engine = await (await stand.open()).join('a');
  await engine.accept(1);
  stand.index();
  const indexed = (): unknown => stand.database.prepare('SELECT count(*) AS n FROM payments').get()?.['n'];
  await engine.accept(2);
  stand.pass(250);
  await engine.accept(...numbers(3, PAGE / 8 - 1));
  stand.pass(250);
  assert.equal(indexed(), 2);
  await engine.accept(PAGE);
  stand.pass(250);
  assert.equal(indexed(), 2 + PAGE / 8);
});

test('the tail may have as many rows as memory has room for', () => {
  const MB = 1e6;
  for (const [limit, least, most] of [
    [32 * MB, 2 ** 13, 2 ** 13],
    [100 * MB, 10_000, 12_000],
    [200 * MB, 40_000, 50_000],
    [2 ** 64, TAIL_ROWS_MAX, TAIL_ROWS_MAX],
    [Number.POSITIVE_INFINITY, TAIL_ROWS_MAX, TAIL_ROWS_MAX],
  ] as const) {
    const rows = tailRowsMax(limit);
    assert.ok(rows >= least && rows <= most, `${limit} bytes: ${rows} rows`);
  }
});
