/**
 * What one instance at a time does for all, the indexer: it has the index take what the log has gained, has
 * the disk take both, removes segments that both have, and has everybody forget who is gone.
 */

import type { Clock, Timer } from '../../domain/clock.ts';
import type { Retention } from '../archive/store-archive.ts';
import { StoreFault } from '../ports.ts';
import { goneMembers, isEstateEmpty } from './forgetting.ts';
import type { IndexClient } from './index/index-client.ts';
import type { LogFiles } from './shared-log/log-files.ts';
import type { Order } from './shared-log/order.ts';
import { INDEXER } from './shared-log/ordered-members.ts';
import { logSegmentName, removableSegments, segmentAt, segmentsAmong } from './shared-log/segments.ts';
import type { LogWriter } from './shared-log/writer.ts';

/** How often the indexer looks how far the index is behind. */
const LOOK_MS = 250;
/** So many looks lie between two times that the disk is made to have what is new: a second. */
const LOOKS_A_SYNC = 4;
/** And between two times that names are looked for that are gone: a minute. */
const LOOKS_A_FORGETTING = 240;

/**
 * How far the index may be behind the log before it is moved. The tail answers for what lies between, so
 * nobody waits for the index; but a transaction costs as much for one payment as for a hundred, and a page
 * of random ids is written once for all that falls into it. What is behind has to be read again after a
 * crash, and each backend has it in memory.
 */
export interface IndexLag {
  /** For how long what is new may wait. */
  readonly ms: number;
  /** So many payments of the tail. At full load they come in a quarter of a second. */
  readonly rows: number;
  /** So much of the log, of whatever kind: beats alone are 64 MiB in three hours. */
  readonly bytes: number;
}

export const INDEX_LAG: IndexLag = { ms: 5000, rows: 4096, bytes: 1024 * 1024 };

/**
 * Where memory has a limit, of the rows that the tail may have: it keeps what two transactions have moved,
 * and the rest is for what comes while a disk or a processor has no time for the index.
 */
const LAG_SHARE = 1 / 8;

/** Between two transactions of the archive, and between two passes at most. */
const ARCHIVE_PAUSE_MS = 5;
const ARCHIVE_MS = 60_000;
const SWEEP_MS = 1000;

export interface IndexingParts {
  readonly log: LogWriter;
  readonly order: Order;
  readonly index: IndexClient;
  readonly files: LogFiles;
  readonly logDirectory: string;
  readonly clock: Clock;
  /** Default: `INDEX_LAG`. */
  readonly indexLag?: IndexLag;
  readonly forgetName?: ((name: string) => void) | undefined;
  /** Appends what the log's batch holds. Throws `StoreFault`. */
  readonly append: () => void;
  /** The disk did not take what the log has. */
  readonly lose: () => void;
  /** An expected failure in the store's words; any other error is thrown on. */
  readonly faultOf: (error: unknown) => StoreFault;
  /** How long settled payments and their ids are kept; undefined: for ever. */
  readonly retention?: Retention | undefined;
  readonly events: { notIndexed(fault: StoreFault): void };
}

export class Indexing {
  readonly #parts: IndexingParts;
  #timer: Timer | undefined;
  #archiveTimer: Timer | undefined;
  #isIndexing = false;
  /** When the index was moved last, and what of the tail it had by the mark behind that. */
  #indexedAtMs = -Infinity;
  #indexedRows = 0;
  #syncedTo = 0;
  #indexSyncedTo = 0;
  #isStopped = false;

  constructor(parts: IndexingParts) {
    this.#parts = parts;
  }

  start(): void {
    const look = (looks: number): void => {
      this.#timer = this.#parts.clock.after(LOOK_MS, () => {
        this.#index();
        if (looks % LOOKS_A_SYNC === 0) this.#keep();
        if (looks % LOOKS_A_FORGETTING === 0) this.#forget();
        if (!this.#isStopped) look(looks + 1);
      });
    };
    look(1);
    const { retention } = this.#parts;
    if (retention !== undefined) this.#archive(retention);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#archiveTimer?.cancel();
  }

  /** Takes the lease of the indexer if nobody who lives has it. Throws `StoreFault`. */
  claim(): void {
    const { log, append } = this.#parts;
    const { members } = this.#parts.order;
    const holder = members.holder(INDEXER);
    if (holder === log.epoch || members.living(holder) !== undefined) return;
    log.batch().lease(INDEXER, holder);
    append();
  }

  get #isIndexer(): boolean {
    const { epoch } = this.#parts.log;
    return epoch !== 0 && this.#parts.order.members.holder(INDEXER) === epoch;
  }

  /** Has the index take what the log has gained, and says so in the log. */
  #index(): void {
    if (!this.#isIndexer || this.#isIndexing || !this.#isFarBehind) return;
    this.#isIndexing = true;
    this.#indexedAtMs = this.#parts.clock.monotonicMs();
    this.#parts.index.advance(answer => {
      this.#isIndexing = false;
      if (this.#isStopped) return;
      if (answer instanceof StoreFault) this.#parts.events.notIndexed(answer);
      else if (answer > this.#parts.order.indexedTo) this.#mark(answer, false);
    });
  }

  get #isFarBehind(): boolean {
    const { log, clock, indexLag: lag = INDEX_LAG } = this.#parts;
    const { indexedTo, touchedAt, tail } = this.#parts.order;
    if (log.position - indexedTo >= lag.bytes) return true;
    // There is nothing new to move, but another mark lets go of what the last one had to keep.
    if (touchedAt < indexedTo) return tail.count >= tail.rowsMax / 2;
    const rows = Math.min(lag.rows, tail.rowsMax * LAG_SHARE);
    return tail.count - this.#indexedRows >= rows || clock.monotonicMs() - this.#indexedAtMs >= lag.ms;
  }

  /** Has the disk take what the log says of payments, and lets go of segments that the index has on it. */
  #keep(): void {
    const { log, order, lose } = this.#parts;
    const { position } = log;
    if (!this.#isIndexer) return;
    // Also where the log has it: the index is all that is left of what is damaged there later.
    const isMoved = order.indexedTo > this.#indexSyncedTo;
    // Beats alone are worth nothing after a loss of power.
    if (order.touchedAt < this.#syncedTo && !isMoved) return;
    log.flush(error => {
      if (error !== null) lose();
      if (this.#isStopped) return;
      this.#syncedTo = position;
      if (isMoved) this.#keepIndex();
    });
  }

  #keepIndex(): void {
    this.#parts.index.sync(answer => {
      if (answer instanceof StoreFault || this.#isStopped) return;
      this.#indexSyncedTo = answer;
      if (segmentAt(answer) <= segmentAt(this.#parts.order.durableTo)) return;
      this.#mark(answer, true);
      this.#removeSegments();
    });
  }

  #mark(position: number, isDurable: boolean): void {
    const { log, order, append } = this.#parts;
    // Whatever waits for the mark is found in the tail meanwhile; the next one says more.
    this.#housekeep(() => {
      // Another one may be the indexer by now.
      log.poll();
      if (!this.#isIndexer) return;
      const { marks } = order;
      log.batch().indexed(position, isDurable);
      append();
      if (order.marks > marks) this.#indexedRows = order.tail.count;
    });
  }

  /** Has all forget the names that are gone, and estates that were in doubt and are empty. */
  #forget(): void {
    if (!this.#isIndexer) return;
    // One whose remover died between its mark and this.
    this.#removeSegments();
    const { log, append, index, clock, forgetName } = this.#parts;
    this.#housekeep(() => {
      log.poll();
      const gone = goneMembers(this.#parts.order.members, clock.wallMs());
      for (const { epoch } of gone) log.batch().empty(epoch, true);
      append();
      for (const { name } of gone) forgetName?.(name);
    });
    for (const origin of this.#parts.order.members.doubtedEstates) {
      index.unsettled([origin], 0, 1, answer => {
        if (answer instanceof StoreFault || this.#isStopped || !this.#isIndexer) return;
        this.#housekeep(() => {
          log.poll();
          if (!isEstateEmpty(this.#parts.order, origin, answer.payments, answer.position)) return;
          log.batch().empty(origin, false);
          append();
        });
      });
    }
  }

  /** Moves what is old out of the index, one small transaction at a time. */
  #archive(retention: Retention): void {
    const { clock, index, events } = this.#parts;
    const { keptMs, idsKeptMs, exactFromMs } = retention;
    const restMs = Math.min(keptMs / 4, Number.isFinite(idsKeptMs) ? SWEEP_MS : ARCHIVE_MS);
    const again = (delayMs: number): void => {
      if (!this.#isStopped)
        this.#archiveTimer = clock.after(Math.max(ARCHIVE_PAUSE_MS, delayMs), () => this.#archive(retention));
    };
    if (!this.#isIndexer) {
      again(restMs);
      return;
    }
    const nowMs = clock.wallMs();
    index.archive([nowMs - keptMs, nowMs - idsKeptMs, exactFromMs], answer => {
      if (answer instanceof StoreFault && !this.#isStopped) events.notIndexed(answer);
      again(answer instanceof StoreFault || !answer.isMore ? restMs : ARCHIVE_PAUSE_MS);
    });
  }

  /** What fails is tried again later. */
  #housekeep(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#parts.events.notIndexed(this.#parts.faultOf(error));
    }
  }

  #removeSegments(): void {
    const { files, logDirectory, order } = this.#parts;
    this.#housekeep(() => {
      const segments = segmentsAmong(files.list(logDirectory));
      for (const segment of removableSegments(segments, order.durableTo))
        files.remove(`${logDirectory}/${logSegmentName(segment)}`);
    });
  }
}
