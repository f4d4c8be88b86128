import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT, FALLBACK, PINNED, SENT, SETTLED, WAITING } from './payment.ts';
import {
  after,
  afterAsking,
  destination,
  heldPauseMaxMs,
  heldPauseMs,
  isHeldDue,
  type Permits,
  type Policy,
  pauseMs,
  recovered,
  triesAfterRefusal,
  triesAfterSending,
} from './settlement.ts';

const policy: Policy = { defaultAttempts: 5, backoffMinMs: 100, backoffMaxMs: 1000, fallbackAfterMs: 30_000 };
const allWork: Permits = { default: true, fallback: true, defaultWorks: true, fallbackHasRoom: true };
const defaultFails: Permits = { ...allWork, default: false, defaultWorks: false };
const waiting = (tries: number) => ({ state: WAITING, processor: DEFAULT, tries }) as const;

test('a refusal frees a payment, silence pins it, and no later refusal lifts the pin', () => {
  assert.equal(after('not processed', false), WAITING);
  assert.equal(after('unknown', false), PINNED);
  assert.equal(after('not processed', true), PINNED);
  assert.equal(after('unknown', true), PINNED);
  assert.equal(after('processed', true), SETTLED);
});

test('what was being sent when the process died is pinned, what was not is free', () => {
  assert.equal(recovered(SENT), PINNED);
  assert.equal(recovered(PINNED), PINNED);
  assert.equal(recovered(WAITING), WAITING);
});

test('an uncertain payment goes on as it was only if neither processor has it, and both have said so', () => {
  const [has, hasNot] = ['has it', 'does not have it'] as const;
  assert.deepEqual(afterAsking([hasNot, hasNot], undefined), { is: 'as it was' });
  for (const doubt of ['no answer', 'has another amount'] as const) {
    for (const said of [[doubt, hasNot] as const, [hasNot, doubt] as const, [doubt, doubt] as const])
      assert.equal(afterAsking(said, FALLBACK).is, 'uncertain');
    const { by, isDouble } = afterAsking([doubt, has], undefined) as { by: number; isDouble: boolean };
    assert.deepEqual([by, isDouble], [FALLBACK, doubt === 'has another amount']);
  }
  for (const [pinnedTo, by] of [
    [undefined, DEFAULT],
    [FALLBACK, FALLBACK],
  ] as const)
    assert.deepEqual(afterAsking([has, has], pinnedTo), { is: 'settled', by, isDouble: true });
  assert.deepEqual(afterAsking([hasNot, has], DEFAULT), { is: 'settled', by: FALLBACK, isDouble: false });
});

test('another amount is for a person, whether the other processor answers or not', () => {
  const [other, silent] = ['has another amount', 'no answer'] as const;
  for (const said of [[other, silent] as const, [silent, other] as const])
    assert.deepEqual(afterAsking(said, undefined), { is: 'uncertain', because: 'another amount' });
  assert.deepEqual(afterAsking([silent, 'does not have it'], undefined), {
    is: 'uncertain',
    because: silent,
  });
});

test('a pinned payment goes to its processor or nowhere', () => {
  for (const processor of [DEFAULT, FALLBACK] as const) {
    const pinned = { state: PINNED, processor, tries: 5 } as const;
    assert.equal(destination(pinned, Infinity, allWork, policy), processor);
    const closed = { ...allWork, [processor === DEFAULT ? 'default' : 'fallback']: false };
    assert.equal(destination(pinned, Infinity, closed, policy), undefined);
  }
});

test('five attempts on default, then one on fallback, then a new round', () => {
  let tries = 0;
  const went: number[] = [];
  for (let attempt = 0; attempt < 13; attempt++) {
    const to = destination(waiting(tries), 0, allWork, policy);
    assert.notEqual(to, undefined);
    went.push(to!);
    tries = triesAfterRefusal(to!, triesAfterSending(to!, tries));
  }
  assert.deepEqual(went, [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0]);
});

test('while default fails a payment waits, and takes fallback only after its deadline', () => {
  assert.equal(destination(waiting(0), 29_999, defaultFails, policy), undefined);
  assert.equal(destination(waiting(0), 30_000, defaultFails, policy), FALLBACK);
});

test('a default that works and is full is waited for no longer', () => {
  const full = { ...allWork, default: false };
  assert.equal(destination(waiting(0), 29_999, full, policy), undefined);
  assert.equal(destination(waiting(0), 30_000, full, policy), FALLBACK);
  assert.equal(destination(waiting(0), 30_000, { ...full, fallback: false }, policy), undefined);
});

test('however long a payment has waited, default has it if it can', () => {
  assert.equal(destination(waiting(0), Infinity, allWork, policy), DEFAULT);
});

test('a fallback that is down holds nobody up once default works again', () => {
  const fallbackFails = { ...allWork, fallback: false };
  assert.equal(destination(waiting(5), 0, fallbackFails, policy), FALLBACK);
  assert.equal(destination(waiting(5), 0, { ...fallbackFails, fallbackHasRoom: false }, policy), undefined);
  assert.equal(destination(waiting(5), 0, { ...defaultFails, fallback: false }, policy), undefined);
});

test('pauses double between their bounds, and chance spreads them over their upper half', () => {
  assert.equal(pauseMs(1, 1, policy), 100);
  assert.equal(pauseMs(1, 0, policy), 50);
  assert.equal(pauseMs(3, 1, policy), 400);
  assert.equal(pauseMs(5, 1, policy), 1000);
  assert.equal(pauseMs(4000, 0, policy), 500);
});

test('a held payment is left alone for half as long as it has waited, within bounds', () => {
  assert.deepEqual(
    [0, 60_000, 600_000, 7_200_000, 1e12].map(waitedMs => heldPauseMs(waitedMs, 1)),
    [30_000, 30_000, 300_000, 3_600_000, 3_600_000],
  );
  assert.deepEqual([heldPauseMs(0, 0), heldPauseMs(600_000, 0)], [15_000, 150_000]);
});

test('a held payment is due when its pause is over, or was begun by a clock that was ahead', () => {
  const nowMs = 1e12;
  assert.deepEqual(
    [nowMs, nowMs + 1, nowMs + heldPauseMaxMs, nowMs + heldPauseMaxMs + 1, Infinity].map(retryAtMs =>
      isHeldDue(retryAtMs, nowMs),
    ),
    [true, false, false, true, false],
  );
});
