import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SENT } from '../domain/payment.ts';
import type { Processors } from '../processors/port.ts';
import { storeStand } from '../testing/store-stand.ts';
import { workerOn } from '../testing/worker-stand.ts';

const answersNever = { post() {}, find() {}, health() {} };
/** Of a store to which a batch is a round trip. */
const GATHERS_MS = 6;

test('a payment that comes in as the store becomes free has its intent in its own row', () => {
  const stand = storeStand(64, GATHERS_MS);
  const { loop, pool, writes } = stand;
  const worker = workerOn({ ...stand, processors: answersNever });
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

/** When each of six payments is sent that come 6 ms apart, in ms after the first. */
function sentAtMs(gathersMs?: number): readonly number[] {
  const stand = storeStand(64, gathersMs);
  const { loop, clock } = stand;
  const beganMs = clock.monotonicMs();
  const sent: number[] = [];
  const post = (): void => void sent.push(Math.round(clock.monotonicMs() - beganMs));
  const worker = workerOn({ ...stand, processors: { ...answersNever, post } });
  for (let number = 0; number < 6; number++) {
    loop.after(number * 6, undefined, () => {
      worker.enter(stand.add(number + 1));
      worker.write();
    });
  }
  stand.pass(60);
  worker.close();
  return sent;
}

test('attempts of payments that come some milliseconds apart start together', () => {
  assert.deepEqual(sentAtMs(), [0, 20, 20, 20, 40, 40]);
});

test('where a batch is a round trip, none waits for others: its intent is in the row of its payment', () => {
  assert.deepEqual(sentAtMs(GATHERS_MS), [0, 6, 12, 18, 24, 30]);
});

test('a place at a slow default is taken with the next step, not as soon as it is free', () => {
  const stand = storeStand();
  const { loop, clock } = stand;
  const beganMs = clock.monotonicMs();
  const sent: number[] = [];
  const post: Processors['post'] = (_processor, _request, reply) => {
    sent.push(Math.floor(clock.monotonicMs() - beganMs));
    loop.after(2000, undefined, () => reply({ status: 200 }));
  };
  const policy = { defaultAttempts: 5, backoffMinMs: 1, backoffMaxMs: 2, fallbackAfterMs: 60_000 };
  const worker = workerOn({ ...stand, processors: { ...answersNever, post }, concurrency: 2, policy });
  for (const [index, atMs] of [0, 50, 60, 60].entries()) {
    loop.after(atMs, undefined, () => {
      worker.enter(stand.add(index + 1));
      worker.write();
    });
  }
  stand.pass(3000);
  worker.close();
  assert.deepEqual(sent, [0, 50, 2000, 2100]);
});
