import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seed } from '../testing/seed.ts';
import { formatInstant, parseInstant } from './instant.ts';

const NOON = Date.UTC(2026, 6, 10, 12, 34, 56);

test('instants are read with and without fraction, with Z and with offsets', () => {
  const instants: Record<string, number> = {
    '2026-07-10T12:34:56.000Z': NOON,
    '2026-07-10T12:34:56Z': NOON,
    '2026-07-10t12:34:56z': NOON,
    '2026-07-10T12:34:56.1Z': NOON + 100,
    '2026-07-10T12:34:56.123456789012345678901234567890Z': NOON + 123,
    '2026-07-10T14:34:56+02:00': NOON,
    '2026-07-10T07:04:56-05:30': NOON,
    '2026-07-10T12:34:56+00:00': NOON,
    '2026-07-10T12:34:56-00:00': NOON,
    '2026-07-11T00:34:56+12:00': NOON,
    '1970-01-01T00:00:00Z': 0,
    '1969-12-31T23:59:59.999Z': -1,
    '2024-02-29T00:00:00Z': Date.UTC(2024, 1, 29),
    '2000-02-29T00:00:00Z': Date.UTC(2000, 1, 29),
    '0001-01-01T00:00:00Z': Date.parse('0001-01-01T00:00:00Z'),
    '0000-03-01T00:00:00Z': Date.parse('0000-03-01T00:00:00Z'),
    '9999-12-31T23:59:59.999Z': Date.parse('9999-12-31T23:59:59.999Z'),
  };
  for (const [text, ms] of Object.entries(instants)) assert.equal(parseInstant(text)?.ms, ms, text);
});

test('what is no instant is refused', () => {
  for (const text of [
    '',
    ' ',
    'now',
    '2026-07-10',
    '2026-07-10T12:34Z',
    '2026-07-10T12:34:56',
    '2026-07-10 12:34:56Z',
    '2026-07-10T12:34:56.Z',
    '2026-07-10T12:34:56,5Z',
    '2026-07-10T24:00:00Z',
    '2026-07-10T12:60:00Z',
    '2026-06-30T23:59:60Z',
    '2026-02-29T00:00:00Z',
    '2100-02-29T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '2026-00-10T00:00:00Z',
    '2026-13-10T00:00:00Z',
    '2026-07-00T00:00:00Z',
    '2026-07-32T00:00:00Z',
    '2026-07-10T12:34:56+0200',
    '2026-07-10T12:34:56+02',
    '2026-07-10T12:34:56+24:00',
    '2026-07-10T12:34:56+02:60',
    '+002026-07-10T12:34:56Z',
    '26-07-10T12:34:56Z',
    '2026-7-10T12:34:56Z',
    '2026-07-10T12:34:56Z ',
    ' 2026-07-10T12:34:56Z',
    '2026-07-10T12:34:56ZZ',
    '2026-07-10T12:34:56.000Z\n',
    '２026-07-10T12:34:56Z',
    '1783686896000',
  ]) {
    assert.equal(parseInstant(text), undefined, text);
  }
});

test(`any instant is written as it is read (SEED=${seed})`, () => {
  const instants = fc.integer({
    min: Date.parse('0000-01-01T00:00:00Z'),
    max: Date.parse('9999-12-31T23:59:59.999Z'),
  });
  fc.assert(
    fc.property(instants, fc.integer({ min: -1439, max: 1439 }), (ms, offset) => {
      assert.equal(formatInstant(ms), new Date(ms).toISOString());
      assert.deepEqual(parseInstant(formatInstant(ms)), { ms, rest: '' });
      const shifted = new Date(ms + offset * 60_000);
      if (shifted.getUTCFullYear() < 0 || shifted.getUTCFullYear() > 9999) return;
      const hours = Math.floor(Math.abs(offset) / 60)
        .toString()
        .padStart(2, '0');
      const minutes = (Math.abs(offset) % 60).toString().padStart(2, '0');
      const text = shifted.toISOString().replace('Z', `${offset < 0 ? '-' : '+'}${hours}:${minutes}`);
      assert.equal(parseInstant(text)?.ms, ms);
    }),
    { numRuns: 1000, seed },
  );
});
