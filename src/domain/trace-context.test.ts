import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seed } from '../testing/seed.ts';
import { readTraceparent, TRACE_WORDS, Traces, traceIdOf } from './trace-context.ts';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const PARENT_ID = 'b7ad6b7169203331';
const FORM = /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$/;

/** What goes on to a processor from a `traceparent` that came in; undefined where it is not valid. */
function passedOn(value: string, chance: () => number = Math.random): string | undefined {
  const trace = new Int32Array(TRACE_WORDS);
  const bytes = Buffer.from(`a${value}b`, 'latin1');
  if (!readTraceparent(bytes, 1, bytes.length - 1, trace)) return undefined;
  const traces = new Traces(4);
  traces.set(3, trace);
  return traces.traceparent(3, chance);
}

/** As the specification has it. */
const VALID = /^(?!ff)(?:00-(?<v0>.{52})|(?!00)[0-9a-f]{2}-(?<later>.{52})(?:-.*)?)$/s;
const PARTS = /^(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

function isValid(value: string): boolean {
  const groups = VALID.exec(value)?.groups;
  return groups !== undefined && PARTS.test(groups['v0'] ?? groups['later']!);
}

test('a trace goes on with its id and flags, and with another parent', () => {
  for (const flags of ['00', '01', '02', '03']) {
    const text = passedOn(`00-${TRACE_ID}-${PARENT_ID}-${flags}`)!;
    assert.match(text, FORM);
    assert.equal(traceIdOf(text), TRACE_ID);
    assert.ok(text.endsWith(`-${flags}`));
    assert.ok(!text.includes(PARENT_ID));
  }
});

test('flags that are not known here go on as 0', () => {
  assert.ok(passedOn(`00-${TRACE_ID}-${PARENT_ID}-fd`)!.endsWith('-01'));
});

test('of a later version what is known of it is read, and it goes on as 00', () => {
  for (const more of ['', '-', '-what-the-future-will-be-like', '- \xe9']) {
    assert.match(passedOn(`cc-${TRACE_ID}-${PARENT_ID}-01${more}`)!, new RegExp(`^00-${TRACE_ID}-.{16}-01$`));
  }
});

test('whatever is not valid is none', () => {
  const good = `00-${TRACE_ID}-${PARENT_ID}-01`;
  const bad = [
    '',
    'none',
    good.slice(1),
    good.slice(0, -1),
    `${good}-`,
    `${good}-00`,
    `${good}.`,
    good.toUpperCase(),
    good.replaceAll('-', '_'),
    good.replace('00-', 'ff-'),
    good.replace('00-', '0-'),
    good.replace('00-', '000-'),
    good.replace('00-', '.0-'),
    good.replace(TRACE_ID, '0'.repeat(32)),
    good.replace(TRACE_ID, `${TRACE_ID.slice(1)}g`),
    good.replace(TRACE_ID, TRACE_ID.slice(1)),
    good.replace(PARENT_ID, '0'.repeat(16)),
    good.replace(PARENT_ID, `${PARENT_ID}0`),
    good.replace(PARENT_ID, `${PARENT_ID.slice(1)} `),
    good.replace('-01', '-0x'),
    `cc-${TRACE_ID}-${PARENT_ID}-01.more`,
    `cc-${TRACE_ID}-${PARENT_ID}-0-1`,
    `${good},${good}`,
  ];
  for (const value of bad) assert.equal(passedOn(value), undefined, value);
});

test(`any text is taken as the specification has it (SEED=${seed})`, () => {
  const digit = fc.constantFrom(...'0123456789abcdef');
  const digits = (length: number) =>
    fc.oneof(
      fc.string({ unit: digit, minLength: length, maxLength: length }),
      fc.constant('0'.repeat(length)),
      fc.constant('f'.repeat(length)),
    );
  const value = fc
    .tuple(digits(2), digits(32), digits(16), digits(2), fc.constantFrom('', '-', '-x', 'x'))
    .map(([version, traceId, parentId, flags, more]) => `${version}-${traceId}-${parentId}-${flags}${more}`);
  const spoiled = fc
    .tuple(value, fc.nat(60), fc.constantFrom('', '0', '-', 'g', 'A', ' ', '\xe9'))
    .map(([text, at, byte]) => text.slice(0, at) + byte + text.slice(at + 1));
  fc.assert(
    fc.property(fc.oneof(value, spoiled), text => {
      assert.equal(passedOn(text) !== undefined, isValid(text));
    }),
    { numRuns: 2000, seed, examples: [[`00-${TRACE_ID}-${PARENT_ID}-01`]] },
  );
});

test('each attempt has a parent-id of its own, which is never all zeros', () => {
  const [lowest, highest] = [0, 1 - 2 ** -53].map(chance => {
    return passedOn(`00-${TRACE_ID}-${PARENT_ID}-01`, () => chance)!;
  });
  assert.equal(lowest, `00-${TRACE_ID}-0000000000000001-01`);
  assert.equal(highest, `00-${TRACE_ID}-ffffffffffffffff-01`);
  const traces = new Traces(1);
  traces.set(0, [1, 2, 3, 4, 0]);
  const texts = Array.from({ length: 100 }, () => traces.traceparent(0, Math.random));
  assert.equal(new Set(texts).size, 100);
});

test('a payment without a trace has none, whoever had its slot before', () => {
  const traces = new Traces(2);
  traces.forget(0);
  assert.equal(traces.traceparent(0, Math.random), undefined);
  traces.set(0, [1, 0, 0, 0, 0]);
  assert.equal(traces.traceparent(1, Math.random), undefined);
  assert.match(traces.traceparent(0, Math.random)!, /^00-00000001000000000000000000000000-/);
  traces.forget(0);
  assert.equal(traces.traceparent(0, Math.random), undefined);
});
