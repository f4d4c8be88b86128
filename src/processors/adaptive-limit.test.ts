import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AdaptiveLimit, LIMIT_MIN } from './adaptive-limit.ts';

/** Answers that each take what `durationMs` says at the present limit, all places taken. */
function answers(
  limit: AdaptiveLimit,
  count: number,
  durationMs: (atWork: number) => number,
  startMs = 0,
): number {
  let nowMs = startMs;
  for (let answer = 0; answer < count; answer++) {
    const atWork = limit.value;
    const took = durationMs(atWork);
    nowMs += took / atWork;
    limit.answered(took, atWork, nowMs);
  }
  return nowMs;
}

test('a processor that takes its time gets as many attempts as are allowed', () => {
  const limit = new AdaptiveLimit(256);
  answers(limit, 2000, () => 100);
  assert.equal(limit.value, 256);
});

test('a processor that answers one after the other gets no more than the least', () => {
  const limit = new AdaptiveLimit(256);
  limit.answered(1, 1, 0);
  answers(limit, 2000, atWork => atWork);
  assert.ok(limit.value < LIMIT_MIN * 2, `${limit.value}`);
});

test('places that are not used are not added to', () => {
  const limit = new AdaptiveLimit(256);
  for (let answer = 0; answer < 1000; answer++) limit.answered(100, 3, answer * 30);
  assert.equal(limit.value, LIMIT_MIN);
});

test('a processor that became slower for good is believed after a window or two', () => {
  const limit = new AdaptiveLimit(256);
  const nowMs = answers(limit, 500, () => 20);
  const value = limit.value;
  const laterMs = answers(limit, 300, () => 1000, nowMs);
  assert.ok(limit.value <= value);
  answers(limit, 3000, () => 1000, laterMs);
  assert.equal(limit.value, 256);
});

test('what is allowed is never exceeded, however little it is', () => {
  const limit = new AdaptiveLimit(1);
  answers(limit, 100, () => 100);
  assert.equal(limit.value, 1);
});
