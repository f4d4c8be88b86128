/**
 * What the index is asked costs as much on a long history as on a short one: no statement reads a table from
 * its beginning to its end, as SQLite's planner itself says of each.
 */
import assert from 'node:assert/strict';
import type { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { archivingOf } from '../archive/archiver.ts';
import { readingOf } from './index-reader.ts';
import { Inspector } from './inspect.ts';
import { openMemoryIndex } from './schema.ts';
import { statementsOf } from './statements.ts';

/** Tables that grow with every payment; those that are scanned besides have a row, or one for each file. */
const WHOLE = /^SCAN (payments|archived|attempts|acts|totals)(?! USING (COVERING )?INDEX (unsettled|held)\b)/;
/** They read a whole table or its last rows, as that is what they are for. */
const MEANT = [/^DELETE FROM \w+$/, /ORDER BY seq DESC LIMIT \?$/];

/** All that is prepared by those who ask the index, but for pragmas. */
function statements(database: DatabaseSync): string[] {
  const found: string[] = [];
  const watched = new Proxy(database, {
    get(target, name) {
      const value = target[name as keyof DatabaseSync];
      if (name !== 'prepare') return typeof value === 'function' ? value.bind(target) : value;
      return (sql: string) => {
        found.push(sql.trim());
        return target.prepare(sql);
      };
    },
  });
  for (const ask of [statementsOf, readingOf, archivingOf]) {
    const each: Readonly<Record<string, unknown>> = ask(watched);
    // It is prepared when it is looked at.
    for (const name in each) assert.ok(each[name] !== undefined);
  }
  new Inspector(watched);
  return found.filter(sql => !sql.startsWith('PRAGMA'));
}

test('no statement of the index reads a whole table of payments', t => {
  const database = openMemoryIndex(new Uint8Array(8));
  t.after(() => database.close());
  const asked = statements(database);
  assert.ok(asked.length > 30, `${asked.length} statements`);
  for (const sql of asked) {
    if (MEANT.some(meant => meant.test(sql))) continue;
    const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[];
    const whole = plan.filter(({ detail }) => WHOLE.test(detail));
    assert.deepEqual(whole, [], `${sql}: ${plan.map(({ detail }) => detail).join('; ')}`);
  }
});
