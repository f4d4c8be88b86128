import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DrainRate } from './drain-rate.ts';

/**
 * Starts in the second from `startMs` on, asked for each millisecond, with `perSecond` acceptances evenly
 * spread.
 */
function startsInASecond(drainRate: DrainRate, perSecond: number, startMs: number): number {
  let starts = 0;
  for (let ms = 0; ms < 1000; ms++) {
    const nowMs = startMs + ms;
    const due = Math.floor(((ms + 1) * perSecond) / 1000) - Math.floor((ms * perSecond) / 1000);
    for (let payment = 0; payment < due; payment++) drainRate.accepted(nowMs);
    for (let asked = 0; asked < 100 && drainRate.take(nowMs); asked++) starts += 1;
  }
  return starts;
}

const within = (value: number, low: number, high: number): void =>
  assert.ok(value >= low && value <= high, `${value} is not within ${low} and ${high}`);

test('where nothing comes in there is no limit', () => {
  assert.equal(startsInASecond(new DrainRate(), 0, 0), 100_000);
});

test('a trickle of payments leaves a backlog 500 starts a second', () => {
  const drainRate = new DrainRate();
  startsInASecond(drainRate, 100, 0);
  within(startsInASecond(drainRate, 100, 1000), 490, 530);
});

test('under load a backlog shrinks at four times the rate of acceptance', () => {
  const drainRate = new DrainRate();
  startsInASecond(drainRate, 1000, 0);
  within(startsInASecond(drainRate, 1000, 1000), 3900, 4100);
});

test('when acceptances end, so does the limit, within half a second', () => {
  const drainRate = new DrainRate();
  startsInASecond(drainRate, 1000, 0);
  startsInASecond(drainRate, 0, 1000);
  assert.equal(startsInASecond(drainRate, 0, 2000), 100_000);
});

test('a refused start says when to ask again', () => {
  const drainRate = new DrainRate();
  startsInASecond(drainRate, 100, 0);
  while (drainRate.take(1000));
  const { nextAtMs } = drainRate;
  within(nextAtMs, 1001, 1003);
  assert.equal(drainRate.take(nextAtMs), true);
});

test('starts that are asked for in steps are as many, however far the steps are apart', () => {
  for (const stepMs of [20, 100]) {
    const drainRate = new DrainRate();
    startsInASecond(drainRate, 100, 0);
    let starts = 0;
    // Each by a timer that is 2 ms late.
    for (let nowMs = 1000; nowMs < 2000; nowMs += stepMs + 2) {
      for (let payments = 0; payments < (stepMs + 2) / 10; payments++) drainRate.accepted(nowMs);
      while (drainRate.take(nowMs, stepMs)) starts += 1;
    }
    within(starts, 440, 560);
  }
});
