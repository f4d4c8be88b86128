import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MUTATIONS } from './mutations.ts';
import { KINDS } from './plan.ts';
import { PLANTED_BUGS } from './planted-bugs.ts';

const COUNTS = {
  kinds: KINDS.length,
  pairs: (KINDS.length * (KINDS.length - 1)) / 2,
  bugs: Object.keys(MUTATIONS).length + Object.keys(PLANTED_BUGS).length,
};

/** What the documents say of the simulation, by the words around the number. */
const SAID: readonly (readonly [page: string, words: RegExp, what: keyof typeof COUNTS])[] = [
  ['decisions.md', /fail in ([\d,]+) ways/, 'kinds'],
  ['decisions.md', /of ([\d,]+) pairs of faults/, 'pairs'],
  ['decisions.md', /Of ([\d,]+) bugs planted/, 'bugs'],
  ['benchmarks.md', /worlds, ([\d,]+) kinds of fault/, 'kinds'],
  ['benchmarks.md', /of ([\d,]+) pairs of them/, 'pairs'],
  ['benchmarks.md', /planted in the simulation on purpose: found, of ([\d,]+)/, 'bugs'],
];

for (const [page, words, what] of SAID)
  test(`docs/${page} has the simulation's number of ${what}`, () => {
    const text = readFileSync(join(import.meta.dirname, '../../docs', page), 'utf8');
    const said = words.exec(text.replaceAll(/\s+/g, ' '))?.[1];
    assert.ok(said !== undefined, `${words} is not there`);
    assert.equal(Number(said.replaceAll(',', '')), COUNTS[what]);
  });
