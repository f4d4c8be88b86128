import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnswerRing } from './answer-ring.ts';
import { afterCommit, json } from './response.ts';

/** The numbers that the places were pushed with, in the order in which the answers leave. */
function drain(ring: AnswerRing): number[] {
  const kinds: number[] = [];
  for (; ring.size > 0; ring.shift()) kinds.push(ring.first.kind);
  return kinds;
}

test('places keep their order and stay the same objects when the ring grows anywhere', () => {
  for (let before = 0; before < 8; before++) {
    const ring = new AnswerRing();
    for (let at = 0; at < before; at++) {
      ring.push(0, '', at, 0);
      ring.shift();
    }
    const owed = Array.from({ length: 20 }, (_, at) => ring.push(0, '', at, 0));
    assert.equal(ring.first, owed[0]);
    assert.equal(ring.last, owed[19]);
    assert.deepEqual(
      owed.map(({ kind }) => kind),
      Array.from({ length: 20 }, (_, at) => at),
    );
    assert.deepEqual(
      drain(ring),
      owed.map((_, at) => at),
    );
  }
});

test('a place that is used again has nothing of its last request', () => {
  const ring = new AnswerRing();
  const answer = json(200, '1');
  const first = ring.push(8, 'id', 1, 5);
  ring.settle(first, answer, 1, 0);
  assert.equal(first.isReady, true);
  ring.shift();
  for (let at = 0; at < 3; at++) {
    ring.push(0, '', 0, 0);
    ring.shift();
  }
  const again = ring.push(0, '', 2, 6);
  assert.equal(again, first);
  const { isReady, answer: none, wish, requestId, kind, startedMs } = again;
  assert.deepEqual([isReady, none, wish, requestId, kind, startedMs], [false, undefined, 0, '', 2, 6]);
});

test('a commit decides about the answers that wait for it, and about no others', () => {
  const ring = new AnswerRing();
  const lost = json(503, 'lost');
  const pay = afterCommit(202, lost);
  const owed = [1, 2, 1].map(batch => {
    const place = ring.push(0, '', 0, 0);
    ring.settle(place, pay, batch, 0);
    return place;
  });
  const promised = ring.push(0, '', 0, 0);
  ring.decide(1, false);
  assert.deepEqual(
    [...owed, promised].map(({ isReady }) => isReady),
    [true, false, true, false],
  );
  ring.decide(2, true);
  assert.deepEqual(
    owed.map(({ answer }) => answer),
    [lost, pay, lost],
  );
});

test('by places: each answer that waits gives way to its own, or to none', () => {
  const ring = new AnswerRing();
  const lost = json(503, 'lost');
  const conflict = json(409, 'conflict');
  const pay = afterCommit(202, lost);
  const owed = [0, 1, 2].map(place => {
    const one = ring.push(0, '', 0, 0);
    ring.settle(one, pay, 1, place);
    return one;
  });
  const later = ring.push(0, '', 0, 0);
  ring.settle(later, pay, 2, 1);
  const asked: number[] = [];
  ring.decide(1, place => {
    asked.push(place);
    return [undefined, conflict, lost][place];
  });
  assert.deepEqual(asked, [0, 1, 2]);
  assert.deepEqual(
    owed.map(({ answer }) => answer),
    [pay, conflict, lost],
  );
  assert.equal(later.isReady, false, 'the same place of another commit');
});

test('places are those of the turn: answers that do not wait for the commit have none', () => {
  const ring = new AnswerRing();
  const look = ring.push(0, '', 0, 0);
  ring.settle(look, json(200, '1'), 1, 0);
  const owed = ring.push(0, '', 0, 0);
  ring.settle(owed, afterCommit(202, json(503, 'lost')), 1, 0);
  const conflict = json(409, 'conflict');
  ring.decide(1, () => conflict);
  assert.deepEqual([look.answer?.status, owed.answer], [200, conflict]);
});
