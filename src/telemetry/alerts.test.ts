/** The alert rules in docs/: they are valid, they fire when they should, and they use metrics that exist. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEFAULT } from '../domain/payment.ts';
import { POST } from '../http/request.ts';
import { published } from '../testing/snapshots.ts';
import { Counters } from './counters.ts';
import { renderMetrics } from './prometheus.ts';

const docs = join(import.meta.dirname, '../../docs');
const rules = readFileSync(join(docs, 'alerts.yml'), 'utf8');
const operating = readFileSync(join(docs, 'operating.md'), 'utf8');

test('every alert uses metrics that exist', async () => {
  const figures = new Counters();
  figures.answered(POST, 1, 202, 1);
  figures.attempted(DEFAULT, 'processed');
  const side = { count: 0, cents: 0, theirs: null, differenceCents: 0, differenceCount: 0 };
  const books = { fromMs: 0, toMs: 0, atMs: 0, sides: [side, side] } as const;
  const disk = { freeBytes: 2, reserveBytes: 1 };
  const health = [0, 1].map(() => ({ failing: false, minResponseMs: 0 }));
  const text = await renderMetrics(
    [{ name: 'backend-1', alive: true, unsettled: 0, figures: published(figures, { books, disk }) }],
    { health, checker: '' },
    [0, 1, 0, 0],
  );
  const asked = rules.match(/\b(?:soquete|http_server)_\w+/g) ?? [];
  assert.ok(asked.length > 10);
  for (const name of asked) assert.ok(text.includes(`\n${name}{`), `${name} does not exist`);
});

test('every alert is explained', () => {
  for (const [, name] of rules.matchAll(/alert: (\w+)/g)) {
    assert.ok(operating.includes(`\`${name}\``), `${name} is not in docs/operating.md`);
  }
});

const skip = spawnSync('promtool', ['--version']).status !== 0 && 'promtool is not installed';
for (const args of [
  ['check', 'rules', 'alerts.yml'],
  ['test', 'rules', 'alerts.test.yml'],
]) {
  test(`promtool ${args.join(' ')}`, { skip }, () => {
    const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: docs, encoding: 'utf8' });
    assert.equal(status, 0, `${stdout}${stderr}`);
  });
}
