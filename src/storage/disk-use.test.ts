import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DiskUse, daysUntilFull } from './disk-use.ts';

const MINUTE_MS = 60_000;
const DAY = 24 * 60;

test('days are left for as long as the disk fills as it did, and none are said of a moment', () => {
  const look = (minute: number, lastingBytes: number) => ({ atMs: minute * MINUTE_MS, lastingBytes });
  assert.equal(daysUntilFull([], 100), null);
  assert.equal(daysUntilFull([look(0, 0), look(9, 1000)], 100), null);
  assert.equal(daysUntilFull([look(0, 1000), look(20, 1020)], 3 * DAY), 3);
  assert.equal(daysUntilFull([look(0, 1000), look(20, 900)], 3 * DAY), null);
});

test('the index, the log and the archive are counted', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-disk-'));
  t.after(() => rmSync(directory, { recursive: true }));
  let nowMs = 0;
  const use = new DiskUse(directory, { monotonicMs: () => nowMs });
  assert.equal((await use.figures()).usedBytes, 0);
  for (const folder of ['log', 'archive']) mkdirSync(join(directory, folder));
  for (const file of ['payments.db', 'payments.db-wal', 'log/1', 'archive/a', 'archive/b'])
    writeFileSync(join(directory, file), 'x'.repeat(10));
  assert.equal((await use.figures()).usedBytes, 0, 'not looked at again at once');
  nowMs = 10_000;
  const { usedBytes, freeBytes } = await use.figures();
  assert.deepEqual([usedBytes, freeBytes > 0], [50, true]);
});
