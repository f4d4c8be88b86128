import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StartSteps } from './start-steps.ts';

/** Starts one attempt for each payment as soon as that is allowed; when each of them started. */
function startsOf(comesAtMs: readonly number[], turnMs = 0.25, perTurn = Infinity): readonly number[] {
  const steps = new StartSteps();
  const starts: number[] = [];
  for (let nowMs = 0; starts.length < comesAtMs.length; nowMs += turnMs) {
    const waiting = comesAtMs.filter(atMs => atMs <= nowMs).length - starts.length;
    for (let count = 0; count < Math.min(waiting, perTurn) && steps.isOpen(nowMs); count++) {
      steps.started(nowMs);
      starts.push(nowMs);
    }
    if (starts.length === comesAtMs.filter(atMs => atMs <= nowMs).length) steps.ranEmpty();
  }
  return starts;
}

const every = (periodMs: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => index * periodMs);

test('a payment that comes alone starts at once', () => {
  assert.deepEqual(startsOf(every(20, 5)), [0, 20, 40, 60, 80]);
  assert.deepEqual(startsOf([3, 90, 1000]), [3, 90, 1000]);
});

test('payments that come some milliseconds apart start together', () => {
  assert.deepEqual(startsOf(every(6, 10)), [0, 20, 20, 20, 40, 40, 40, 60, 60, 60]);
});

test('payments that come close together wait for nothing', () => {
  assert.deepEqual(startsOf(every(0.5, 200)), every(0.5, 200));
});

test('a backlog starts turn by turn, however long a turn takes, and leaves no step before it is empty', () => {
  const starts = startsOf(Array<number>(12).fill(0), 5, 2);
  assert.deepEqual(starts, [0, 0, 5, 5, 10, 10, 15, 15, 20, 20, 25, 25]);
});

test('the next step is told, to whoever has to wait for it', () => {
  const steps = new StartSteps();
  assert.equal(steps.isOpen(100), true);
  assert.equal(steps.nextAtMs(100), 100);
  steps.started(100);
  steps.ranEmpty();
  assert.equal(steps.isOpen(104), false);
  assert.equal(steps.nextAtMs(104), 120);
  assert.equal(steps.isOpen(120), true);
});

for (const [answersMs, stepMs] of [
  [1, 20],
  [400, 20],
  [1000, 50],
  [2000, 100],
  [5000, 100],
] as const) {
  test(`with a default that takes ${answersMs} ms there is a step every ${stepMs} ms`, () => {
    const steps = new StartSteps();
    steps.isOpen(0);
    steps.ranEmpty();
    steps.answered(answersMs);
    assert.equal(steps.nextAtMs(10), stepMs);
  });
}

test('where there is no place, each that becomes free is taken at once, unless default is slow', () => {
  const steps = new StartSteps();
  for (const [answersMs, isOpen] of [
    [100, true],
    [2000, false],
  ] as const) {
    steps.answered(answersMs);
    steps.isOpen(1000);
    steps.started(1000);
    steps.foundNoPlace();
    assert.equal(steps.isOpen(1005), isOpen);
  }
});
