import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seed } from '../testing/seed.ts';
import { parseWithDigits, roundedCents, roundsSafely } from './decimal.ts';

test('amounts are rounded to two decimals, half to even, from their digits', () => {
  const examples: [string, bigint][] = [
    ['19.90', 1990n],
    ['19.9', 1990n],
    ['1990e-2', 1990n],
    ['1.99E+1', 1990n],
    ['0.125', 12n],
    ['0.135', 14n],
    ['0.1250000000000000000001', 13n],
    ['2.675', 268n],
    ['2.665', 266n],
    ['0.005', 0n],
    ['0.015', 2n],
    ['-0.015', -2n],
    ['9999999999.99', 999_999_999_999n],
    ['99999999999999999999.99', 9_999_999_999_999_999_999_999n],
    ['0', 0n],
  ];
  for (const [text, cents] of examples) assert.equal(roundedCents(text), cents, text);
});

test('what is no decimal number has no cents', () => {
  for (const text of ['', 'x', '1.', '.5', '1e', '0x10', '1e999', '1e-50', 'NaN', '1,5', ' 1']) {
    assert.equal(roundedCents(text), undefined, text);
  }
});

test(`where a double is trusted, it rounds as the digits do (SEED=${seed})`, () => {
  const anyAmount = fc.tuple(fc.nat(999_999_999), fc.nat(99_999), fc.integer({ min: 0, max: 5 }));
  fc.assert(
    fc.property(anyAmount, ([whole, fraction, places]) => {
      const text = `${whole}.${String(fraction).slice(0, places) || '0'}`;
      const amount = Number(text);
      if (roundsSafely(amount)) assert.equal(BigInt(Math.round(amount * 100)), roundedCents(text), text);
    }),
    { numRuns: 2000, seed },
  );
});

test('an amount with two decimals never needs its digits, one at half a cent always does', () => {
  for (let cents = 1; cents < 1e12; cents = cents * 3 + 1) assert.ok(roundsSafely(cents / 100), `${cents}`);
  for (const amount of [0.125, 2.675, 1e9 + 0.005]) assert.ok(!roundsSafely(amount), `${amount}`);
});

test('numbers of any size are read with all their digits', () => {
  assert.deepEqual(parseWithDigits('{"a":123456789012345678901.10,"b":[true,"1"]}'), {
    a: '123456789012345678901.10',
    b: [true, '1'],
  });
  assert.throws(() => parseWithDigits('{'), SyntaxError);
});
