import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { idText, writeIdBytes } from '../domain/payment.ts';
import { seed } from '../testing/seed.ts';
import * as json from './payment-json.ts';

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

test(`any number of cents is read back from any way to write it (SEED=${seed})`, () => {
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
    { numRuns: 1000, seed },
  );
});
