import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Second } from './scenario.ts';
import { drainingP99 } from './score.ts';

/** Seconds in which so many are answered and so many settled, with a p99. */
function timelineOf(seconds: readonly (readonly [answered: number, done: number, p99: number])[]): Second[] {
  let settled = 0;
  return seconds.map(([answered, done, p99]) => {
    settled += done;
    return { answered, p50: 1, p99, max: p99, settled: [settled, 0] };
  });
}

test('seconds in which a backlog drains are told from quiet ones, and from those in which it grows', () => {
  const timeline = timelineOf([
    [500, 500, 1],
    [500, 490, 3],
    [500, 0, 100],
    [500, 0, 100],
    [500, 1000, 6],
    [500, 1010, 8],
    [500, 500, 2],
  ]);
  assert.deepEqual(drainingP99({ timeline }), { quiet: 2, draining: 7, seconds: 2 });
});
