import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseWindow } from './query.ts';

const NOON = Date.UTC(2026, 6, 10, 12, 34, 56);

test('a window has inclusive ends, and a missing end is open', () => {
  assert.deepEqual(parseWindow(undefined), { fromMs: -Infinity, toMs: Infinity });
  assert.deepEqual(parseWindow(''), { fromMs: -Infinity, toMs: Infinity });
  assert.deepEqual(parseWindow('x=1&&y'), { fromMs: -Infinity, toMs: Infinity });
  assert.deepEqual(parseWindow('to=2026-07-10T12:34:56Z'), { fromMs: -Infinity, toMs: NOON });
  assert.deepEqual(parseWindow('from=2026-07-10T12:34:56Z&to=2026-07-10T12:34:56Z'), {
    fromMs: NOON,
    toMs: NOON,
  });
});

test('a part of a millisecond belongs to neither neighbour', () => {
  assert.deepEqual(parseWindow('from=2026-07-10T12:34:56.0001Z&to=2026-07-10T12:34:56.0029Z'), {
    fromMs: NOON + 1,
    toMs: NOON + 2,
  });
  assert.deepEqual(parseWindow('from=2026-07-10T12:34:56.00000Z'), { fromMs: NOON, toMs: Infinity });
  // Nothing whole lies between; that is no mistake of the caller's.
  assert.deepEqual(parseWindow('from=2026-07-10T12:34:56.0002Z&to=2026-07-10T12:34:56.0008Z'), {
    fromMs: NOON + 1,
    toMs: NOON,
  });
});

test('names and values are percent-decoded, and a raw plus sign stays one', () => {
  const wanted = { fromMs: NOON, toMs: Infinity };
  assert.deepEqual(parseWindow('from=2026-07-10T14:34:56+02:00'), wanted);
  assert.deepEqual(parseWindow('from=2026-07-10T14%3A34%3a56%2B02:00'), wanted);
  assert.deepEqual(parseWindow('%66rom=2026-07-10T12:34:56Z'), wanted);
  assert.deepEqual(parseWindow('%zz=1&FROM=x&from=2026-07-10T12:34:56Z'), wanted);
});

test('a window that cannot be asked for says what to mend', () => {
  const refused: Record<string, RegExp> = {
    'from=': /Give "from" as/,
    from: /Give "from" as/,
    'to=tomorrow': /Give "to" as/,
    'from=%zz': /Give "from" as/,
    'to=2026-07-10T12:34:56%20Z': /Give "to" as/,
    'from=2026-07-10T12:34:56Z&from=2026-07-10T12:34:56Z': /Give "from" once/,
    'to=2026-07-10T12:34:56Z&%74o=2026-07-10T12:34:56Z': /Give "to" once/,
    'from=2026-07-10T12:34:56.001Z&to=2026-07-10T12:34:56Z': /not after/,
    'from=2026-07-10T12:34:56.00002Z&to=2026-07-10T12:34:56.00001Z': /not after/,
    'from=2026-07-10T12:34:56Z&to=2026-07-10T12:34:56+00:01': /not after/,
  };
  for (const [query, wanted] of Object.entries(refused))
    assert.match(String(parseWindow(query)), wanted, query);
});
