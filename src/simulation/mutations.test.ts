import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MUTATIONS } from './mutations.ts';
import { simulate, World } from './world.ts';

/** Each planted bug has to be found within so many seeds. */
const SEEDS = 1000;

for (const [bug, mutation] of Object.entries(MUTATIONS)) {
  test(`the simulation finds it if ${bug}`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const world = new World(seed, false, mutation);
      const { violations } = await world.run();
      if (violations.length === 0) continue;
      const { violations: again, trace } = await simulate(seed, mutation);
      assert.deepEqual(again, violations, 'the same seed breaks the same promise');
      assert.ok(trace.length > 0);
      return;
    }
    assert.fail(`not found within ${SEEDS} seeds`);
  });
}
