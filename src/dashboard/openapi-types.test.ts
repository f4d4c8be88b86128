/**
 * The types that the document's schemas stand for are the client's: the compiler derives them from the
 * document and compares, so a difference does not compile.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Payment, PaymentsSummary, Problem, SummaryTotal } from '../../client/soquete.ts';
import type { COMPONENTS } from './openapi-components.ts';

type Schemas = (typeof COMPONENTS)['schemas'];

/** What a value of a schema is in TypeScript, for as much of JSON Schema as the document uses. */
type FromSchema<Schema> = Schema extends { $ref: `#/components/schemas/${infer Name}` }
  ? Name extends keyof Schemas
    ? FromSchema<Schemas[Name]>
    : never
  : Schema extends { enum: readonly (infer Value)[] }
    ? Value
    : Schema extends { anyOf: readonly (infer Other)[] }
      ? FromSchema<Other>
      : Schema extends { type: 'object'; properties: infer Members; required: readonly (infer Required)[] }
        ? Flat<
            {
              readonly [Name in keyof Members as Name extends Required ? Name : never]: FromSchema<
                Members[Name]
              >;
            } & {
              readonly [Name in keyof Members as Name extends Required ? never : Name]?: FromSchema<
                Members[Name]
              >;
            }
          >
        : Schema extends { type: 'array'; items: infer Item }
          ? readonly FromSchema<Item>[]
          : Schema extends { type: keyof Primitives }
            ? Primitives[Schema['type']]
            : never;

interface Primitives {
  string: string;
  number: number;
  integer: number;
  boolean: boolean;
  null: null;
}

type Flat<Shape> = { [Name in keyof Shape]: Shape[Name] };
type Same<One, Other> =
  (<Probe>() => Probe extends One ? 1 : 2) extends <Probe>() => Probe extends Other ? 1 : 2 ? true : false;

/** Each is `true`, or this file does not compile. */
interface Comparisons {
  readonly payment: Same<FromSchema<Schemas['Payment']>, Flat<Payment>>;
  readonly total: Same<FromSchema<Schemas['Total']>, Flat<SummaryTotal>>;
  readonly summary: Same<FromSchema<Schemas['Summary']>, Flat<PaymentsSummary>>;
  readonly problem: Same<FromSchema<Schemas['Problem']>, Flat<Problem>>;
}

test("the client's types are those of the document", () => {
  const same: Comparisons = { payment: true, total: true, summary: true, problem: true };
  assert.deepEqual(new Set(Object.values(same)), new Set([true]));
});
