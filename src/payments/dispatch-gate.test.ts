import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify } from '../domain/outcome.ts';
import { DEFAULT, FALLBACK, type ProcessorIndex } from '../domain/payment.ts';
import { LIMIT_MIN } from '../processors/adaptive-limit.ts';
import { CIRCUIT_BREAKER_POLICY, CircuitBreaker } from '../processors/circuit-breaker.ts';
import { DispatchGate, TURN_BUDGET_MS } from './dispatch-gate.ts';

const FALLBACK_AFTER_MS = 1000;

interface GateStand {
  readonly gate: DispatchGate;
  readonly breakers: readonly [CircuitBreaker, CircuitBreaker];
  /** What `permits` says of each processor. */
  permits(nowMs?: number): readonly [boolean, boolean];
  /** Attempts take places on `to` as long as it is permitted; how many did. */
  fill(to: ProcessorIndex, nowMs?: number): number;
  /** An attempt takes a place, ends so, and gives it back. */
  attempt(to: ProcessorIndex, status: number, nowMs: number, restMs?: number): void;
}

function gateStand(concurrency = 16): GateStand {
  const breakers = [new CircuitBreaker(), new CircuitBreaker()] as const;
  const gate = new DispatchGate(concurrency, breakers, FALLBACK_AFTER_MS);
  const stand: GateStand = {
    gate,
    breakers,
    permits(nowMs = 0) {
      const permits = gate.permits(nowMs);
      return [permits.default, permits.fallback];
    },
    fill(to, nowMs = 0) {
      let taken = 0;
      for (; stand.permits(nowMs)[to] && taken < 1000; taken++) gate.took(to);
      return taken;
    },
    attempt(to, status, nowMs, restMs = 0) {
      const isProbe = gate.took(to);
      gate.learn(to, classify({ status }), { durationMs: 1, restMs, isProbe }, nowMs);
      gate.left(to);
    },
  };
  return stand;
}

/** Lets default's circuit open, the last failure being at `nowMs`. */
function breakDefault({ gate, attempt, breakers }: GateStand, nowMs: number): void {
  gate.permits(nowMs);
  for (let failures = 0; breakers[DEFAULT].circuit !== 'open'; failures++) {
    assert.ok(failures < 100);
    attempt(DEFAULT, 500, nowMs);
  }
}

test('each processor has as many places as there may be, whatever the other has at work', () => {
  const { gate, fill, permits } = gateStand(16);
  assert.equal(fill(DEFAULT), 16);
  assert.deepEqual(permits(), [false, true]);
  assert.equal(fill(FALLBACK), 16);
  assert.equal(gate.atWork, 32);
  assert.deepEqual(permits(), [false, false]);
  assert.equal(gate.permits(0).fallbackHasRoom, false);
  gate.left(FALLBACK);
  assert.deepEqual(permits(), [false, true]);
});

test('a look-up takes a place as an attempt does', () => {
  const { gate, permits } = gateStand(1);
  gate.tookLookUp(DEFAULT);
  assert.equal(gate.atWork, 1);
  assert.deepEqual(permits(), [false, true]);
  gate.left(DEFAULT);
  assert.deepEqual(permits(), [true, true]);
});

/** As many answers of default as make a round of its limit, `durationMs` after the attempts left. */
function round({ gate }: GateStand, status: number, durationMs: number, nowMs: number): void {
  for (let answers = 0; answers < LIMIT_MIN; answers++) {
    gate.learn(DEFAULT, classify({ status }), { durationMs, restMs: 0, isProbe: false }, nowMs);
  }
}

test('a processor that has all its places taken, and is no slower for it, may have more', () => {
  const stand = gateStand(800);
  assert.equal(stand.fill(DEFAULT), LIMIT_MIN);
  round(stand, 200, 100, 100);
  assert.equal(stand.fill(DEFAULT, 100), LIMIT_MIN);
});

test('one whose places were never all taken may not', () => {
  const stand = gateStand(800);
  stand.gate.took(DEFAULT);
  round(stand, 200, 100, 100);
  assert.equal(stand.fill(DEFAULT, 100), LIMIT_MIN - 1);
});

test('an attempt that was refused leaves no room for more, and 429 less', () => {
  for (const [status, limit] of [
    [500, LIMIT_MIN],
    [429, LIMIT_MIN / 2],
    [503, LIMIT_MIN / 2],
  ] as const) {
    const stand = gateStand(800);
    stand.fill(DEFAULT);
    stand.gate.learn(DEFAULT, classify({ status }), { durationMs: 1, restMs: 0, isProbe: false }, 1);
    for (let left = 0; left < LIMIT_MIN; left++) stand.gate.left(DEFAULT);
    assert.equal(stand.fill(DEFAULT, 1), limit, `${status}`);
  }
});

test('while default has room or its circuit is open, any number may wait for it', () => {
  const stand = gateStand();
  stand.attempt(DEFAULT, 200, 0);
  assert.equal(stand.gate.turnsInTime(0), Infinity);
  stand.fill(DEFAULT);
  assert.notEqual(stand.gate.turnsInTime(0), Infinity);
  breakDefault(stand, 0);
  assert.equal(stand.gate.turnsInTime(0), Infinity);
});

test('nothing leaves to a processor whose circuit is open, nor does it count as working', () => {
  const stand = gateStand();
  assert.equal(stand.gate.permits(0).defaultWorks, true);
  breakDefault(stand, 100);
  assert.deepEqual(stand.permits(100), [false, true]);
  assert.equal(stand.gate.permits(100).defaultWorks, false);
  assert.equal(stand.gate.atWork, 0);
});

test('a default that has all its places taken still counts as working', () => {
  const { gate, fill } = gateStand();
  fill(DEFAULT);
  assert.equal(gate.permits(0).default, false);
  assert.equal(gate.permits(0).defaultWorks, true);
});

test('that fallback has room is so whatever its circuit says', () => {
  const { gate, breakers } = gateStand();
  breakers[FALLBACK].reported(true, 0);
  assert.equal(gate.permits(0).fallback, false);
  assert.equal(gate.permits(0).fallbackHasRoom, true);
});

test('while nothing is held back, an event has to come first', () => {
  assert.equal(gateStand().gate.nextAtMs(0), Infinity);
});

test('an open circuit is worth another look at its probe, which is the only one to leave then', () => {
  const stand = gateStand();
  breakDefault(stand, 100);
  const probeAtMs = 100 + CIRCUIT_BREAKER_POLICY.probeMinMs;
  assert.equal(stand.gate.nextAtMs(100), probeAtMs);
  assert.deepEqual(stand.permits(probeAtMs - 1), [false, true]);
  assert.deepEqual(stand.permits(probeAtMs), [true, true]);
  assert.equal(stand.gate.took(DEFAULT), true);
  assert.deepEqual(stand.permits(probeAtMs), [false, true]);
  assert.equal(stand.gate.nextAtMs(probeAtMs), Infinity);
});

test('of two circuits that are open, the one that probes first is looked at first', () => {
  for (const first of [DEFAULT, FALLBACK] as const) {
    const { gate, breakers } = gateStand();
    breakers[first].reported(true, 0);
    breakers[first === DEFAULT ? FALLBACK : DEFAULT].reported(true, 50);
    assert.equal(gate.nextAtMs(50), CIRCUIT_BREAKER_POLICY.probeMinMs);
  }
});

test('a processor that asked for a rest has it, and works all the same', () => {
  const { gate, attempt, permits, breakers } = gateStand();
  attempt(DEFAULT, 429, 100, 700);
  assert.equal(breakers[DEFAULT].circuit, 'closed');
  assert.deepEqual(permits(799), [false, true]);
  assert.equal(gate.permits(799).defaultWorks, true);
  assert.equal(gate.nextAtMs(100), 800);
  assert.deepEqual(permits(800), [true, true]);
});

test('a probe that succeeds closes the circuit', () => {
  const stand = gateStand();
  breakDefault(stand, 0);
  const probeAtMs = stand.gate.nextAtMs(0);
  stand.gate.permits(probeAtMs);
  stand.attempt(DEFAULT, 200, probeAtMs);
  assert.equal(stand.breakers[DEFAULT].circuit, 'closed');
});

test('a probe that was never sent leaves the circuit to the next one', () => {
  const stand = gateStand();
  breakDefault(stand, 0);
  const probeAtMs = stand.gate.nextAtMs(0);
  stand.gate.permits(probeAtMs);
  const isProbe = stand.gate.took(DEFAULT);
  assert.equal(isProbe, true);
  stand.gate.abandoned(DEFAULT, isProbe);
  assert.equal(stand.gate.atWork, 0);
  assert.deepEqual(stand.permits(probeAtMs), [true, true]);
  assert.equal(stand.gate.took(DEFAULT), true);
});

test('an attempt that was never sent, and was no probe, leaves the probe that is on its way alone', () => {
  const stand = gateStand();
  stand.gate.took(DEFAULT);
  breakDefault(stand, 0);
  const probeAtMs = stand.gate.nextAtMs(0);
  stand.gate.permits(probeAtMs);
  assert.equal(stand.gate.took(DEFAULT), true);
  stand.gate.abandoned(DEFAULT, false);
  assert.deepEqual(stand.permits(probeAtMs), [false, true]);
});

test('a gate that is closed leaves circuits that another one can use, though the end of a probe goes unnoticed', () => {
  const stand = gateStand();
  breakDefault(stand, 0);
  const probeAtMs = stand.gate.nextAtMs(0);
  stand.gate.permits(probeAtMs);
  stand.gate.took(DEFAULT);
  stand.gate.close();
  const next = new DispatchGate(16, stand.breakers, FALLBACK_AFTER_MS);
  assert.equal(next.permits(probeAtMs).default, true);
  assert.equal(next.took(DEFAULT), true);
});

test('while payments come in, starts are held back to a rate, and worth another try when it allows one', () => {
  const { gate } = gateStand();
  for (let nowMs = 0; nowMs < 600; nowMs++) gate.accepted(nowMs);
  let starts = 0;
  while (gate.mayStart(600) && starts < 10_000) starts += 1;
  assert.ok(starts > 0 && starts < 10_000);
  const nextMs = gate.nextAtMs(600);
  assert.ok(nextMs > 600 && nextMs < 700, `next at ${nextMs}`);
  assert.equal(gate.mayStart(nextMs), true);
  assert.equal(gate.nextAtMs(nextMs), Infinity);
});

test('what the rate held back in an earlier turn is asked anew', () => {
  const { gate } = gateStand();
  for (let nowMs = 0; nowMs < 600; nowMs++) gate.accepted(nowMs);
  while (gate.mayStart(600));
  assert.notEqual(gate.nextAtMs(600), Infinity);
  gate.beginTurn(600);
  assert.equal(gate.nextAtMs(600), Infinity);
});

const inSteps = (): DispatchGate =>
  new DispatchGate(16, [new CircuitBreaker(), new CircuitBreaker()], FALLBACK_AFTER_MS, true);

test('attempts that start in steps: the others wait for the next one, unless some are left of this one', () => {
  const gate = inSteps();
  assert.equal(gate.mayStart(0), true);
  assert.equal(gate.mayStart(9), true, 'one is left of this step');
  gate.foundNone(true);
  assert.equal(gate.mayStart(14), false);
  assert.equal(gate.nextAtMs(14), 20);
  gate.beginTurn(15);
  assert.equal(gate.nextAtMs(15), Infinity, 'nothing waits, as far as this turn knows');
  assert.equal(gate.mayStart(20), true);
});

test('what the rate held back waits for the next step as well', () => {
  const gate = inSteps();
  for (let nowMs = 0; nowMs < 600; nowMs++) gate.accepted(nowMs);
  while (gate.mayStart(600));
  assert.equal(gate.nextAtMs(600), 620);
  assert.equal(gate.mayStart(610), false);
  assert.equal(gate.mayStart(620), true);
});

test('steps follow how long default takes to settle a payment', () => {
  const gate = inSteps();
  const settled = classify({ status: 200 });
  const after = (durationMs: number, at: ProcessorIndex, nowMs: number): number => {
    gate.took(at);
    gate.learn(at, settled, { durationMs, restMs: 0, isProbe: false }, nowMs);
    gate.left(at);
    gate.mayStart(nowMs);
    gate.foundNone(true);
    gate.mayStart(nowMs + 5);
    return gate.nextAtMs(nowMs + 5) - nowMs;
  };
  assert.equal(after(1000, DEFAULT, 10_000), 50);
  assert.equal(after(1, FALLBACK, 20_000), 50);
  assert.equal(after(1, DEFAULT, 30_000), 20);
});

test('a turn has a budget of time, and each turn its own', () => {
  const { gate } = gateStand();
  assert.equal(gate.hasTime(0), false, 'no turn has begun');
  gate.beginTurn(10);
  assert.equal(gate.hasTime(10), true);
  assert.equal(gate.hasTime(10 + TURN_BUDGET_MS / 2), true);
  assert.equal(gate.hasTime(10 + TURN_BUDGET_MS), false);
  gate.beginTurn(20);
  assert.equal(gate.hasTime(20), true);
});

test('a place that nobody had cannot be given back', () => {
  const { gate } = gateStand();
  gate.took(DEFAULT);
  assert.throws(() => gate.left(FALLBACK), /did not have/);
  gate.left(DEFAULT);
  assert.throws(() => gate.left(DEFAULT), /did not have/);
});
