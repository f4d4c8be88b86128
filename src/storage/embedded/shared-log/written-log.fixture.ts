/** A log that is written by hand, batch by batch, for the tests of the rules of order. */
import { strict as assert } from 'node:assert';
import { SENT, WAITING } from '../../../domain/payment.ts';
import { BatchView, readBatch } from './decoder.ts';
import { Order } from './order.ts';
import { type BatchVerdict, COUNTED } from './order-state.ts';
import { INDEXER } from './ordered-members.ts';
import { BatchEncoder, type BatchOrigin } from './records.ts';
import { positionOf } from './segments.ts';
import { ROW_STATE } from './tail-table.ts';

export const STORE = 77;
const encoder = new BatchEncoder();
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
/** The ids of these tests, by their last word: the share. */
export const paymentIn = (share: number): Int32Array => Int32Array.of(1, 2, 3, share);
export const progress = { state: WAITING, processor: 0, requestedAtMs: 1, attempts: 1, tries: 1 };

/** A log that is written by hand: each batch a hundred bytes behind the last one. */
export class WrittenLog {
  readonly order = new Order(STORE);
  at = positionOf(1, 100);
  readonly #numbers = new Map<number, number>();

  /** Feeds a batch of `epoch` that knows all there is, unless `origin` says otherwise. */
  feed(epoch: number, fill: (batch: BatchEncoder) => void, origin: Partial<BatchOrigin> = {}): BatchVerdict {
    encoder.clear();
    fill(encoder);
    const { generation, marks } = this.order;
    const number = (this.#numbers.get(epoch) ?? 0) + 1;
    const all = { store: STORE, instance: 1, epoch, number, generation, marksSeen: marks, ...origin };
    const bytes = encoder.bytes.slice(0, encoder.finish(all));
    const batch = new BatchView();
    assert(readBatch({ bytes, view: new DataView(bytes.buffer) }, 0, bytes.length, batch));
    const verdict = this.order.feed(batch, this.at);
    this.at += 100;
    if (verdict === COUNTED) this.#numbers.set(epoch, all.number);
    return verdict;
  }

  /** The same, of a batch that counts, with what became of its records. */
  results(epoch: number, fill: (batch: BatchEncoder) => void): number[] {
    assert.equal(this.feed(epoch, fill), COUNTED);
    return [...this.order.results.subarray(0, encoder.count)];
  }

  join(name: string, epochSeen = this.order.members.named(name)?.epoch ?? 0): number {
    return this.results(0, batch => batch.join(text(name), epochSeen))[0]!;
  }

  /** The index has all that is there, and the table lets go of it. */
  index(by: number): void {
    this.results(by, batch => batch.lease(INDEXER, this.order.members.holder(INDEXER)));
    for (let mark = 0; mark < 2; mark++) this.results(by, batch => batch.indexed(this.at, false));
  }

  state(payment: Int32Array): number | undefined {
    const start = this.order.tail.find(payment, 0);
    return start < 0 ? undefined : this.order.tail.rows[start + ROW_STATE];
  }
}

/** Two instances, 1 and 2; the first has accepted the payment of share 5 and sent it to default. */
export function begun(): WrittenLog {
  const log = new WrittenLog();
  assert.deepEqual([log.join('a'), log.join('b')], [1, 2]);
  const sent = log.results(1, batch => {
    batch.accept(paymentIn(5), 0, 1, 1990, 1000);
    batch.intend(paymentIn(5), 0, 1, SENT, 0, 1001, 1, 1);
  });
  assert.deepEqual(sent, [1, 1]);
  return log;
}

export const fence = (log: WrittenLog, by: number, epoch: number, beat = 0): number[] =>
  log.results(by, batch => batch.fence(epoch, beat));
