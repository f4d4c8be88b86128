/** The table in docs/outcomes.md is the function, row by row. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { errors } from 'undici';
import { type AttemptResult, classify, lostBecause, REFUSAL_STATUSES } from './outcome.ts';

const text = readFileSync(join(import.meta.dirname, '../../docs/outcomes.md'), 'utf8');

interface Row {
  readonly ending: string;
  readonly cells: readonly string[];
}

/** The rows of the table under a heading: the codes of the first cell, one by one, with the other cells. */
function rowsUnder(heading: string): Row[] {
  const section = text.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const rows = section.split('\n').filter(line => line.startsWith('| `'));
  return rows.flatMap(line => {
    const [first, ...cells] = line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim());
    return [...first!.matchAll(/`([^`]+)`/g)].map(([, ending]) => ({ ending: ending!, cells }));
  });
}

const statusesIn = (ending: string): number[] => {
  const [from, to = from] = ending.split('-').map(Number);
  return Array.from({ length: to! - from! + 1 }, (_, at) => from! + at);
};

const judged = (result: AttemptResult, refusals?: ReadonlySet<number>): string[] => {
  const { outcome, verdict, processor } = classify(result, refusals);
  return [outcome, verdict, processor];
};

test('every status proves what the table says, and the table has every status once', () => {
  const seen = new Map<number, string>();
  for (const { ending, cells } of rowsUnder('Statuses')) {
    const isForeign = ending.endsWith(' foreign');
    for (const status of statusesIn(ending.replace(' foreign', ''))) {
      assert.deepEqual(
        judged({ status, isForeign }),
        cells.slice(0, 3),
        `${status}${isForeign ? ' foreign' : ''}`,
      );
      if (isForeign) continue;
      assert.ok(!seen.has(status), `${status} is there twice`);
      seen.set(status, ending);
    }
  }
  for (let status = 200; status < 600; status++) assert.ok(seen.has(status), `${status} is missing`);
});

test('a foreign body matters where the body does: with 200 and 422', () => {
  for (let status = 200; status < 600; status++) {
    if (status === 200 || status === 422) continue;
    assert.deepEqual(judged({ status, isForeign: true }), judged({ status }), `${status}`);
  }
});

test('every error proves what the table says, and every error of undici is in it', () => {
  const rows = rowsUnder('Errors');
  const inTable = new Set(rows.map(({ ending }) => ending));
  for (const { ending, cells } of rows) {
    const code = ending.replace('HPE_*', 'HPE_INVALID_CONSTANT');
    const because = lostBecause(code);
    assert.deepEqual(judged({ sent: true, because }), cells.slice(0, 3), code);
    assert.deepEqual(judged({ sent: false, because }), ['not connected', 'not processed', 'fails'], code);
  }
  for (const make of Object.values(errors)) {
    const { code } = new (make as new (...values: unknown[]) => { code?: string })('', 0, {});
    if (code?.startsWith('UND_ERR_')) assert.ok(inTable.has(code), `${code} is missing`);
  }
  assert.ok(rows.length > 20);
});

test('an operator may say more of what a processor guarantees', () => {
  const more = new Set([...REFUSAL_STATUSES, 409, 503]);
  assert.deepEqual(judged({ status: 409 }, more), ['rejected', 'not processed', 'works']);
  assert.deepEqual(judged({ status: 503 }, more), ['rejected', 'not processed', 'fails']);
  assert.deepEqual(judged({ status: 400 }, new Set([404])), ['garbage', 'unknown', 'fails']);
  assert.deepEqual(judged({ status: 200 }, new Set([200])), ['processed', 'processed', 'works']);
});
