/**
 * The index of the embedded engine in the world: the real one over an SQLite in memory, which all backends
 * share as they share a file, and which loses what it had not synced when the power goes.
 */

import { HOLD_REASONS } from '../domain/payment.ts';
import type { IndexClient } from '../storage/embedded/index/index-client.ts';
import { IndexReader } from '../storage/embedded/index/index-reader.ts';
import { type IndexOpened, LogIndex } from '../storage/embedded/index/log-index.ts';
import { copyOfMemoryIndex, indexFaultOf, openMemoryIndex } from '../storage/embedded/index/schema.ts';
import type { LogFiles } from '../storage/embedded/shared-log/log-files.ts';
import type { HeldCounts, History, InspectedPayment, SettledPage } from '../storage/inspection.ts';
import { type Reply, StoreFault } from '../storage/ports.ts';
import type { Dice } from './dice.ts';

export const LOG_DIRECTORY = 'log';

/** The file that the backends share. */
export class SharedIndex {
  /** The log goes on in another place than it ended: something was lost. */
  moved = (): void => {};
  database = openMemoryIndex(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  #synced = this.database.serialize();

  sync(): void {
    this.#synced = this.database.serialize();
  }

  copy(): Uint8Array {
    return this.database.serialize();
  }

  /** Is this one from now on. */
  replace(bytes: Uint8Array): void {
    this.database = copyOfMemoryIndex(bytes);
    this.sync();
  }

  /** Goes back to what its disk has, or not so far: another file, which has to be opened anew. */
  losePower(dice: Dice): void {
    if (dice.hits(0.5)) this.sync();
    this.database = copyOfMemoryIndex(this.#synced);
  }
}

export interface SimulatedIndexParts {
  readonly shared: SharedIndex;
  readonly files: LogFiles;
  readonly wallMs: () => number;
  /** Calls back after the time that a call takes, unless the process is dead by then. */
  readonly later: (answer: () => void) => void;
}

export class SimulatedIndex implements IndexClient {
  readonly #parts: SimulatedIndexParts;
  #index: LogIndex | undefined;
  #database: SharedIndex['database'];
  #reader: IndexReader;

  constructor(parts: SimulatedIndexParts) {
    this.#parts = parts;
    this.#database = parts.shared.database;
    this.#reader = new IndexReader(parts.shared.database);
  }

  open(): Promise<IndexOpened> {
    const { shared, files, wallMs } = this.#parts;
    this.#index?.forget();
    this.#index = new LogIndex({ database: shared.database, files, directory: LOG_DIRECTORY, wallMs });
    this.#database = shared.database;
    this.#reader = new IndexReader(shared.database);
    const opened = this.#index.open();
    if (opened.damage.length > 0) {
      // As the disk has it before `open` returns.
      shared.sync();
      shared.moved();
    }
    return Promise.resolve(opened);
  }

  advance(reply: Reply<number>): void {
    this.#call(reply, index => index.advance());
  }

  sync(reply: Reply<number>): void {
    this.#call(reply, index => {
      this.#parts.shared.sync();
      return index.position;
    });
  }

  find(id: Uint8Array): Float64Array | undefined {
    if (this.#isGone) throw new StoreFault('lost', 'the disk of the index was taken out');
    return this.#reader.find(id);
  }

  closedBecause(id: Uint8Array): string {
    if (this.#isGone) throw new StoreFault('lost', 'the disk of the index was taken out');
    return this.#reader.closedBecause(id);
  }

  summary(fromMs: number, toMs: number, reply: Reply<ReturnType<IndexReader['summary']>>): void {
    this.#call(reply, () => this.#reader.summary(fromMs, toMs));
  }

  unsettled(
    origins: readonly number[],
    afterSeq: number,
    limit: number,
    reply: Reply<ReturnType<LogIndex['unsettled']>>,
  ): void {
    this.#call(reply, index => index.unsettled(origins, afterSeq, limit));
  }

  held(
    origins: readonly number[],
    dueMs: number,
    limit: number,
    reply: Reply<ReturnType<LogIndex['held']>>,
  ): void {
    this.#call(reply, index => index.held(origins, dueMs, limit));
  }

  pinnedTo(processor: number, limit: number, reply: Reply<ReturnType<LogIndex['pinnedTo']>>): void {
    this.#call(reply, index => index.pinnedTo(processor, limit));
  }

  heldCounts(reply: Reply<HeldCounts>): void {
    reply(HOLD_REASONS.map(() => 0));
  }

  inspectHeld(_limit: number, reply: Reply<InspectedPayment[]>): void {
    reply([]);
  }

  settled(_after: number, _limit: number, reply: Reply<SettledPage>): void {
    reply({ payments: [], after: 0 });
  }

  latest(_limit: number, reply: Reply<InspectedPayment[]>): void {
    reply([]);
  }

  history(_id: Uint8Array, reply: Reply<History | undefined>): void {
    reply(undefined);
  }

  close(): Promise<void> {
    this.#index?.forget();
    this.#index = undefined;
    return Promise.resolve();
  }

  /** The power was lost, or the disk taken out, since this was opened. */
  get #isGone(): boolean {
    return this.#database !== this.#parts.shared.database;
  }

  #call<T>(reply: Reply<T>, work: (index: LogIndex) => T): void {
    this.#parts.later(() => {
      const index = this.#index;
      let answer: T | StoreFault;
      if (index === undefined || this.#isGone) answer = new StoreFault('lost', 'the index is closed');
      else
        try {
          answer = work(index);
        } catch (error) {
          answer = indexFaultOf(error);
        }
      this.#parts.later(() => reply(answer));
    });
  }
}
