import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CircuitBreaker } from './circuit-breaker.ts';

const policy = { failuresMax: 10, failuresFew: 3, failuresSpanMs: 500, probeMinMs: 250, probeMaxMs: 1000 };

function opened(): CircuitBreaker {
  const breaker = new CircuitBreaker(policy);
  for (let failure = 0; failure < 10; failure++) breaker.failed(0, false);
  return breaker;
}

test('ten failures in a row open the circuit; nine do not, nor do many with a success between', () => {
  const breaker = new CircuitBreaker(policy);
  for (let failure = 0; failure < 9; failure++) breaker.failed(0, false);
  assert.equal(breaker.circuit, 'closed');
  breaker.succeeded();
  for (let failure = 0; failure < 9; failure++) breaker.failed(0, false);
  assert.equal(breaker.circuit, 'closed');
  breaker.failed(0, false);
  assert.equal(breaker.circuit, 'open');
});

test('with little traffic three failures over half a second suffice', () => {
  const breaker = new CircuitBreaker(policy);
  breaker.failed(0, false);
  breaker.failed(499, false);
  breaker.failed(499, false);
  assert.equal(breaker.circuit, 'closed');
  breaker.failed(500, false);
  assert.equal(breaker.circuit, 'open');
});

test('an open circuit lets a single probe through once its pause is over', () => {
  const breaker = opened();
  assert.equal(breaker.allows(249), false);
  assert.equal(breaker.askAgainAtMs, 250);
  assert.equal(breaker.allows(250), true);
  assert.equal(breaker.circuit, 'half-open');
  assert.equal(breaker.start(), true);
  assert.equal(breaker.allows(10_000), false);
  assert.equal(breaker.askAgainAtMs, 0);
});

test('a probe that succeeds closes the circuit', () => {
  const breaker = opened();
  breaker.allows(250);
  breaker.start();
  breaker.succeeded();
  assert.equal(breaker.circuit, 'closed');
  assert.equal(breaker.allows(250), true);
  assert.equal(breaker.start(), false);
});

test('each probe that fails doubles the pause up to its bound', () => {
  const breaker = opened();
  const pauses: number[] = [];
  let nowMs = 0;
  for (let probe = 0; probe < 4; probe++) {
    pauses.push(breaker.askAgainAtMs - nowMs);
    nowMs = breaker.askAgainAtMs;
    assert.equal(breaker.allows(nowMs), true);
    breaker.failed(nowMs, breaker.start());
  }
  assert.deepEqual(pauses, [250, 500, 1000, 1000]);
});

test('an answer to an attempt from before the opening neither probes nor prolongs', () => {
  const breaker = opened();
  breaker.allows(250);
  breaker.start();
  breaker.failed(260, false);
  assert.equal(breaker.circuit, 'half-open');
  assert.equal(breaker.allows(300), false);
});

test('a probe that was never sent makes room for another', () => {
  const breaker = opened();
  breaker.allows(250);
  breaker.abandoned(breaker.start());
  assert.equal(breaker.allows(250), true);
});

test('a bad health report opens, a good one makes half-open at once, though no attempt asks', () => {
  const breaker = new CircuitBreaker(policy);
  breaker.reported(false, 0);
  assert.equal(breaker.circuit, 'closed');
  breaker.reported(true, 0);
  assert.equal(breaker.circuit, 'open');
  breaker.reported(false, 100);
  assert.equal(breaker.circuit, 'half-open');
  assert.equal(breaker.askAgainAtMs, 0);
  assert.equal(breaker.allows(100), true);
});

test('after a good report one probe at a time leaves, and the first success closes', () => {
  const breaker = opened();
  breaker.reported(false, 100);
  assert.equal(breaker.isProbing, false);
  assert.equal(breaker.start(), true);
  assert.equal(breaker.isProbing, true);
  assert.equal(breaker.start(), false);
  breaker.reported(false, 5100);
  assert.equal(breaker.allows(5100), false);
  breaker.succeeded();
  assert.deepEqual([breaker.circuit, breaker.isProbing], ['closed', false]);
});

test('health that lies does not hold back the growing pause', () => {
  const breaker = opened();
  const pauses: number[] = [];
  for (let nowMs = 0; nowMs < 3000; nowMs += 1000) {
    breaker.reported(false, nowMs);
    assert.equal(breaker.circuit, 'half-open');
    breaker.failed(nowMs, breaker.start());
    assert.equal(breaker.circuit, 'open');
    pauses.push(breaker.askAgainAtMs - nowMs);
  }
  assert.deepEqual(pauses, [500, 1000, 1000]);
});

test('a bad report opens a half-open circuit again', () => {
  const breaker = opened();
  breaker.reported(false, 100);
  breaker.reported(true, 1000);
  assert.equal(breaker.circuit, 'open');
  assert.equal(breaker.allows(1249), false);
  assert.equal(breaker.askAgainAtMs, 1250);
});

test('reports while a probe is on its way neither send another nor lose its end', () => {
  const breaker = opened();
  breaker.reported(false, 100);
  breaker.start();
  breaker.reported(true, 200);
  assert.equal(breaker.circuit, 'open');
  assert.equal(breaker.askAgainAtMs, 0, 'the end of the probe comes first');
  assert.equal(breaker.allows(10_000), false);
  breaker.reported(false, 10_000);
  assert.equal(breaker.allows(10_000), false);
  breaker.failed(10_100, true);
  assert.equal(breaker.circuit, 'open');
  assert.equal(breaker.askAgainAtMs, 10_600);
});

test('a probe that finds the processor overloaded leaves the circuit half-open until the rest is over', () => {
  const breaker = opened();
  breaker.reported(false, 100);
  breaker.abandoned(breaker.start());
  breaker.rests(200, 2000);
  assert.equal(breaker.circuit, 'half-open');
  assert.equal(breaker.askAgainAtMs, 2200);
  breaker.reported(false, 1000);
  assert.equal(breaker.allows(2199), false, 'a good report does not shorten the rest');
  assert.equal(breaker.allows(2200), true);
  assert.equal(breaker.start(), true);
});

test('a processor that asks for quiet gets it, without being taken for broken', () => {
  const breaker = new CircuitBreaker(policy);
  breaker.rests(0, 2000);
  assert.equal(breaker.circuit, 'closed');
  assert.equal(breaker.allows(1999), false);
  assert.equal(breaker.askAgainAtMs, 2000);
  assert.equal(breaker.allows(2000), true);
});
