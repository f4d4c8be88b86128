import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Coverage } from './coverage.ts';
import { KINDS, type Kind } from './plan.ts';
import type { Report } from './report.ts';

const world = (...kinds: readonly Kind[]): Report => ({
  ...{ seed: 1, violations: [], virtualMs: 0, events: 0, settledInMs: 0, settled: 0, trace: [] },
  met: new Map(kinds.map(kind => [kind, 1])),
});

test('a tally says how many pairs of faults were met in one world, which never were, and which rarely', () => {
  const tally = new Coverage();
  for (const kind of KINDS) tally.add(world(kind));
  const all = (KINDS.length * (KINDS.length - 1)) / 2;
  assert.match(tally.pairs, new RegExp(`^pairs of faults met 0 of ${all}; never: (\\w+\\+\\w+, ){20}`));
  assert.match(tally.pairs, new RegExp(`, ${all - 20} others$`));
  tally.add(world(...KINDS.filter(kind => kind !== 'crash')));
  tally.add(world(...KINDS.filter(kind => kind !== 'pause' && kind !== 'purge')));
  assert.equal(
    tally.pairs,
    `pairs of faults met ${all - 2} of ${all}; never: crash+pause, crash+purge; the rarest, crash+crashAtStart, in 1 seeds`,
  );
  tally.add(world(...KINDS));
  assert.match(
    tally.pairs,
    new RegExp(`^pairs of faults met ${all} of ${all}; the rarest, crash\\+pause, in 1 `),
  );
});
