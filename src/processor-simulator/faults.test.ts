import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chance } from '../domain/random.ts';
import { drawPostFault, FAULTS, NO_FAULTS, POST_FAULTS, readFaults } from './faults.ts';

test('nothing breaks unless it is asked for, and an empty object heals everything', () => {
  assert.ok(FAULTS.every(fault => NO_FAULTS[fault] === 0));
  assert.deepEqual(readFaults({}), NO_FAULTS);
});

test('faults are named with their probabilities and settings', () => {
  const faults = readFaults({ answerLost: 0.1, lateMs: 50, seed: 7 });
  assert.deepEqual(faults, { ...NO_FAULTS, answerLost: 0.1, lateMs: 50, seed: 7 });
});

test('what cannot be is refused with a word on what to mend', () => {
  const refused: [unknown, RegExp][] = [
    [[], /JSON object/],
    [null, /JSON object/],
    [{ explode: 1 }, /unknown fault "explode"; known are answerLost/],
    [{ toString: 1 }, /unknown fault "toString"/],
    [{ hang: 1.5 }, /hang must be a number from 0 to 1/],
    [{ hang: '1' }, /hang must be a number/],
    [{ hang: -0.1 }, /hang must be a number/],
    [{ lateMs: 1e9 }, /lateMs must be a number from 0 to 600000/],
    [{ hang: 0.6, garbage: 0.6 }, /add up to 1.2/],
  ];
  for (const [value, problem] of refused) assert.match(String(readFaults(value)), problem);
});

test('each fault befalls its share of the payments, one at a time', () => {
  const share = 1 / POST_FAULTS.length;
  const faults = readFaults(Object.fromEntries(POST_FAULTS.map(fault => [fault, share])));
  assert.ok(typeof faults === 'object');
  const next = chance(3);
  const counts = new Map<string | undefined, number>();
  const draws = 100_000;
  for (let draw = 0; draw < draws; draw++) {
    const fault = drawPostFault(faults, next);
    counts.set(fault, (counts.get(fault) ?? 0) + 1);
  }
  for (const fault of POST_FAULTS) {
    const seen = counts.get(fault)! / draws;
    assert.ok(Math.abs(seen - share) < share / 10, `${fault}: ${seen}`);
  }
});
