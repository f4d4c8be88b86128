import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FallRate } from './fall-rate.ts';

/** Of what falls by so much in each second, looked at so often. */
function falling(perSecond: number, everyMs = 100): FallRate {
  const rate = new FallRate();
  for (let ms = 0; ms <= 3000; ms += everyMs) rate.at(ms, (perSecond * ms) / 1000);
  return rate;
}

test('the wait is what is in the way by how fast it falls, in whole seconds', () => {
  for (const [perSecond, amount, seconds] of [
    [100, 1000, 10],
    [100, 1001, 11],
    [1000, 1, 1],
    [1000, 0, 1],
    [1, 1000, 60],
    [0, 5, 60],
    [-100, 5, 60],
  ] as const)
    assert.equal(falling(perSecond).secondsFor(amount), seconds, `${amount} at ${perSecond} a second`);
});

test('before a span is over nothing is known, and clients may ask again soon', () => {
  const rate = new FallRate();
  assert.equal(rate.secondsFor(1000), 1);
  rate.at(0, 0);
  rate.at(900, 9);
  assert.equal(rate.secondsFor(1000), 1);
  rate.at(1000, 10);
  assert.equal(rate.secondsFor(100), 10);
});

test('what was long ago says nothing of now', () => {
  const rate = falling(100);
  rate.at(60_000, 301);
  assert.equal(rate.secondsFor(1000), 1);
  rate.at(61_000, 351);
  assert.equal(rate.secondsFor(1000), 20);
});

test('each span counts anew', () => {
  const rate = falling(1000);
  rate.at(4000, 3100);
  assert.equal(rate.secondsFor(1000), 10);
});
