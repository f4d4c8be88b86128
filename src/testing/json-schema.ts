/** JSON Schema (draft 2020-12) as ajv reads it, strict: a word that it does not know is an error. */
import assert from 'node:assert/strict';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';

const DOCUMENT = 'document.json';

export class Schemas {
  readonly #ajv: Ajv2020;

  /** `document` holds the schemas, and may be one; references lead to places in it. */
  constructor(document: object, options: { readonly strict: boolean } = { strict: true }) {
    this.#ajv = new Ajv2020({ ...options, allErrors: true });
    formats.default(this.#ajv);
    // What stands around the schemas says nothing about values.
    if (options.strict) this.#ajv.addVocabulary(Object.keys(document));
    this.#ajv.addFormat('media-range', true);
    this.#ajv.addSchema(document, DOCUMENT);
  }

  /** Compiles the schema at a place such as `#/components/schemas/Payment`. Throws where it is none. */
  at(place: string): ValidateFunction {
    return this.#ajv.compile({ $ref: `${DOCUMENT}${place}` });
  }

  /** Fails unless the value is as the schema at `place` says. */
  assertFits(value: unknown, place: string, what: string): void {
    const fits = this.at(place);
    assert.ok(fits(value), `${what}: ${this.#ajv.errorsText(fits.errors)} in ${JSON.stringify(value)}`);
  }
}
