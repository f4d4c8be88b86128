import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify } from './outcome.ts';
import { DEFAULT, FALLBACK, type ProcessorIndex } from './payment.ts';
import { isAside, isToBeHeld, suspicionAfter, suspicionInNextRound, UNSUSPECTED } from './suspicion.ts';

const after = (marks: number, to: ProcessorIndex, status: number, isAlone = false): number =>
  suspicionAfter(marks, to, classify({ status }), isAlone);

test('a refusal puts a payment aside; a failure, an overload and a gateway do not', () => {
  for (const status of [400, 401, 404, 451, 409, 425])
    assert.equal(isAside(after(UNSUSPECTED, DEFAULT, status)), true, `${status}`);
  for (const status of [429, 500, 502, 503, 504, 408, 302])
    assert.equal(isAside(after(UNSUSPECTED, DEFAULT, status)), false, `${status}`);
  assert.equal(isAside(after(UNSUSPECTED, DEFAULT, 500, true)), true, 'unless it fails alone');
});

test('a payment that both refused in one round is held', () => {
  const once = after(UNSUSPECTED, DEFAULT, 400);
  assert.equal(isToBeHeld(once), false);
  assert.equal(isToBeHeld(after(once, DEFAULT, 400)), false);
  assert.equal(isToBeHeld(after(once, FALLBACK, 429)), false);
  assert.equal(isToBeHeld(after(once, FALLBACK, 404)), true);
});

test('what one refused in one round, and the other in the next, is not held', () => {
  const next = suspicionInNextRound(after(UNSUSPECTED, DEFAULT, 400));
  assert.equal(isAside(next), true);
  assert.equal(isToBeHeld(after(next, FALLBACK, 400)), false);
});

test('where failures take part, it takes two rounds', () => {
  const round = (marks: number): number => after(after(marks, DEFAULT, 500, true), FALLBACK, 500);
  const first = round(UNSUSPECTED);
  assert.equal(isToBeHeld(first), false);
  assert.equal(isToBeHeld(round(suspicionInNextRound(first))), true);
  const mixed = after(after(UNSUSPECTED, DEFAULT, 400), FALLBACK, 500);
  assert.equal(isToBeHeld(mixed), false);
  assert.equal(isToBeHeld(after(after(suspicionInNextRound(mixed), DEFAULT, 400), FALLBACK, 400)), true);
});
