/**
 * The embedded engine on a virtual disk, with an index that answers within the call, for the tests of its
 * faults.
 */
import type { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../domain/clock.ts';
import type { StoredPayment } from '../../domain/payment.ts';
import { type Asked, asked, idOf, put, settleRow } from '../../testing/stores.ts';
import { VirtualClock } from '../../testing/virtual-clock.ts';
import { Batch } from '../batch.ts';
import type { Joined } from '../ports.ts';
import { EmbeddedStore } from './embedded-store.ts';
import { InProcessIndexClient } from './index/in-process-client.ts';
import { openMemoryIndex } from './index/schema.ts';
import { INDEX_LAG } from './indexing.ts';
import { logSegmentName } from './shared-log/segments.ts';
import { VirtualLogFiles } from './shared-log/virtual-log-files.ts';

/** The disk takes what it was given so often. */
const SYNCED_EVERY_MS = 100;

export class EngineStand {
  readonly files = new VirtualLogFiles();
  database: DatabaseSync;
  segmentBytes: number | undefined;
  indexLag = INDEX_LAG;
  tailRowsMax: number | undefined;
  /** What was said to be damaged, and why the index did not move. */
  readonly damaged: (readonly [segment: number, from: number, to: number])[] = [];
  readonly notIndexed: string[] = [];
  /** Names whose files were removed. */
  readonly forgotten: string[] = [];
  #time = new VirtualClock();
  #nonce = 2 ** 40;

  constructor(store = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)) {
    this.database = openMemoryIndex(store);
  }

  /** `held`: answers of its index, until the test delivers them. */
  async open(boot = 1, isFlushing = false, held?: (() => void)[]): Promise<Engine> {
    const { files } = this;
    const time = this.#time;
    const clock: Clock = {
      monotonicMs: () => time.monotonicMs(),
      wallMs: () => time.monotonicMs(),
      after: (delayMs, task) => time.after(delayMs, task),
      soon: task => void time.after(0, task),
    };
    const index = new InProcessIndexClient({
      ...{ files, logDirectory: '/store/log', database: () => this.database },
      schedule: carryOut => {
        const deliver = carryOut();
        if (held === undefined) deliver();
        else held.push(deliver);
      },
    });
    const opening = EmbeddedStore.open({
      ...{ directory: '/store', logDirectory: '/store/log', files, index, clock, boot },
      ...(this.segmentBytes === undefined ? {} : { segmentBytes: this.segmentBytes }),
      ...(this.tailRowsMax === undefined ? {} : { tailRowsMax: this.tailRowsMax }),
      indexLag: this.indexLag,
      isFlushing,
      forgetName: name => void this.forgotten.push(name),
      nonce: () => this.#nonce++,
      events: {
        damaged: ({ segment, from, to }) => {
          this.damaged.push([segment, from, to]);
        },
        notIndexed: ({ detail }) => this.notIndexed.push(detail),
      },
    });
    if (held === undefined) await this.#passUntil(opening);
    return new Engine(await opening, files);
  }

  /** A log that ends with a part of a batch is looked at for a while. */
  async #passUntil(opening: Promise<unknown>): Promise<void> {
    let isOver = false;
    const over = (): void => {
      isOver = true;
    };
    opening.then(over, over);
    // Nothing else of this process gets a turn meanwhile, as long as that is not waited for.
    for (let turns = 1; !isOver; turns++) {
      await (turns < 5000 ? undefined : new Promise(resolve => setImmediate(resolve)));
      if (turns % 100 === 0) this.#time.pass(100);
    }
  }

  /** The index moves to the end of the log. */
  index(): void {
    this.#time.pass(this.indexLag.ms);
  }

  /** Lets time pass. */
  pass(ms: number): void {
    this.#time.pass(ms);
  }

  /** Lets time pass, and the disk take what it was given meanwhile; returns how often it was asked to. */
  rest(ms: number): number {
    let syncs = 0;
    for (let passed = 0; passed < ms; passed += SYNCED_EVERY_MS) {
      this.#time.pass(SYNCED_EVERY_MS);
      syncs += this.files.endSyncs();
    }
    return syncs;
  }

  /** Nobody who had a store does anything from here on, and the log has what was on its disk. */
  losePower(): void {
    this.files.losePower();
    this.#time = new VirtualClock();
  }

  segment(number = 1): Uint8Array {
    return this.files.bytesOf(`/store/log/${logSegmentName(number)}`);
  }
}

/** An instance's store. */
export class Engine {
  readonly raw: EmbeddedStore;
  readonly store: Asked;
  joined: Joined | undefined;
  readonly #files: VirtualLogFiles;

  constructor(raw: EmbeddedStore, files: VirtualLogFiles) {
    this.raw = raw;
    this.#files = files;
    this.store = asked(raw);
  }

  async join(name: string): Promise<this> {
    const { syncing } = this.#files;
    const joining = this.store.join(name);
    this.#files.endSyncs(null, syncing);
    this.joined = await joining;
    return this;
  }

  async accept(...numbers: number[]): Promise<number[]> {
    const batch = new Batch(this.joined!.epoch, this.joined!.generation);
    for (const n of numbers) put(batch, n);
    return [...(await this.store.write(batch)).results];
  }

  async settle(payment: StoredPayment): Promise<void> {
    const batch = new Batch(this.joined!.epoch, this.joined!.generation);
    settleRow(batch, payment, { requestedAtMs: 5 });
    await this.store.write(batch);
  }

  payment(n: number): Promise<StoredPayment | undefined> {
    return this.store.find(idOf(n));
  }

  /** Which of the numbers it finds. */
  async found(...numbers: number[]): Promise<number[]> {
    const payments = await Promise.all(numbers.map(n => this.payment(n)));
    return numbers.filter((_, index) => payments[index] !== undefined);
  }
}
