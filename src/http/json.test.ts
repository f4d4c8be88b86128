import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { idText, writeIdBytes } from '../payments/payment.ts';
import * as json from './json.ts';

const ID = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';
const fields = new json.PaymentFields();

/** Reads from the middle of other bytes, which must not be looked at. */
function read(body: string | Uint8Array): number {
  const bytes = Buffer.concat([Buffer.from('"}'), Buffer.from(body as string, 'utf8'), Buffer.from('"}]')]);
  return json.readPayment(bytes, 2, bytes.length - 3, fields);
}

const id = (): string => {
  const bytes = new Uint8Array(16);
  writeIdBytes(fields.id, 0, bytes, 0);
  return idText(bytes);
};

const payment = (amount: string, more = ''): string => `{"correlationId":"${ID}","amount":${amount}${more}}`;

test('a payment is read whatever its order, white space, case and escapes', () => {
  for (const body of [
    `{"correlationId":"${ID}","amount":19.9}`,
    `{"amount":19.90,"correlationId":"${ID.toUpperCase()}"}`,
    ` \t\r\n{ "amount" : 1990e-2 , "correlationId"\n:\t"${ID}" } \n`,
    `{"\\u0061mount":19.9,"correlation\\u0049d":"${ID}"}`,
    `{"amount":19.9,"correlationId":"\\u0034a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3"}`,
    `{"__proto__":{"amount":1},"a":[{"amount":2}],"amount":19.9,"correlationId":"${ID}","z":null}`,
    `{"":"","amoun":1,"amount ":1,"correlationI":1,"é":"\\ud800","amount":19.9,"correlationId":"${ID}"}`,
    `{"x":"😀\\ud83d\\ude00 \u007f","x":[[],{}, [ ] ,{ }],"amount":19.9,"correlationId":"${ID}"}`,
  ]) {
    assert.equal(read(body), json.PAYMENT, body);
    assert.equal(fields.cents, 1990);
    assert.equal(id(), ID);
  }
});

test('amounts are exact cents', () => {
  const cents: Record<string, number> = {
    '0.01': 1,
    '0.1': 10,
    '1': 100,
    '1.0': 100,
    '19.9': 1990,
    '19.90': 1990,
    '19.900000000000000000000000000000000000000': 1990,
    '1990e-2': 1990,
    '1990E-2': 1990,
    '0.199e2': 1990,
    '0.000000199e+8': 1990,
    '199000000000000000000000000000000000e-34': 1990,
    '1e9': 1e11,
    '1e-2': 1,
    '0.1e-1': 1,
    '4.35': 435,
    '1.15': 115,
    '0.29': 29,
    '90071992.54': 9007199254,
    '9999999999.99': 999_999_999_999,
    '999999999999e-2': 999_999_999_999,
    '9999999999.990': 999_999_999_999,
    [`0.${'0'.repeat(5000)}1e5000`]: 10,
    [`1${'0'.repeat(5000)}e-5000`]: 100,
    '1e00000000000000000000000000000000000002': 10_000,
  };
  for (const [amount, wanted] of Object.entries(cents)) {
    assert.equal(read(payment(amount)), json.PAYMENT, amount);
    assert.equal(fields.cents, wanted, amount);
  }
});

test('amounts that cannot be paid say why', () => {
  const refusals: [number, string[]][] = [
    [
      json.AMOUNT_NOT_POSITIVE,
      ['0', '-0', '0.00', '0e5', '0e99999999999999999999', '-1', '-19.9', '-1e-9', '0.000'],
    ],
    [
      json.AMOUNT_FRACTION,
      [
        '0.001',
        '19.901',
        '1e-3',
        '1e-99999999999999999999',
        '1.005',
        '0.019',
        '12345678901e-3',
        '0.0100000001',
      ],
    ],
    [
      json.AMOUNT_OVER_MAX,
      [
        '10000000000',
        '10000000000.00',
        '9999999999990e-2',
        '1e10',
        '1e99999999999999999999',
        '9'.repeat(400),
      ],
    ],
    [json.AMOUNT_NOT_A_NUMBER, ['"19.90"', 'null', 'true', '[19.9]', '{}', '""']],
  ];
  for (const [wanted, amounts] of refusals) {
    for (const amount of amounts) assert.equal(read(payment(amount)), wanted, amount);
  }
});

test('what is no payment says which member is amiss', () => {
  assert.equal(read('{}'), json.ID_MISSING);
  assert.equal(read(`{"correlationId":"${ID}"}`), json.AMOUNT_MISSING);
  assert.equal(read('{"amount":1}'), json.ID_MISSING);
  assert.equal(read(payment('1', `,"correlationId":"${ID}"`)), json.ID_TWICE);
  assert.equal(read(payment('1', ',"amount":1')), json.AMOUNT_TWICE);
  assert.equal(read(payment('1', ',"\\u0061mount":1')), json.AMOUNT_TWICE);
  for (const text of ['[]', '1', '"a"', 'null', 'true', 'false', '[{"amount":1}]', ' 1 ', '-0.5e-7']) {
    assert.equal(read(text), json.NOT_AN_OBJECT, text);
  }
  for (const wrong of [
    '""',
    '1',
    'null',
    '{}',
    `"${ID}0"`,
    `"${ID.slice(1)}"`,
    `"{${ID}}"`,
    `"${ID.replaceAll('-', '')}"`,
    `"${ID.replace('-', '0')}"`,
    `"${ID.replace('4', 'g')}"`,
    `"${ID.replace('4', '\\n')}"`,
    `"${ID.replace('4', '\\ud800')}"`,
    `"${ID.replace('4', 'é')}"`,
    `"urn:uuid:${ID}"`,
    `" ${ID}"`,
  ]) {
    assert.equal(read(`{"amount":1,"correlationId":${wrong}}`), json.ID_INVALID, wrong);
  }
});

test('malformed outweighs what is no payment', () => {
  assert.equal(read('{"amount":0,'), json.MALFORMED);
  assert.equal(read('{"amount":"x","amount":1,}'), json.MALFORMED);
  assert.equal(read('[1,2'), json.MALFORMED);
  assert.equal(read('{} {}'), json.MALFORMED);
});

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
  for (const [text, errorAt] of texts) {
    assert.equal(read(text), json.MALFORMED, text);
    assert.equal(fields.errorAt, errorAt, text);
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
    assert.equal(read(value), json.MALFORMED, value.toString('hex'));
    const key = Buffer.concat([Buffer.from('{"'), Buffer.from(bytes), Buffer.from('":1}')]);
    assert.equal(read(key), json.MALFORMED, key.toString('hex'));
  }
  const right = [
    [0xc2, 0x80],
    [0xdf, 0xbf],
    [0xe0, 0xa0, 0x80],
    [0xed, 0x9f, 0xbf],
    [0xee, 0x80, 0x80],
  ];
  for (const bytes of [...right, [0xf0, 0x90, 0x80, 0x80], [0xf4, 0x8f, 0xbf, 0xbf]]) {
    assert.equal(
      read(Buffer.concat([Buffer.from('"'), Buffer.from(bytes), Buffer.from('"')])),
      json.NOT_AN_OBJECT,
    );
  }
});

test('32 levels are read, 33 are not', () => {
  const nested = (levels: number) => payment('1', `,"x":${'['.repeat(levels)}${']'.repeat(levels)}`);
  assert.equal(read(nested(31)), json.PAYMENT);
  assert.equal(read(nested(32)), json.MALFORMED);
  const objects = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
  assert.equal(read(objects(32)), json.ID_MISSING);
  assert.equal(read(objects(33)), json.MALFORMED);
  assert.equal(read(`${'['.repeat(16_000)}`), json.MALFORMED);
});

test('any text is valid exactly when JSON.parse and a strict decoder say so', () => {
  const check = (bytes: Uint8Array) => {
    let isValid = true;
    try {
      JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
    } catch {
      isValid = false;
    }
    assert.equal(
      json.jsonErrorAt(bytes, 0, bytes.length) < 0,
      isValid,
      Buffer.from(bytes).toString('latin1'),
    );
    assert.equal(json.readPayment(bytes, 0, bytes.length, fields) !== json.MALFORMED, isValid);
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
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(fc.json({ maxDepth: 8 }), text => check(Buffer.from(text))),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.nat(255), (text, place, byte) => {
      const bytes = Buffer.from(text);
      bytes[place % bytes.length] = byte;
      check(bytes);
    }),
    { numRuns: 1500 },
  );
});

test('any number of cents is read back from any way to write it', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 999_999_999_999 }),
      fc.integer({ min: -30, max: 30 }),
      (cents, shift) => {
        const digits = cents.toString().padStart(40, '0').padEnd(80, '0');
        // `digits` has its point for cents at 40; the point moves and the exponent moves it back.
        const point = 38 + shift;
        const whole = digits.slice(0, point).replace(/^0+(?=\d)/, '');
        assert.equal(read(payment(`${whole}.${digits.slice(point)}e${-shift}`)), json.PAYMENT);
        assert.equal(fields.cents, cents);
      },
    ),
  );
});
