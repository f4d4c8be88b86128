import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz } from './main.ts';
import { compare, compareJson, mismatchOf, readOurs } from './oracles.ts';

test('a short run finds no request and no JSON text that is read in two ways (SEED=1)', async () => {
  const report = await fuzz({ seed: 1, goesOn: inputs => inputs < 4000 });
  assert.deepEqual(report.faults, []);
  assert.ok(report.features > 1000, `only ${report.features} pairs of state and byte were reached`);
});

test('the fuzzer would notice', () => {
  const read = (requests: string[], end = '') => ({ requests, end, output: '' });
  assert.equal(compare(read(['a']), read(['a', 'b']))?.isKnown, false);
  assert.equal(compare(read(['a', 'b']), read(['a'], 'HPE_UNEXPECTED_CONTENT_LENGTH'))?.isKnown, false);
  assert.equal(compare(read(['a']), read(['b']))?.isKnown, false);
  assert.equal(compare(read(['a'], 'hostTwice'), read(['a', 'b']))?.isKnown, true);
  assert.equal(compare(read(['a']), read(['a'])), undefined);
  const one = readOurs([Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')]);
  assert.equal(mismatchOf(one), undefined);
  assert.match(mismatchOf({ ...one, output: one.output.repeat(2) })!, /2 answers to 1 requests/);
  assert.match(mismatchOf({ ...one, output: one.output.replace('200', '500') })!, /500/);
  assert.equal(compareJson(Buffer.from('[1]')), undefined);
});
