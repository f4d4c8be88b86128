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
  first.settle(answer, 1);
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
    place.settle(pay, batch);
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
