import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Outlook } from './outlook.ts';

/** 64 at work, 2 s for each: 32 a second. */
const AT_WORK = 64;
const DURATION_MS = 2000;

function outlook(fallbackAfterMs: number): Outlook {
  const seen = new Outlook(fallbackAfterMs);
  seen.answered(DURATION_MS);
  return seen;
}

/** From one instant to another so many payments come in a second, and default is seen to be full. */
function come(seen: Outlook, perSecond: number, fromMs: number, toMs: number): number {
  let turns = Infinity;
  for (let nowMs = fromMs; nowMs < toMs; nowMs += 1000 / perSecond) {
    seen.accepted(nowMs);
    turns = seen.turnsInTime(AT_WORK, Infinity, nowMs);
  }
  return turns;
}

test('as many may wait as have their turn within the time, by what is at work and what an attempt takes', () => {
  assert.equal(outlook(10_000).turnsInTime(AT_WORK, Infinity, 0), 320);
  assert.equal(outlook(500).turnsInTime(AT_WORK, Infinity, 0), 16);
  assert.equal(outlook(0).turnsInTime(AT_WORK, Infinity, 0), 0);
});

test('no more than a backlog may drain', () => {
  assert.equal(outlook(10_000).turnsInTime(AT_WORK, 0.01, 0), 100);
});

test('of a default that has not answered yet nothing is foreseen', () => {
  assert.equal(new Outlook(1000).turnsInTime(AT_WORK, Infinity, 0), Infinity);
});

test('another duration is believed after some answers, not after one', () => {
  const seen = outlook(10_000);
  seen.answered(100);
  assert.ok(seen.turnsInTime(AT_WORK, Infinity, 0) < 350);
  for (let count = 0; count < 500; count++) seen.answered(100);
  assert.ok(Math.abs(seen.turnsInTime(AT_WORK, Infinity, 0) / 6400 - 1) < 0.05);
});

test('a default that delivers less than comes in is left only as many as keep it busy, after a while', () => {
  const seen = outlook(10_000);
  assert.equal(come(seen, 48, 0, 5000), 320);
  assert.equal(come(seen, 48, 5000, 12_000), 3.2);
  const hasty = outlook(50);
  come(hasty, 48, 0, 12_000);
  assert.equal(come(hasty, 48, 12_000, 13_000), 1.6);
});

test('one that delivers more than comes in may have its backlog, however long it takes', () => {
  assert.equal(come(outlook(10_000), 24, 0, 60_000), 320);
});

test('a burst is waited for, and so is one after the other', () => {
  const seen = outlook(10_000);
  for (let atMs = 0; atMs < 60_000; atMs += 10_000) {
    assert.equal(come(seen, 48, atMs, atMs + 4000), 320);
    come(seen, 10, atMs + 4000, atMs + 10_000);
  }
});

test('a default that had room meanwhile has to be outpaced anew', () => {
  const seen = outlook(10_000);
  assert.equal(come(seen, 48, 0, 12_000), 3.2);
  for (let nowMs = 12_000; nowMs < 14_000; nowMs += 20) seen.accepted(nowMs);
  assert.equal(come(seen, 48, 14_000, 18_000), 320);
});
