/** The index without a thread: what it is asked is carried out here, when its user says so. */
import type { DatabaseSync } from 'node:sqlite';
import type { Summary } from '../../../domain/payment.ts';
import type { HeldCounts, History, InspectedPayment, SettledPage } from '../../inspection.ts';
import { type Reply, StoreFault } from '../../ports.ts';
import type { ArchiveFolder } from '../archive/archive-folder.ts';
import { Archiver, type ArchiveStep, type ArchiveValues } from '../archive/archiver.ts';
import type { LogFiles } from '../shared-log/log-files.ts';
import type { IndexClient } from './index-client.ts';
import { IndexReader } from './index-reader.ts';
import { Inspector } from './inspect.ts';
import { type IndexDamage, type IndexOpened, LogIndex } from './log-index.ts';
import { indexFaultOf } from './schema.ts';
import type { IndexedPayment } from './statements.ts';

/** What the database is on, where that may lose what it has. */
export interface IndexDisk {
  /** Whether what was opened is not what is there now: it has to be opened anew. */
  isLost(database: DatabaseSync): boolean;
  /** Takes what was written. */
  sync(): void;
}

export interface InProcessIndexParts {
  /**
   * The database as it is when the index is opened, which stays its giver's to close. May throw
   * `StoreOpenError`.
   */
  readonly database: () => DatabaseSync;
  readonly files: LogFiles;
  /** Of the segments. */
  readonly logDirectory: string;
  /**
   * Decides when a call is carried out and when it is answered: `carryOut` does it and returns what delivers
   * the answer; keeping the order is its business too.
   */
  readonly schedule: (carryOut: () => () => void) => void;
  readonly disk?: IndexDisk;
  /** Where payments are archived; without one none is. */
  readonly archive?: ArchiveFolder;
  /** As of `IndexParts`. */
  readonly wallMs?: () => number;
}

interface Opened {
  readonly database: DatabaseSync;
  readonly index: LogIndex;
  readonly reader: IndexReader;
  readonly archiver: Archiver | undefined;
}

export class InProcessIndexClient implements IndexClient {
  readonly #parts: InProcessIndexParts;
  #opened: Opened | undefined;
  damaged: (found: IndexDamage) => void = () => {};

  constructor(parts: InProcessIndexParts) {
    this.#parts = parts;
  }

  async open(): Promise<IndexOpened> {
    this.#end();
    const { files, logDirectory: directory, wallMs } = this.#parts;
    const database = this.#parts.database();
    const index = new LogIndex({ database, files, directory, ...(wallMs === undefined ? {} : { wallMs }) });
    const { archive } = this.#parts;
    const archiver = archive && new Archiver(database, archive);
    this.#opened = { database, index, reader: new IndexReader(database), archiver };
    try {
      return index.open();
    } finally {
      const found = index.takeDamage();
      if (found !== undefined) {
        this.#parts.disk?.sync();
        this.damaged(found);
      }
    }
  }

  advance(reply: Reply<number>): void {
    let found: IndexDamage | undefined;
    const said: Reply<number> = answer => {
      if (found !== undefined) this.damaged(found);
      reply(answer);
    };
    this.#ask(said, ({ index }) => {
      const position = index.advance();
      found = index.takeDamage();
      return position;
    });
  }

  sync(reply: Reply<number>): void {
    this.#ask(reply, ({ index }) => {
      this.#parts.disk?.sync();
      return index.position;
    });
  }

  find(id: Uint8Array): IndexedPayment | undefined {
    if (this.#opened === undefined || this.#isLost(this.#opened)) throw closed();
    return this.#opened.reader.find(id);
  }

  closedBecause(id: Uint8Array): string {
    if (this.#opened === undefined || this.#isLost(this.#opened)) throw closed();
    return this.#opened.reader.closedBecause(id);
  }

  summary(
    fromMs: number,
    toMs: number,
    reply: Reply<{ readonly summary: Summary; readonly position: number }>,
  ): void {
    this.#ask(reply, ({ reader }) => reader.summary(fromMs, toMs));
  }

  unsettled(
    origins: readonly number[],
    afterSeq: number,
    limit: number,
    reply: Reply<{ readonly payments: IndexedPayment[]; readonly position: number }>,
  ): void {
    this.#ask(reply, ({ index }) => index.unsettled(origins, afterSeq, limit));
  }

  held(
    origins: readonly number[],
    dueMs: number,
    limit: number,
    reply: Reply<{ readonly payments: IndexedPayment[]; readonly position: number }>,
  ): void {
    this.#ask(reply, ({ index }) => index.held(origins, dueMs, limit));
  }

  latest(limit: number, reply: Reply<InspectedPayment[]>): void {
    this.#ask(reply, ({ database }) => new Inspector(database).latest(limit));
  }

  history(id: Uint8Array, reply: Reply<History | undefined>): void {
    this.#ask(reply, ({ database }) => new Inspector(database).history(id));
  }

  heldCounts(reply: Reply<HeldCounts>): void {
    this.#ask(reply, ({ database }) => new Inspector(database).heldCounts());
  }

  inspectHeld(limit: number, reply: Reply<InspectedPayment[]>): void {
    this.#ask(reply, ({ database }) => new Inspector(database).held(limit));
  }

  settled(after: number, limit: number, reply: Reply<SettledPage>): void {
    this.#ask(reply, ({ database }) => new Inspector(database).settled(after, limit));
  }

  pinnedTo(processor: number, limit: number, reply: Reply<IndexedPayment[]>): void {
    this.#ask(reply, ({ index }) => index.pinnedTo(processor, limit));
  }

  archive(values: ArchiveValues, reply: Reply<ArchiveStep>): void {
    this.#ask(reply, ({ archiver }) => archiver!.step(...values));
  }

  async close(): Promise<void> {
    this.#end();
  }

  #ask<T>(reply: Reply<T>, work: (opened: Opened) => T): void {
    const opened = this.#opened;
    this.#parts.schedule(() => {
      const answer = this.#answer(opened, work);
      // What was closed meanwhile answers nothing: its log is another one.
      return () => reply(opened === this.#opened ? answer : closed());
    });
  }

  #answer<T>(opened: Opened | undefined, work: (opened: Opened) => T): T | StoreFault {
    if (opened === undefined || opened !== this.#opened || this.#isLost(opened)) return closed();
    try {
      return work(opened);
    } catch (error) {
      return indexFaultOf(error);
    }
  }

  #isLost({ database }: Opened): boolean {
    return this.#parts.disk?.isLost(database) === true;
  }

  #end(): void {
    this.#opened?.index.forget();
    this.#opened = undefined;
  }
}

const closed = (): StoreFault => new StoreFault('lost', 'the index is closed');
