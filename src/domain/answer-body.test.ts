import assert from 'node:assert/strict';
import { test } from 'node:test';
import { amountCents, centsNamed, isForeignBody } from './answer-body.ts';

const payment = { correlationId: '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3', cents: 1990 };
const OTHER = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b4';
const JSON_TYPE = 'application/json; charset=utf-8';

for (const [what, contentType, text, isWhole, isForeign] of [
  ["the processor's message", JSON_TYPE, '{"message":"payment processed successfully"}', true, false],
  ['nothing at all', undefined, '', true, false],
  ['JSON without a type', undefined, '{}', true, false],
  ['an empty body that is called JSON', 'application/json', '', true, false],
  ['problem details', 'application/problem+json', '{"title":"again"}', true, false],
  ['a maintenance page', 'text/html', '<html></html>', true, true],
  ['a page of which only the head came', 'text/html', '', false, true],
  ['plain text', 'text/plain', 'ok', true, true],
  ['two types', 'application/json, text/html', '{}', true, true],
  ['a page without a type', undefined, '<html></html>', true, true],
  ['text without a type, cut short', undefined, '{"mess', false, false],
  ['JSON that is none', 'application/json', '{"mess', true, false],
  ['this payment', JSON_TYPE, `{"correlationId":"${payment.correlationId}","amount":19.9}`, true, false],
  [
    'this payment in capitals',
    JSON_TYPE,
    `{"correlationId":"${payment.correlationId.toUpperCase()}"}`,
    true,
    false,
  ],
  ['another id', JSON_TYPE, `{"correlationId":"${OTHER}"}`, true, true],
  ['another id, cut short', JSON_TYPE, `{"correlationId" : "${OTHER}","amo`, false, true],
  ['another amount', JSON_TYPE, '{"amount": 19.91}', true, true],
  ['a third decimal', JSON_TYPE, '{"amount":19.904}', true, true],
  ['another amount as text', JSON_TYPE, '{"amount":"19.91"}', true, true],
  ['this amount as text', JSON_TYPE, '{"amount":"19.90"}', true, false],
  ['an amount as text that is none', JSON_TYPE, '{"amount":"a lot"}', true, true],
  ['no amount', JSON_TYPE, '{"correlationId":null,"amount":null}', true, false],
  ['a number as its id', JSON_TYPE, '{"correlationId":7}', true, true],
  ['another id in escapes', JSON_TYPE, `{"correlationId":"\\u0034${OTHER.slice(1)}"}`, true, true],
  [
    'this id in escapes',
    JSON_TYPE,
    `{"correlationId":"\\u0034${payment.correlationId.slice(1)}"}`,
    true,
    false,
  ],
  ['an id that is cut short', JSON_TYPE, '{"correlationId":"4a79', false, false],
  ['an amount that is cut short', JSON_TYPE, '{"amount":19.', false, false],
  ['an amount in another form', JSON_TYPE, '{"amount":1990e-2}', true, false],
] as const) {
  test(`a body with ${what} is ${isForeign ? 'foreign' : 'no reason to doubt'}`, () => {
    assert.equal(isForeignBody(contentType, text, isWhole, payment), isForeign);
  });
}

test('cents are exact up to the largest amount', () => {
  for (const cents of [1, 1990, 999_999_999_999, 999_999_999_998, 123_456_789_012, 5_000_000_000_00 + 7])
    assert.equal(amountCents(Number((cents / 100).toFixed(2))), cents);
  assert.notEqual(amountCents(19.904), 1990);
});

test('an amount as text counts as it stands, where it is a number', () => {
  assert.equal(centsNamed('19.90'), 1990);
  assert.equal(centsNamed('1990e-2'), 1990);
  assert.notEqual(centsNamed('19.904'), 1990);
  for (const none of ['', ' 19.90', '19,90', '0x10', 'Infinity', null, undefined, true, [19.9]])
    assert.equal(centsNamed(none), undefined);
});
