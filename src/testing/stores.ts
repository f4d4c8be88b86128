/** What the tests of the stores share: a store asked by promises, batches by name, a seed. */

import { DEFAULT, idWords, SENT, SETTLED, type StoredPayment, WAITING } from '../domain/payment.ts';
import * as column from '../storage/batch.ts';
import { ATTEMPT, type Batch, INSERT, MARK, PUT_ON_HOLD, SETTLE } from '../storage/batch.ts';
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

/** What a row says of its payment beside which one it is. */
export interface Fields {
  cents?: number;
  acceptedAtMs?: number;
  state?: number;
  processor?: number;
  requestedAtMs?: number;
  attempts?: number;
  tries?: number;
  settledAtMs?: number;
  /** Of an attempt that ended. */
  outcome?: number;
  durationMs?: number;
  endedAtMs?: number;
  /** Of a hold; of another row as the payment is. */
  held?: number;
  retryAtMs?: number;
}

/** Which payment a row is about, as the store said. */
export type RowSubject = Pick<StoredPayment, 'seq' | 'id' | 'origin'> & Partial<Pick<StoredPayment, 'held'>>;

function add(batch: Batch, kind: number, { seq, id, origin, held }: RowSubject, fields: Fields): number {
  const start = batch.add(kind);
  const { rows } = batch;
  rows[start + column.SEQ] = seq;
  rows.set(idWords(id), start + column.ID);
  rows[start + column.ORIGIN] = origin;
  rows[start + column.STATE] = fields.state ?? WAITING;
  rows[start + column.PROCESSOR] = fields.processor ?? -1;
  rows[start + column.REQUESTED_AT] = fields.requestedAtMs ?? 0;
  rows[start + column.ATTEMPTS] = fields.attempts ?? 0;
  rows[start + column.TRIES] = fields.tries ?? 0;
  rows[start + column.HELD] = fields.held ?? held ?? 0;
  return start;
}

/** Adds the row that accepts the id number `n`, and says that it is being sent if `fields.state` is so. */
export function put(batch: Batch, n: number, fields: Fields = {}): void {
  const start = add(batch, INSERT, { seq: 0, id: idOf(n), origin: batch.epoch }, fields);
  batch.rows[start + column.CENTS] = fields.cents ?? 1990;
  batch.rows[start + column.ACCEPTED_AT] = fields.acceptedAtMs ?? 1000;
}

/** An attempt will leave: to default, unless `fields` say otherwise. */
export function markRow(batch: Batch, of: RowSubject, fields: Fields = {}): void {
  add(batch, MARK, of, { state: SENT, processor: DEFAULT, attempts: 1, ...fields });
}

/** It was booked, with the amount that it was accepted with. */
export function settleRow(
  batch: Batch,
  of: RowSubject & { readonly cents: number },
  fields: Fields = {},
): void {
  const start = add(batch, SETTLE, of, { state: SETTLED, processor: DEFAULT, attempts: 1, ...fields });
  batch.rows[start + column.CENTS] = of.cents;
  batch.rows[start + column.SETTLED_AT] = fields.settledAtMs ?? 2000;
}

/** An attempt ended, and left the payment in `fields.state`. */
export function attemptRow(batch: Batch, of: RowSubject, fields: Fields = {}): void {
  const start = add(batch, ATTEMPT, of, { processor: DEFAULT, attempts: 1, ...fields });
  const { rows } = batch;
  rows[start + column.NEXT] = rows[start + column.STATE]!;
  rows[start + column.STATE] = fields.outcome ?? 1;
  rows[start + column.CENTS] = fields.durationMs ?? 5;
  rows[start + column.ACCEPTED_AT] = fields.endedAtMs ?? 1500;
}

/** It is held from now on, in `fields.state`. */
export function holdRow(batch: Batch, of: RowSubject, fields: Fields = {}): void {
  const start = add(batch, PUT_ON_HOLD, of, { processor: DEFAULT, attempts: 1, held: 1, ...fields });
  const { rows } = batch;
  rows[start + column.NEXT] = rows[start + column.STATE]!;
  rows[start + column.SETTLED_AT] = fields.retryAtMs ?? 0;
}

export { seed } from './seed.ts';
