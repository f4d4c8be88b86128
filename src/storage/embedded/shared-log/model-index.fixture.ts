/** The index behind the log, in memory, for the tests of the rules of order. */
import { Order } from './order.ts';
import type { OrderState } from './order-state.ts';
import { positionOf, SEGMENT_HEADER_BYTES, storeIdOf } from './segments.ts';
import * as row from './tail-table.ts';

export const MODEL_STORE = storeIdOf(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));

/** Rows by id, as the SQLite index has them, with what an order is restored from. */
export class ModelIndex {
  readonly rows = new Map<number, Float64Array>();
  position = positionOf(1, SEGMENT_HEADER_BYTES);
  generation = 1;
  state: OrderState = new Order(MODEL_STORE.mark).save();
  tail: Float64Array = new Float64Array(0);

  commit(order: Order, position: number): void {
    if (position <= this.position) return;
    if (order.generation !== this.generation) this.rows.clear();
    this.generation = order.generation;
    for (const [id, tail] of rowsOf(order)) {
      if (tail[row.ROW_POSITION]! < this.position) continue;
      const known = this.rows.get(id);
      this.rows.set(id, merged(known, tail));
    }
    this.position = position;
    this.state = order.save();
    this.tail = tailOf(order);
  }
}

/** The rows of its tail, as they are. */
export const tailOf = ({ tail }: Order): Float64Array => tail.rows.slice(0, tail.count * row.ROW_COLUMNS);

export function rowsOf(order: Order): Map<number, Float64Array> {
  const rows = tailOf(order);
  const found = new Map<number, Float64Array>();
  for (let start = 0; start < rows.length; start += row.ROW_COLUMNS) {
    found.set(rows[start + row.ROW_ID]!, rows.slice(start, start + row.ROW_COLUMNS));
  }
  return found;
}

/** What the index knows of a payment and a row of the tail does not tell. */
export function merged(known: Float64Array | undefined, tail: Float64Array): Float64Array {
  if (known === undefined) return tail;
  const all = tail.slice();
  for (const column of [row.ROW_SEQ, row.ROW_CENTS, row.ROW_ACCEPTED_AT]) all[column] = known[column]!;
  if (tail[row.ROW_PROCESSOR] === -1) all[row.ROW_PROCESSOR] = known[row.ROW_PROCESSOR]!;
  return all;
}
