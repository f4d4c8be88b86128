import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatchPace } from './batch-pace.ts';

/** `rowsPerMs` come evenly: how many each batch has that leaves then, and how long it waited. */
function batches(rowsPerMs: number, longestMs: number): { rows: number[]; waitsMs: number[] } {
  const pace = new BatchPace(longestMs);
  const found = { rows: [] as number[], waitsMs: [] as number[] };
  let [rows, sinceMs] = [0, 0];
  for (let ms = 0; ms < 1500; ms += 0.25) {
    const came = Math.floor((ms + 0.25) * rowsPerMs) - Math.floor(ms * rowsPerMs);
    if (rows === 0) sinceMs = ms;
    rows += came;
    if (rows === 0 || pace.waitMs(ms, rows) > 0) continue;
    pace.sent(ms, rows);
    if (ms > 600) {
      found.rows.push(rows);
      found.waitsMs.push(ms - sinceMs);
    }
    rows = 0;
  }
  return found;
}

test('a row that comes alone leaves at once', () => {
  const { rows, waitsMs } = batches(1, 6);
  assert.ok(rows.length > 350);
  assert.equal(Math.max(...waitsMs), 0);
});

test('under load rows leave together, and none waits longer than a step', () => {
  const { rows, waitsMs } = batches(3, 6);
  assert.ok(Math.min(...rows) >= 17, String(rows));
  assert.ok(Math.max(...waitsMs) <= 6);
});

test('the more rows come, the shorter is a step', () => {
  const { rows, waitsMs } = batches(16, 6);
  assert.ok(Math.min(...rows) >= 28 && Math.max(...rows) <= 40, String(rows));
  assert.ok(Math.max(...waitsMs) <= 2.25);
});

test('clients that all wait for their answers are not made to wait for each other', () => {
  const pace = new BatchPace(6);
  let nowMs = 0;
  // Eight that send again as soon as they have their answers, which takes half a millisecond.
  const delaysMs = Array.from({ length: 2000 }, () => {
    const cameAtMs = nowMs;
    for (let waitMs = pace.waitMs(nowMs, 8); waitMs > 0; waitMs = pace.waitMs(nowMs, 8)) nowMs += waitMs;
    pace.sent(nowMs, 8);
    const delayMs = nowMs - cameAtMs;
    nowMs += 0.5;
    return delayMs;
  });
  assert.equal(Math.max(...delaysMs), 1);
});

test('after a pause a row leaves at once, however many came before', () => {
  const pace = new BatchPace(6);
  for (let ms = 0; ms < 600; ms += 2) {
    pace.waitMs(ms, 32);
    pace.sent(ms, 32);
  }
  assert.ok(pace.waitMs(599, 1) > 0, 'it is under load');
  assert.equal(pace.waitMs(2000, 1), 0);
});

test('settlements are due after two steps, or once they are a good batch by themselves', () => {
  const pace = new BatchPace(6);
  assert.equal(pace.settledWaitMs(0, 1), 12);
  assert.equal(pace.settledWaitMs(11, 31), 1);
  assert.equal(pace.settledWaitMs(20, 1), 0);
  assert.equal(pace.settledWaitMs(0, 32), 0);
});
