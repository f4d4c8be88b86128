import assert from 'node:assert/strict';
import { test } from 'node:test';
import { worldWith } from '../testing/planting.ts';
import { MUTATIONS } from './mutations.ts';
import { PLANTED_BUGS } from './planted-bugs.ts';
import * as world from './world.ts';

/** Each planted bug has to be found within so many seeds. */
const SEEDS = 300;

async function find({ World, simulate }: typeof world, mutation: world.Mutation): Promise<void> {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violations } = await new World(seed, false, mutation).run();
    if (violations.length === 0) continue;
    const { violations: again, trace } = await simulate(seed, mutation);
    assert.deepEqual(again, violations, 'the same seed breaks the same promise');
    assert.ok(trace.length > 0);
    return;
  }
  assert.fail(`not found within ${SEEDS} seeds`);
}

for (const [bug, mutation] of Object.entries(MUTATIONS))
  test(`the simulation finds it if ${bug}`, () => find(world, mutation));

for (const [name, { bug, plan }] of Object.entries(PLANTED_BUGS))
  test(`the simulation finds it if ${name}`, async () => find(await worldWith([bug]), { plan }));
