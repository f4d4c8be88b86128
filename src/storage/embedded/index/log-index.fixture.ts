/** A log with its index, both in memory, written through the log's own writer, for the tests of the index. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { idWords, SENT } from '../../../domain/payment.ts';
import { idOf } from '../../../testing/stores.ts';
import { BOOT_PINS } from '../shared-log/boots.ts';
import { Order } from '../shared-log/order.ts';
import { COUNTED } from '../shared-log/order-state.ts';
import { ALL_SHARES, INDEXER } from '../shared-log/ordered-members.ts';
import type { BatchEncoder } from '../shared-log/records.ts';
import { encodeSegmentHeader, logSegmentName, storeIdOf } from '../shared-log/segments.ts';
import { VirtualLogFiles } from '../shared-log/virtual-log-files.ts';
import { LogWriter } from '../shared-log/writer.ts';
import { LogIndex } from './log-index.ts';
import { openMemoryIndex } from './schema.ts';

const STORE = storeIdOf(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
const DIRECTORY = '/log';

export class IndexedLog {
  readonly files = new VirtualLogFiles();
  database: DatabaseSync = openMemoryIndex(STORE.bytes);
  readonly order = new Order(STORE.mark);
  readonly writer: LogWriter;
  readonly #origins = new Map<number, number>();

  constructor(segmentBytes?: number) {
    this.files.createWhole(`${DIRECTORY}/${logSegmentName(1)}`, encodeSegmentHeader(STORE, 1, 1));
    this.writer = new LogWriter({
      ...{ files: this.files, directory: DIRECTORY, id: STORE, order: this.order },
      position: this.index().position,
      events: { gap: () => assert.fail() },
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
    });
    this.join('a');
    this.write(batch => batch.lease(INDEXER, 0));
  }

  /** One that indexes, of a process of its own. */
  index(): LogIndex {
    return new LogIndex({ database: this.database, files: this.files, directory: DIRECTORY });
  }

  /** Has the index go back to what it was: a power loss took the rest. */
  restore(saved: Uint8Array): void {
    this.database = new DatabaseSync(':memory:');
    this.database.deserialize(saved);
  }

  join(name: string): number {
    this.writer.rejoin();
    const epoch = this.writer.join(
      name,
      this.order.members.named(name)?.epoch ?? 0,
      2 ** 40 + this.order.digest,
    );
    assert.ok(typeof epoch === 'number' && epoch > 0);
    return epoch;
  }

  /** What the instance writes in one batch; returns what became of each record. */
  write(fill: (batch: BatchEncoder) => void): number[] {
    const batch = this.writer.batch();
    fill(batch);
    const { count } = batch;
    assert.equal(this.writer.append(), COUNTED);
    return [...this.writer.results.subarray(0, count)];
  }

  /** Accepts so many payments from number `first` on. */
  accept(first: number, count = 1, cents = 1990): void {
    this.write(batch => {
      for (let n = first; n < first + count; n++) {
        batch.accept(words(n), 0, this.writer.epoch, cents, 1000 + n);
        this.#origins.set(n, this.writer.epoch);
      }
    });
  }

  send(n: number, processor = 0, attempts = 1): number {
    return this.write(batch =>
      batch.intend(words(n), 0, this.originOf(n), SENT, processor, 2000 + n, attempts, 1),
    )[0]!;
  }

  fail(n: number, state: number, endedAtMs = 2500, attempts = 1): number {
    const progress = { state, processor: 0, requestedAtMs: 2000 + n, attempts, tries: 1 };
    return this.write(batch =>
      batch.endAttempt(words(n), 0, this.originOf(n), progress, 1, 7, endedAtMs),
    )[0]!;
  }

  settle(n: number, { processor = 0, requestedAtMs = 2000 + n, cents = 1990 } = {}): number {
    return this.write(batch =>
      batch.book(words(n), 0, this.originOf(n), processor, requestedAtMs, 3000 + n, cents, 1),
    )[0]!;
  }

  /** The writer's instance dies and comes back, and adopts what it had. */
  crash(): void {
    const dead = this.writer.epoch;
    this.join('a');
    this.#takeOver(dead);
  }

  #takeOver(dead: number): void {
    this.write(batch => {
      batch.adopt(dead, ALL_SHARES);
      batch.lease(INDEXER, 0);
    });
  }

  /** The disk was away: a term begins, and the instance adopts what it had. */
  beginTerm(): void {
    const dead = this.writer.epoch;
    this.writer.rejoin();
    assert.equal(this.writer.boot(this.order.boot, BOOT_PINS, 2 ** 40), undefined);
    this.join('a');
    this.#takeOver(dead);
  }

  /** The index has all in front of `position`. */
  mark(position: number): void {
    assert.deepEqual(
      this.write(batch => batch.indexed(position, false)),
      [1],
    );
  }

  /** What the tables hold, but for where the log goes on. */
  tables(): unknown {
    const all = (sql: string): unknown[] => this.database.prepare(sql).all();
    return {
      payments: all('SELECT * FROM payments ORDER BY seq'),
      attempts: all('SELECT * FROM attempts ORDER BY id, n, ended_at'),
      totals: all('SELECT * FROM totals ORDER BY level, bucket, processor'),
    };
  }

  states(): Record<number, number> {
    const rows = this.database.prepare('SELECT id, state FROM payments ORDER BY seq').all();
    return Object.fromEntries(rows.map(({ id, state }) => [(id as Uint8Array)[15]!, state as number]));
  }

  /** The epoch that accepted a payment. */
  originOf(n: number): number {
    return this.#origins.get(n)!;
  }
}

export const words = (n: number): Int32Array => idWords(idOf(n));
