import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AttemptResult, OUTCOMES } from '../domain/outcome.ts';
import {
  CLOSED,
  DEFAULT,
  FALLBACK,
  HELD_AMOUNT,
  PINNED,
  type ProcessorIndex,
  SENT,
  SETTLED,
  WAITING,
} from '../domain/payment.ts';
import { StoreFault } from '../storage/ports.ts';
import { type AttemptsStand, attemptsStand, BACKOFF_MIN_MS } from '../testing/attempts-stand.ts';
import type { BatchRow } from '../testing/store-stand.ts';

const kindsOf = (rows: readonly BatchRow[]): string => rows.map(({ kind }) => kind).join(' ');

/** The attempt has ended: its place is free, and it pauses until then. */
function pausesUntil({ gate, retries }: AttemptsStand): number {
  assert.equal(gate.atWork, 0);
  assert.notEqual(retries.nextAtMs, Infinity);
  return retries.nextAtMs;
}

const TIMED_OUT: AttemptResult = { sent: true, because: 'timed out' };

/** A payment whose first attempt, on `to`, ended without an answer, and which has paused. */
function pinned(stand: AttemptsStand, to: ProcessorIndex = DEFAULT): number {
  const slot = stand.stored(1);
  stand.found = { is: 'absent' };
  stand.attempt(slot, to, TIMED_OUT);
  assert.equal(stand.pool.state[slot], PINNED);
  stand.pass(500);
  assert.equal(stand.retries.takeDue(stand.clock.monotonicMs()), slot);
  stand.events.length = 0;
  stand.lookedUp.length = 0;
  stand.found = undefined;
  return slot;
}

test('a request leaves once the store has its intent, and says what that says', () => {
  const stand = attemptsStand();
  const slot = stand.stored(1);
  stand.fault = call => (call === 'write' ? new StoreFault('busy', 'not now') : undefined);
  assert.deepEqual(kindsOf(stand.attempt(slot, DEFAULT, { status: 200 })), 'MARK');
  assert.equal(stand.pool.state[slot], SENT);
  assert.equal(stand.gate.atWork, 1);
  assert.equal(stand.sent.length, 0);
  stand.fault = () => undefined;
  stand.pass(500);
  const [intent] = stand.writes[0]!.rows;
  const { state, processor, attempts, tries, requestedAtMs } = intent!;
  assert.deepEqual([state, processor, attempts, tries], [SENT, DEFAULT, 1, 1]);
  const [{ to, request }] = stand.sent as [(typeof stand.sent)[0]];
  assert.equal(to, DEFAULT);
  assert.equal(request.correlationId, '00000001-0000-0000-0000-000000000007');
  assert.equal(request.cents, 1990);
  assert.equal(request.requestedAtMs, requestedAtMs);
});

test('after a refusal the next attempt says when it was requested itself', () => {
  const stand = attemptsStand();
  const slot = stand.stored(1);
  stand.attempt(slot, DEFAULT, { status: 500 });
  stand.pass(1000);
  stand.attempt(slot, DEFAULT, { status: 500 });
  stand.pass(1000);
  stand.attempt(slot, FALLBACK, { status: 500 });
  const [first, second, third] = stand.sent.map(({ request }) => request.requestedAtMs);
  assert.ok(second! >= first! + 1000 && third! >= second! + 1000, `${first} ${second} ${third}`);
});

test('the intent of an attempt on another processor than the last one has to be on the disk', () => {
  const stand = attemptsStand();
  const slot = stand.stored(1);
  const flushed = [DEFAULT, DEFAULT, FALLBACK, FALLBACK, DEFAULT].map(to => {
    const before = stand.writes.length;
    stand.attempt(slot, to as ProcessorIndex, { status: 500 });
    return stand.writes[before]!.isFlushed;
  });
  assert.deepEqual(flushed, [false, false, true, false, true]);
});

test('processed: it is settled as it was requested, and its place and its slot are free', () => {
  const stand = attemptsStand();
  const slot = stand.stored(1);
  const rows = stand.attempt(slot, FALLBACK, { status: 200 });
  assert.equal(kindsOf(rows), 'MARK SETTLE');
  const { state, cents, processor, requestedAtMs } = rows[1]!;
  assert.deepEqual([state, cents, processor], [SETTLED, 1990, FALLBACK]);
  assert.equal(requestedAtMs, stand.sent[0]!.request.requestedAtMs);
  assert.equal(stand.gate.atWork, 0);
  assert.equal(stand.retries.nextAtMs, Infinity);
  assert.equal(stand.pool.size, 0);
  assert.equal(stand.events[0], 'processed on 1');
  assert.match(stand.events[1]!, /^settled 1990 on 1 after \d/);
  assert.equal([...stand.state.payments.values()][0]!.state, SETTLED);
});

for (const [name, answer] of [
  ['failed', { status: 500 }],
  ['rejected', { status: 400 }],
  ['not connected', { sent: false, because: 'reset' }],
] as const) {
  test(`refused (${name}): it waits for another attempt, and pauses`, () => {
    const stand = attemptsStand();
    const slot = stand.stored(1);
    const startedMs = stand.loop.nowMs;
    const rows = stand.attempt(slot, DEFAULT, answer);
    assert.equal(kindsOf(rows), 'MARK ATTEMPT');
    const end = rows[1]!;
    assert.equal(OUTCOMES[end.state], name);
    assert.deepEqual([end.next, end.attempts, end.tries], [WAITING, 1, 1]);
    assert.equal(stand.pool.state[slot], WAITING);
    assert.ok(pausesUntil(stand) >= startedMs + BACKOFF_MIN_MS / 2);
    assert.equal(stand.pool.failures[slot], 1);
    assert.deepEqual(stand.events, [`${name} on 0`]);
    assert.deepEqual(stand.lookedUp, []);
  });
}

test('refused by fallback: a new round begins', () => {
  const stand = attemptsStand();
  const slot = stand.stored(1);
  stand.pool.tries[slot] = 5;
  const rows = stand.attempt(slot, FALLBACK, { status: 500 });
  assert.deepEqual([rows[0]!.tries, rows[1]!.tries], [5, 0]);
  assert.equal(stand.pool.tries[slot], 0);
});

test('overloaded: payment and processor rest as long as it asked, and its circuit stays closed', () => {
  const stand = attemptsStand();
  const slot = stand.stored(1);
  const startedMs = stand.loop.nowMs;
  const rows = stand.attempt(slot, DEFAULT, { status: 429, retryAfterMs: 700 });
  assert.equal(kindsOf(rows), 'MARK ATTEMPT');
  assert.equal(OUTCOMES[rows[1]!.state], 'overloaded');
  const overAtMs = pausesUntil(stand);
  assert.ok(overAtMs > startedMs + 700);
  assert.equal(stand.gate.permits(overAtMs - 1).default, false);
  assert.equal(stand.gate.permits(overAtMs).default, true);
  assert.equal(stand.breakers[DEFAULT].circuit, 'closed');
});

test('overloaded without saying for how long: the processor rests all the same', () => {
  for (const answer of [{ status: 429 }, { status: 429, retryAfterMs: 0 }]) {
    const stand = attemptsStand();
    stand.attempt(stand.stored(1), DEFAULT, answer);
    const { askAgainAtMs } = stand.breakers[DEFAULT];
    assert.ok(askAgainAtMs > 0);
    assert.equal(stand.gate.permits(askAgainAtMs - 0.5).default, false);
  }
});

for (const [name, answer] of [
  ['timed out', TIMED_OUT],
  ['reset', { sent: true, because: 'reset' }],
  ['garbage', { sent: true, because: 'garbage' }],
  ['gateway', { status: 504 }],
  ['gateway', { status: 409 }],
  ['unavailable', { status: 503 }],
  ['foreign', { status: 200, isForeign: true }],
] as const) {
  test(`unknown (${name}): it is pinned, and looked up; that nothing is there proves nothing`, () => {
    const stand = attemptsStand();
    stand.found = { is: 'absent' };
    const slot = stand.stored(1);
    const rows = stand.attempt(slot, DEFAULT, answer);
    assert.equal(kindsOf(rows), 'MARK ATTEMPT');
    assert.equal(rows[0]!.state, SENT);
    assert.equal(OUTCOMES[rows[1]!.state], name);
    assert.equal(rows[1]!.next, PINNED);
    assert.equal(stand.pool.state[slot], PINNED);
    pausesUntil(stand);
    assert.deepEqual(stand.lookedUp, ['00000001 at 0']);
  });
}

test('unavailable for a time: processor and payment rest for so long, and nothing is looked up', () => {
  const stand = attemptsStand();
  const slot = stand.stored(1);
  const startedMs = stand.loop.nowMs;
  stand.attempt(slot, DEFAULT, { status: 503, retryAfterMs: 700 });
  assert.equal(stand.pool.state[slot], PINNED);
  assert.ok(pausesUntil(stand) >= startedMs + 700);
  assert.equal(stand.gate.permits(startedMs + 699).default, false);
  assert.deepEqual(stand.lookedUp, []);
});

test('refusals of a payment neither open the circuit nor take its probe', () => {
  const stand = attemptsStand();
  for (let number = 1; number <= 30; number++) stand.attempt(stand.stored(number), DEFAULT, { status: 400 });
  assert.equal(stand.breakers[DEFAULT].circuit, 'closed');
  for (let number = 31; number <= 50; number++) stand.attempt(stand.stored(number), DEFAULT, { status: 500 });
  stand.pass(1000);
  assert.equal(stand.gate.permits(stand.loop.nowMs).default, true);
  stand.attempt(stand.stored(60), DEFAULT, { status: 400 });
  assert.deepEqual(
    [stand.breakers[DEFAULT].circuit, stand.breakers[DEFAULT].isProbing],
    ['half-open', false],
  );
  assert.equal(stand.gate.permits(stand.loop.nowMs).default, true, 'the next one may be the probe');
});

for (const [name, answer] of [
  ['already processed', { status: 422 }],
  ['timed out', TIMED_OUT],
] as const) {
  test(`${name}, and the processor has another amount: it is held, and never settled with either`, () => {
    const stand = attemptsStand();
    const slot = stand.stored(1);
    stand.found = { is: 'there', requestedAtMs: 1_783_684_800_123, cents: 999_999 };
    const rows = stand.attempt(slot, DEFAULT, answer);
    assert.equal(kindsOf(rows), 'MARK ATTEMPT HOLD');
    const [payment] = stand.state.payments.values();
    assert.deepEqual([payment!.state, payment!.held], [PINNED, HELD_AMOUNT]);
    assert.ok(payment!.retryAtMs > stand.clock.wallMs());
    assert.equal(stand.events.at(-1), '999999 cents on 0');
    assert.equal(stand.pool.size, 0);
    assert.equal(stand.retries.nextAtMs, Infinity);
    assert.equal(stand.gate.atWork, 0);
  });
}

test('a pinned payment is sent again with the same instant, without another intent', () => {
  const stand = attemptsStand();
  const slot = pinned(stand, FALLBACK);
  const rows = stand.attempt(slot, FALLBACK, { status: 200 });
  assert.equal(kindsOf(rows), 'SETTLE');
  const [first, second] = stand.sent;
  assert.equal(second!.to, FALLBACK);
  assert.equal(second!.request.requestedAtMs, first!.request.requestedAtMs);
  assert.equal(rows[0]!.requestedAtMs, first!.request.requestedAtMs);
  assert.equal(rows[0]!.attempts, 2);
  assert.equal(stand.gate.atWork, 0);
});

test('a pinned payment that an operator has closed is let go after its next attempt', () => {
  const stand = attemptsStand();
  const slot = pinned(stand);
  const [payment] = stand.state.payments.values();
  payment!.state = CLOSED;
  stand.found = { is: 'absent' };
  stand.attempt(slot, DEFAULT, TIMED_OUT);
  const sent = stand.sent.length;
  stand.pass(500);
  assert.equal(stand.retries.takeDue(stand.clock.monotonicMs()), slot);
  stand.attempts.start(slot, DEFAULT);
  stand.pass(500);
  assert.deepEqual([stand.pool.size, stand.sent.length, stand.gate.atWork], [0, sent, 0]);
});

test('a pinned payment that is refused stays pinned: that speaks of the later request only', () => {
  const stand = attemptsStand();
  const slot = pinned(stand);
  const rows = stand.attempt(slot, DEFAULT, { status: 500 });
  assert.equal(kindsOf(rows), 'ATTEMPT');
  assert.equal(rows[0]!.next, PINNED);
  assert.equal(stand.pool.state[slot], PINNED);
  assert.deepEqual(stand.lookedUp, []);
  pausesUntil(stand);
});

for (const [name, again, answer] of [
  ['already processed', false, { status: 422 }],
  ['timed out', true, TIMED_OUT],
] as const) {
  const when = again ? `unknown again (${name})` : name;
  const stood = (): { stand: AttemptsStand; slot: number } => {
    const stand = attemptsStand();
    return { stand, slot: again ? pinned(stand) : stand.stored(1) };
  };

  test(`${when}: where the processor shows the payment, it is settled as it was recorded there`, () => {
    const { stand, slot } = stood();
    stand.found = { is: 'there', requestedAtMs: 1_783_684_800_123, cents: 1990 };
    const rows = stand.attempt(slot, DEFAULT, answer);
    assert.equal(kindsOf(rows), again ? 'ATTEMPT SETTLE' : 'MARK SETTLE');
    assert.equal(rows.at(-1)!.requestedAtMs, 1_783_684_800_123);
    assert.deepEqual(stand.lookedUp, ['00000001 at 0']);
    assert.equal(stand.gate.atWork, 0);
    assert.equal(stand.pool.size, 0);
  });

  for (const is of ['absent', 'unavailable'] as const) {
    test(`${when}: that the processor's record is ${is} proves nothing, so it stays pinned`, () => {
      const { stand, slot } = stood();
      stand.found = { is };
      const rows = stand.attempt(slot, DEFAULT, answer);
      assert.equal(kindsOf(rows), again ? 'ATTEMPT' : 'MARK ATTEMPT');
      assert.equal(OUTCOMES[rows.at(-1)!.state], name);
      assert.equal(rows.at(-1)!.next, PINNED);
      assert.equal(stand.pool.state[slot], PINNED);
      pausesUntil(stand);
      assert.deepEqual(stand.events, [`${name} on 0`]);
    });
  }

  test(`${when}: the look-up has a place at work`, () => {
    const { stand, slot } = stood();
    stand.attempt(slot, DEFAULT, answer);
    assert.equal(stand.lookedUp.length, 1);
    assert.equal(stand.gate.atWork, 1);
    assert.equal(stand.retries.nextAtMs, Infinity);
  });

  test(`${when}: what a look-up shows of an earlier tenant of the slot is not booked`, () => {
    const { stand, slot } = stood();
    stand.found = { is: 'there', requestedAtMs: 1_783_684_800_123, cents: 1990 };
    stand.send(slot, DEFAULT, answer);
    stand.awaitLookUp();
    stand.pool.free(slot);
    assert.equal(stand.add(2), slot);
    const writes = stand.writes.length;
    stand.pass(200);
    assert.equal(stand.writes.length, writes);
    assert.equal(stand.pool.state[slot], WAITING);
    assert.equal(stand.gate.atWork, 0);
  });
}
