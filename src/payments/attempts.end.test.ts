import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AttemptResult } from '../domain/outcome.ts';
import { DEFAULT, FALLBACK, WAITING } from '../domain/payment.ts';
import { attemptsStand } from '../testing/attempts-stand.ts';
import { NONE, RETIRED } from './payment-pool.ts';

const ANSWERS: readonly AttemptResult[] = [
  { status: 200 },
  { status: 422 },
  { status: 500 },
  { sent: true, because: 'timed out' },
];

test('an answer for an earlier tenant of the slot is not booked, but its place is free', () => {
  for (const answer of ANSWERS) {
    const stand = attemptsStand();
    const slot = stand.stored(1);
    stand.send(slot, DEFAULT, answer);
    stand.pool.free(slot);
    assert.equal(stand.add(2), slot);
    const writes = stand.writes.length;
    stand.pass(200);
    assert.equal(stand.writes.length, writes);
    assert.equal(stand.pool.state[slot], WAITING);
    assert.equal(stand.retries.nextAtMs, Infinity);
    assert.deepEqual(stand.events, []);
    assert.deepEqual(stand.lookedUp, []);
    assert.equal(stand.gate.atWork, 0);
  }
});

test('failures in a row open the circuit, and the attempt that probes it closes it', () => {
  const stand = attemptsStand();
  const { gate, breakers } = stand;
  for (let number = 1; breakers[DEFAULT].circuit === 'closed'; number++) {
    assert.ok(number < 50);
    stand.attempt(stand.stored(number), DEFAULT, { status: 500 });
  }
  stand.pass(1000);
  assert.equal(gate.permits(stand.loop.nowMs).default, true);
  stand.attempt(stand.stored(60), DEFAULT, { status: 500 });
  assert.equal(breakers[DEFAULT].circuit, 'open');
  stand.pass(1000);
  assert.equal(gate.permits(stand.loop.nowMs).default, true);
  stand.attempt(stand.stored(61), DEFAULT, { status: 200 });
  assert.equal(breakers[DEFAULT].circuit, 'closed');
});

test('a payment that turns out to be of another instance does not leave', () => {
  const stand = attemptsStand();
  stand.pool.free(stand.stored(1));
  const [started, waiting] = [stand.add(1), stand.add(2)];
  stand.writer.put(started);
  const rows = stand.attempt(started, DEFAULT, { status: 200 });
  assert.deepEqual(
    rows.map(({ kind }) => kind),
    ['INSERT'],
  );
  assert.equal(stand.pool.find([1, 0, 0, 7]), NONE);
  assert.equal(stand.pool.size, 1);
  assert.equal(stand.gate.atWork, 0);
  assert.deepEqual(stand.sent, []);

  stand.attempts.notOurs(waiting);
  assert.equal(stand.pool.state[waiting], RETIRED);
  assert.equal(stand.pool.find([2, 0, 0, 7]), NONE);
});

test('a probe that does not leave, its payment being of another instance, is left to another one', () => {
  const stand = attemptsStand();
  const { gate, breakers } = stand;
  stand.pool.free(stand.stored(1));
  const slot = stand.add(1);
  stand.writer.put(slot);
  breakers[DEFAULT].reported(true, 0);
  assert.equal(gate.permits(1000).default, true);
  stand.attempt(slot, DEFAULT, { status: 200 });
  assert.deepEqual(stand.sent, []);
  assert.equal(gate.permits(1000).default, true);
});

test('a probe that was sent before attempts were closed does not keep the circuit to itself', () => {
  const stand = attemptsStand();
  const { gate, breakers, attempts } = stand;
  breakers[DEFAULT].reported(true, 0);
  assert.equal(gate.permits(1000).default, true);
  stand.send(stand.stored(1), DEFAULT, { status: 500 });
  assert.equal(gate.permits(1000).default, false);
  attempts.close();
  assert.equal(gate.permits(1000).default, true);
});

test('what has not left when attempts are closed gives its place back, and its probe', () => {
  const stand = attemptsStand();
  const { gate, breakers, attempts } = stand;
  const [leaving, waiting] = [stand.stored(1), stand.stored(2)];
  attempts.start(leaving, FALLBACK);
  stand.writer.submit();
  stand.pass(60);
  assert.equal(stand.sent.length, 1);
  breakers[DEFAULT].reported(true, 0);
  assert.equal(gate.permits(1000).default, true);
  attempts.start(waiting, DEFAULT);
  assert.equal(gate.atWork, 2);
  assert.equal(gate.permits(1000).default, false);
  attempts.close();
  assert.equal(gate.atWork, 1);
  assert.equal(gate.permits(1000).default, true);
});

for (const answer of [{ status: 200 }, { status: 500 }, { status: 422 }]) {
  test(`once attempts are closed, no answer is booked (${answer.status})`, () => {
    const stand = attemptsStand();
    const slot = stand.stored(1);
    stand.found = { is: 'there', requestedAtMs: 1, cents: 1990 };
    stand.send(slot, DEFAULT, answer);
    if (answer.status === 422) stand.awaitLookUp();
    stand.events.length = 0;
    const writes = stand.writes.length;
    const state = stand.pool.state[slot];
    stand.attempts.close();
    stand.pass(500);
    assert.deepEqual(stand.events, []);
    assert.equal(stand.writes.length, writes);
    assert.equal(stand.pool.state[slot], state);
    assert.equal(stand.retries.nextAtMs, Infinity);
  });
}
