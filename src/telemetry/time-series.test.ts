import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT } from '../domain/payment.ts';
import { POST } from '../http/request.ts';
import { published } from '../testing/snapshots.ts';
import { Counters } from './counters.ts';
import type { InstanceSeen } from './snapshot.ts';
import { TimeSeries } from './time-series.ts';

const START_MS = 1_800_000_000_000;

function seen(name: string, figures: Counters, atMs: number, unsettled = 0): InstanceSeen {
  return { name, alive: true, unsettled, figures: published(figures, { atMs }) };
}

function accept(figures: Counters, count: number): void {
  for (let number = 0; number < count; number++) {
    figures.accepted();
    figures.answered(POST, 1, 202, 0.15);
    figures.settled(DEFAULT, 100, 3);
  }
}

test('rates are per second of each instance’s own figures, and add up', () => {
  const timeline = new TimeSeries();
  const [one, two] = [new Counters(), new Counters()];
  timeline.sample([seen('one', one, START_MS), seen('two', two, START_MS + 100)], START_MS + 200);
  assert.deepEqual(timeline.since(0), [], 'nothing to compare with yet');
  accept(one, 10);
  accept(two, 30);
  timeline.sample(
    [seen('one', one, START_MS + 500, 4), seen('two', two, START_MS + 1600, 1)],
    START_MS + 1700,
  );
  const [sample] = timeline.since(0);
  assert.deepEqual(
    [sample?.accepted, sample?.default, sample?.fallback, sample?.waiting],
    [20 + 20, 40, 0, 5],
  );
  assert.deepEqual(
    sample?.answerMs.map(ms => ms !== null && ms > 0.1 && ms <= 0.2),
    [true, true],
  );
});

test('unchanged figures keep their rate, and old ones do not count', () => {
  const timeline = new TimeSeries();
  const one = new Counters();
  timeline.sample([seen('one', one, START_MS)], START_MS);
  accept(one, 10);
  for (const laterMs of [1000, 2000, 10_000]) {
    timeline.sample([seen('one', one, START_MS + 1000)], START_MS + laterMs);
  }
  assert.deepEqual(
    timeline.since(0).map(({ accepted }) => accepted),
    [10, 10, 0],
  );
  assert.equal(timeline.since(START_MS + 2000).length, 1);
});

test('a restart is no negative rate', () => {
  const timeline = new TimeSeries();
  const before = new Counters();
  accept(before, 100);
  timeline.sample([seen('one', before, START_MS)], START_MS);
  const figures = published(new Counters(), { atMs: START_MS + 1000 });
  const restarted = { ...figures, runtime: { ...figures.runtime, startSeconds: START_MS / 1000 } };
  timeline.sample([{ name: 'one', alive: true, unsettled: 0, figures: restarted }], START_MS + 1000);
  assert.equal(timeline.since(0)[0]?.accepted, 0);
});
