import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { published } from '../testing/snapshots.ts';
import { Counters } from './counters.ts';
import { DamageLog } from './damage-log.ts';
import { renderMetrics } from './prometheus.ts';

test('each damaged or lost part of the log is one error and counted, a write that was cut short a warning', async () => {
  const lines: string[] = [];
  const damage = new DamageLog(
    pino({ formatters: { level: label => ({ level: label }) } }, { write: line => lines.push(line) }),
  );
  const where = { segment: 3, from: 40, to: 90, records: 2, keptAs: 'log/damaged/0000000003-40-90' };
  damage.found({ is: 'damaged', ...where });
  damage.found({ is: 'lost', ...where });
  damage.found({ is: 'torn', ...where });
  const seen = lines.map(line => JSON.parse(line));
  assert.deepEqual(
    seen.map(({ level, segment, records, keptAs }) => [level, segment, records, keptAs]),
    ['error', 'error', 'warn'].map(level => [level, 3, 2, where.keptAs]),
  );
  const figures = published(new Counters(), { logDamaged: damage.count });
  const text = await renderMetrics([{ name: 'a', alive: true, unsettled: 0, figures }], {
    health: [],
    checker: '',
  });
  assert.match(text, /^soquete_log_damaged_total\{instance="a"\} 2$/m);
});
