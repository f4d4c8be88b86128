import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seed } from '../testing/seed.ts';
import { jsonErrorAt } from './json.ts';
import { MALFORMED, PaymentFields, readPayment } from './payment-json.ts';

const fields = new PaymentFields();

/**
 * Where a text breaks, or -1, read in the middle of other bytes, which must not be looked at. The reader of
 * payments has a way of its own through an object's members, and has to say the same.
 */
function errorAt(text: string | Uint8Array): number {
  const bytes = Buffer.concat([Buffer.from('"}'), Buffer.from(text as string, 'utf8'), Buffer.from('"}]')]);
  const place = jsonErrorAt(bytes, 2, bytes.length - 3);
  const isMalformed = readPayment(bytes, 2, bytes.length - 3, fields) === MALFORMED;
  assert.equal(isMalformed ? fields.errorAt : -1, place, text.toString());
  return place;
}

test('malformed texts are refused where they break', () => {
  const texts: [string, number][] = [
    ['', 0],
    ['   ', 3],
    ['\ufeff{}', 0],
    ['{', 1],
    ['{"a"', 4],
    ['{"a":', 5],
    ['{"a":1', 6],
    ['{"a":1,}', 7],
    ['{,}', 1],
    ['{a:1}', 1],
    ["{'a':1}", 1],
    ['{"a" 1}', 5],
    ['{"a":1 "b":2}', 7],
    ['{"a":1]', 6],
    ['[1}', 2],
    ['[1,]', 3],
    ['[,1]', 1],
    ['{}x', 2],
    ['{"a":01}', 6],
    ['{"a":-}', 6],
    ['{"a":+1}', 5],
    ['{"a":.5}', 5],
    ['{"a":1.}', 7],
    ['{"a":1e}', 7],
    ['{"a":1e+}', 8],
    ['{"a":0x1}', 6],
    ['{"a":NaN}', 5],
    ['{"a":Infinity}', 5],
    ['{"a":True}', 5],
    ['{"a":nul}', 8],
    ['{"a":truee}', 9],
    ['{"a":"\n"}', 6],
    ['{"a":"\u0000"}', 6],
    ['{"a":"\\x41"}', 7],
    ['{"a":"\\u12g4"}', 10],
    ['{"a":"\\u123"}', 11],
    ['{"a":"x}', 8],
    ['{"a":1} // x', 8],
    ['{/**/}', 1],
    ['\f{}', 0],
    ['\u00a0{}', 0],
  ];
  for (const [text, place] of texts) {
    assert.equal(errorAt(text), place, text);
    assert.throws(() => JSON.parse(text));
  }
});

test('invalid UTF-8 is refused in any string', () => {
  const wrong = [
    [0x80],
    [0xbf],
    [0xc0, 0xaf],
    [0xc1, 0xbf],
    [0xc3],
    [0xc3, 0x28],
    [0xe0, 0x80, 0xaf],
    [0xe0, 0x9f, 0xbf],
    [0xed, 0xa0, 0x80],
    [0xed, 0xbf, 0xbf],
    [0xe2, 0x82],
    [0xf0, 0x80, 0x80, 0xaf],
    [0xf0, 0x8f, 0xbf, 0xbf],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
    [0xff],
    [0xf0, 0x9f, 0x98],
  ];
  for (const bytes of wrong) {
    const value = Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from('"}')]);
    assert.ok(errorAt(value) >= 0, value.toString('hex'));
    const key = Buffer.concat([Buffer.from('{"'), Buffer.from(bytes), Buffer.from('":1}')]);
    assert.ok(errorAt(key) >= 0, key.toString('hex'));
  }
  const right = [
    [0xc2, 0x80],
    [0xdf, 0xbf],
    [0xe0, 0xa0, 0x80],
    [0xed, 0x9f, 0xbf],
    [0xee, 0x80, 0x80],
  ];
  for (const bytes of [...right, [0xf0, 0x90, 0x80, 0x80], [0xf4, 0x8f, 0xbf, 0xbf]]) {
    assert.equal(errorAt(Buffer.concat([Buffer.from('"'), Buffer.from(bytes), Buffer.from('"')])), -1);
  }
});

test('32 levels are read, 33 are not', () => {
  const arrays = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
  assert.equal(errorAt(arrays(32)), -1);
  assert.equal(errorAt(arrays(33)), 32);
  assert.equal(errorAt(`{"x":${arrays(31)}}`), -1);
  assert.equal(errorAt(`{"x":${arrays(32)}}`), 5 + 31);
  const objects = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
  assert.equal(errorAt(objects(32)), -1);
  assert.equal(errorAt(objects(33)), 32 * 5);
  assert.equal(errorAt('['.repeat(16_000)), 32);
});

test(`any text is valid exactly when JSON.parse and a strict decoder say so (SEED=${seed})`, () => {
  const check = (bytes: Uint8Array) => {
    let isValid = true;
    try {
      JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    } catch {
      isValid = false;
    }
    assert.equal(errorAt(bytes) < 0, isValid, Buffer.from(bytes).toString('latin1'));
  };
  const few = fc.constantFrom(
    ...'{}[]",:\\u0019eE+-. \n\ttrufalsn'.split(''),
    '"a":',
    '\\u00',
    'é',
    'true',
    '{"',
  );
  fc.assert(
    fc.property(fc.array(few, { maxLength: 12 }), parts => check(Buffer.from(parts.join('')))),
    { numRuns: 3000, seed },
  );
  fc.assert(
    fc.property(fc.json({ maxDepth: 8 }), text => check(Buffer.from(text))),
    { numRuns: 500, seed },
  );
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.nat(255), (text, place, byte) => {
      const bytes = Buffer.from(text);
      bytes[place % bytes.length] = byte;
      check(bytes);
    }),
    { numRuns: 1500, seed },
  );
});
