/** A short script on a virtual clock: the figures are the same on every machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { playVirtually } from './fees/virtual-scenario.ts';
import { PREVIEW, type Script } from './rinha/stages.ts';

/** Default answers for a second, fails for four, and answers again for five. */
const SCRIPT: Script = {
  ...PREVIEW,
  seconds: 10,
  users: 60,
  stages: [
    { ...PREVIEW.stages[2]!, atSeconds: 1 },
    { ...PREVIEW.stages[0]!, atSeconds: 5 },
  ],
};
const play = (fallbackAfterMs: number) =>
  playVirtually(SCRIPT, {
    policy: { defaultAttempts: 5, backoffMinMs: 100, backoffMaxMs: 2000, fallbackAfterMs },
    concurrency: 32,
  });

test('who waits long enough pays the least, and who does not wait pays for all while default fails', () => {
  const [patient, hasty] = [play(30_000), play(0)];
  assert.equal(patient.accepted, 330);
  assert.deepEqual(patient.settled, [330, 0]);
  assert.equal(patient.ofBest, 1);
  assert.equal(hasty.settled[0] + hasty.settled[1], 330);
  assert.ok(hasty.settled[1] > 50, `${hasty.settled}`);
  assert.ok(hasty.ofBest < patient.ofBest && hasty.waitedMsMax < patient.waitedMsMax);
});

test('two plays of one script are the same', () => {
  assert.deepEqual(play(500), play(500));
});
