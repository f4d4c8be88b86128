/** What the tests of the stores share: a store asked by promises, batches by name, a seed. */

import { idWords } from '../domain/payment.ts';
import * as column from '../storage/batch.ts';
import { ATTEMPT, type Batch, INSERT, MARK, SETTLE } from '../storage/batch.ts';
import { type Store, StoreFault } from '../storage/ports.ts';

type Answer<Call> = Call extends (...values: [...infer Values, reply: infer Reply]) => void
  ? Reply extends (answer: infer Value) => void
    ? (...values: Values) => Promise<Exclude<Value, StoreFault>>
    : never
  : never;

/** The store with promises for callbacks; a fault rejects. */
export type Asked = { readonly [Name in keyof Store]: Answer<Store[Name]> };

export function asked(store: Store): Asked {
  const ask =
    (name: keyof Store) =>
    (...values: unknown[]) =>
      new Promise((resolve, reject) => {
        const reply = (answer: unknown) => (answer instanceof StoreFault ? reject(answer) : resolve(answer));
        (store[name] as (...all: unknown[]) => void)(...values, reply);
      });
  // `then` has to be missing, or the proxy itself would be waited for.
  return new Proxy(store, {
    get: (_, name) => (name in store ? ask(name as keyof Store) : undefined),
  }) as unknown as Asked;
}

/** The 16 bytes of the id number `n`. */
export function idOf(n: number): Uint8Array {
  const id = new Uint8Array(16);
  new DataView(id.buffer).setUint32(0, Math.imul(n, 0x9e3779b1));
  new DataView(id.buffer).setUint32(12, n);
  return id;
}

export interface Fields {
  seq?: number;
  cents?: number;
  acceptedAtMs?: number;
  state?: number;
  processor?: number;
  requestedAtMs?: number;
  attempts?: number;
  tries?: number;
  settledAtMs?: number;
}

function add(batch: Batch, kind: number, fields: Fields): number {
  const start = batch.add(kind);
  batch.rows[start + column.SEQ] = fields.seq ?? 0;
  batch.rows[start + column.CENTS] = fields.cents ?? 1990;
  batch.rows[start + column.ACCEPTED_AT] = fields.acceptedAtMs ?? 1000;
  batch.rows[start + column.STATE] = fields.state ?? 0;
  batch.rows[start + column.PROCESSOR] = fields.processor ?? -1;
  batch.rows[start + column.REQUESTED_AT] = fields.requestedAtMs ?? 0;
  batch.rows[start + column.ATTEMPTS] = fields.attempts ?? 0;
  batch.rows[start + column.TRIES] = fields.tries ?? 0;
  batch.rows[start + column.SETTLED_AT] = fields.settledAtMs ?? 0;
  return start;
}

/** Adds the row that puts the id number `n`. */
export function put(batch: Batch, n: number, fields: Fields = {}): void {
  const start = add(batch, INSERT, fields);
  batch.rows.set(idWords(idOf(n)), start + column.ID);
}

export const markRow = (batch: Batch, fields: Fields): number => add(batch, MARK, fields);
export const settleRow = (batch: Batch, fields: Fields): number =>
  add(batch, SETTLE, { processor: 0, ...fields });
export const attemptRow = (batch: Batch, fields: Fields): number => add(batch, ATTEMPT, fields);

export { seed } from './seed.ts';
