/**
 * What one instance at a time does for all, the indexer: it has the index take what the log has gained, has
 * the disk take both, removes segments that both have, and has everybody forget who is gone.
 */
import type { Clock, Timer } from '../../domain/clock.ts';
import { StoreFault } from '../ports.ts';
import { goneMembers, isEstateEmpty } from './forgetting.ts';
import type { IndexClient } from './index/index-client.ts';
import type { LogFiles } from './shared-log/log-files.ts';
import type { Order } from './shared-log/order.ts';
import { INDEXER } from './shared-log/ordered-members.ts';
import { logSegmentName, removableSegments, segmentAt, segmentsAmong } from './shared-log/segments.ts';
import type { LogWriter } from './shared-log/writer.ts';

/** How often the log's tail is indexed, and the disk made to have both. */
const INDEX_MS = 100;
const SYNC_MS = 1000;
/** How often names that are gone are looked for. */
const FORGET_MS = 60_000;
/** Between two transactions of the archive, and between two passes at most. */
const ARCHIVE_PAUSE_MS = 20;
const ARCHIVE_MS = 60_000;
const SWEEP_MS = 1000;

export interface Retention {
  readonly keptMs: number;
  /** Infinity: for ever. */
  readonly idsKeptMs: number;
  /** A window of a summary that begins here stays exact, although it need not be the beginning of a day. */
  readonly exactFromMs: number;
}

export interface IndexingParts {
  readonly log: LogWriter;
  readonly order: Order;
  readonly index: IndexClient;
  readonly files: LogFiles;
  readonly logDirectory: string;
  readonly clock: Clock;
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
  readonly #timers: Timer[] = [];
  #isIndexing = false;
  #syncedTo = 0;
  #isStopped = false;

  constructor(parts: IndexingParts) {
    this.#parts = parts;
  }

  start(): void {
    const { clock } = this.#parts;
    const every = (place: number, delayMs: number, task: () => void): void => {
      const again = (): void => {
        this.#timers[place] = clock.after(delayMs, () => {
          task();
          again();
        });
      };
      again();
    };
    every(0, INDEX_MS, () => this.#index());
    every(1, SYNC_MS, () => this.#keep());
    every(2, FORGET_MS, () => this.#forget());
    const { retention } = this.#parts;
    if (retention !== undefined) this.#archive(retention);
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers) timer.cancel();
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
    if (!this.#isIndexer || this.#isIndexing) return;
    if (this.#parts.order.touchedAt < this.#parts.order.indexedTo) return;
    this.#isIndexing = true;
    this.#parts.index.advance(answer => {
      this.#isIndexing = false;
      if (this.#isStopped) return;
      if (answer instanceof StoreFault) this.#parts.events.notIndexed(answer);
      else if (answer > this.#parts.order.indexedTo) this.#mark(answer, false);
    });
  }

  /** Has the disk take the log and the index, and lets go of segments that both have. */
  #keep(): void {
    const { log, index, lose } = this.#parts;
    const { position } = log;
    if (!this.#isIndexer || this.#syncedTo === position) return;
    log.flush(error => {
      if (error !== null) lose();
      if (this.#isStopped) return;
      this.#syncedTo = position;
      index.sync(answer => {
        if (answer instanceof StoreFault || this.#isStopped) return;
        if (segmentAt(answer) > segmentAt(this.#parts.order.durableTo)) this.#mark(answer, true);
        this.#removeSegments();
      });
    });
  }

  #mark(position: number, isDurable: boolean): void {
    const { log, append } = this.#parts;
    if (!this.#isIndexer) return;
    // Whatever waits for the mark is found in the tail meanwhile; the next one says more.
    this.#housekeep(() => {
      log.batch().indexed(position, isDurable);
      append();
    });
  }

  /** Has all forget the names that are gone, and estates that were in doubt and are empty. */
  #forget(): void {
    if (!this.#isIndexer) return;
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
    const restMs = Math.min(keptMs / 100, Number.isFinite(idsKeptMs) ? SWEEP_MS : ARCHIVE_MS);
    const again = (delayMs: number): void => {
      if (!this.#isStopped)
        this.#timers[3] = clock.after(Math.max(ARCHIVE_PAUSE_MS, delayMs), () => this.#archive(retention));
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
