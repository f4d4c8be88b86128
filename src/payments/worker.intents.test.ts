import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SENT } from '../domain/payment.ts';
import { storeStand } from '../testing/store-stand.ts';
import { workerOn } from '../testing/worker-stand.ts';

test('a payment that comes in as the store becomes free has its intent in its own row', () => {
  const stand = storeStand();
  const { loop, pool, writes } = stand;
  const nothing = (): void => {};
  const worker = workerOn({ ...stand, processors: { post: nothing, find: nothing, health: nothing } });
  stand.storeMs = 5;
  // Before the answer in the same turn; what the turn brought in is written at its end.
  loop.after(10, undefined, () => worker.enter(stand.add(2)));
  worker.enter(stand.add(1));
  worker.write();
  stand.pass(30);
  worker.close();
  const states = writes.map(({ rows }) => rows.map(({ kind, state }) => `${kind} ${state}`).join(', '));
  assert.deepEqual(states, [`INSERT ${SENT}`, `INSERT ${SENT}`]);
  assert.equal(pool.size, 2);
});
