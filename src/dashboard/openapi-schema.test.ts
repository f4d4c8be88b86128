/** The document is one of OpenAPI 3.1, and its schemas say of payments what a backend says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { CENTS_MAX } from '../domain/money.ts';
import { PAYMENT, PaymentFields, readPayment } from '../http/payment-json.ts';
import { Schemas } from '../testing/json-schema.ts';
import { seed } from '../testing/seed.ts';
import { OPENAPI } from './openapi.ts';
import { COMPONENTS } from './openapi-components.ts';

const schemas = new Schemas(OPENAPI);

test('the document is one of OpenAPI 3.1', () => {
  const file = new URL('../testing/openapi-3.1.schema.json', import.meta.url);
  const { $id, ...schema } = JSON.parse(readFileSync(file, 'utf8'));
  assert.match($id, /^https:\/\/spec.openapis.org\/oas\/3.1\/schema\//);
  const document = new Schemas(schema, { strict: false });
  document.assertFits(JSON.parse(JSON.stringify(OPENAPI)), '#', 'the document');
  const { info: _, ...nameless } = OPENAPI;
  assert.throws(() => document.assertFits(nameless, '#', 'one without a title'));
});

test('every schema compiles', () => {
  for (const name of Object.keys(COMPONENTS.schemas)) schemas.at(`#/components/schemas/${name}`);
});

interface WithExample {
  readonly schema?: { readonly $ref?: string };
  readonly example?: unknown;
}

/** Every place in the document that has both a schema and an example, by its path. */
function* examples(at: unknown, path: string): Generator<readonly [string, WithExample]> {
  if (typeof at !== 'object' || at === null) return;
  if (Object.hasOwn(at, 'schema') && Object.hasOwn(at, 'example')) yield [path, at as WithExample];
  for (const [key, value] of Object.entries(at)) {
    yield* examples(value, `${path}/${encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))}`);
  }
}

test('every example is as its schema says', () => {
  let count = 0;
  for (const [path, { schema, example }] of examples(OPENAPI, '#')) {
    schemas.assertFits(example, schema?.$ref ?? `${path}/schema`, path);
    count++;
  }
  assert.ok(count > 40, `${count} examples`);
});

const NEW_PAYMENT = '#/components/schemas/NewPayment';

/** An amount of so many cents, written in one of the ways that are legal. */
const written = (cents: number, way: number): string => {
  const text = String(cents).padStart(3, '0');
  const decimal = `${text.slice(0, -2)}.${text.slice(-2)}`;
  return [decimal, decimal.replace(/\.?0+$/, ''), `${cents}e-2`, `${cents}0E-3`][way]!;
};

test(`ten thousand payments that a backend takes are valid (SEED=${seed})`, () => {
  const isValid = schemas.at(NEW_PAYMENT);
  const fields = new PaymentFields();
  const cents = fc.oneof(
    fc.integer({ min: 1, max: 100_000 }),
    fc.integer({ min: 1, max: CENTS_MAX }),
    fc.constantFrom(1, 10, 100, CENTS_MAX),
  );
  const payments = fc.tuple(fc.uuid(), cents, fc.nat(3), fc.boolean());
  const check = ([uuid, amount, way, isUpper]: [string, number, number, boolean]): void => {
    const text = `{"correlationId":"${isUpper ? uuid.toUpperCase() : uuid}","amount":${written(amount, way)},"more":[1]}`;
    const bytes = Buffer.from(text);
    assert.equal(readPayment(bytes, 0, bytes.length, fields), PAYMENT, text);
    assert.equal(fields.cents, amount);
    assert.ok(isValid(JSON.parse(text)), text);
  };
  fc.assert(fc.property(payments, check), { seed, numRuns: 10_000 });
});

test('what a backend refuses is not valid, but for a third decimal, which no schema can tell', () => {
  const isValid = schemas.at(NEW_PAYMENT);
  const fields = new PaymentFields();
  const id = '"correlationId":"4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3"';
  for (const text of [
    '[]',
    '{}',
    `{${id}}`,
    '{"amount":1}',
    `{${id},"amount":0}`,
    `{${id},"amount":-1}`,
    `{${id},"amount":"1"}`,
    `{${id},"amount":null}`,
    `{${id},"amount":1e10}`,
    '{"correlationId":"4a7901b87d264d9daa194dc1c7cf60b3","amount":1}',
    '{"correlationId":7,"amount":1}',
  ]) {
    const bytes = Buffer.from(text);
    assert.notEqual(readPayment(bytes, 0, bytes.length, fields), PAYMENT, text);
    assert.ok(!isValid(JSON.parse(text)), text);
  }
});
