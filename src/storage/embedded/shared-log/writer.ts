/**
 * Appends what one instance has to say: one batch a turn with one write, then reads forward to its end. When
 * `append` returns, the order has decided each record of it, with everything in front of it.
 */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { isSystemError } from '../../../domain/system-error.ts';
import type { BatchView } from './decoder.ts';
import type { LogFiles } from './log-files.ts';
import type { Order } from './order.ts';
import { BATCH_REPEATED, type BatchVerdict, COUNTED } from './order-state.ts';
import { LogReader, type LogReaderEvents } from './reader.ts';
import { BatchEncoder } from './records.ts';
import {
  encodeSegmentHeader,
  logSegmentName,
  type StoreId,
  segmentBytesMax,
  segmentsAmong,
} from './segments.ts';

/**
 * Nothing of the batch has happened, and nothing will: it is still there to be appended again. Of a log in
 * which damage was found (`lost`) nobody can tell.
 */
export class LogFault {
  readonly reason: 'full' | 'busy' | 'lost';
  readonly detail: string;
  constructor(reason: LogFault['reason'], detail: string) {
    this.reason = reason;
    this.detail = detail;
  }
}

/** A batch of the log and what became of its records. */
export interface ReadLate {
  readonly number: number;
  readonly results: Float64Array;
}

export interface LogWriterParts {
  readonly files: LogFiles;
  readonly directory: string;
  readonly id: StoreId;
  readonly order: Order;
  readonly position: number;
  readonly events: Pick<LogReaderEvents, 'gap' | 'fed'>;
  readonly segmentBytes?: number;
}

/** A full disk may take a part of a write again and again. */
const APPENDS_MAX = 3;

export class LogWriter {
  readonly #parts: LogWriterParts;
  readonly #reader: LogReader;
  readonly #encoder = new BatchEncoder();
  readonly #segmentBytes: number;
  #instance = 0;
  #epoch = 0;
  /** Of the batch that is appended next. */
  #number = 1;
  /** What was known when its first record was made. */
  #generation = 0;
  #marksSeen = 0;
  #own: BatchVerdict | undefined;
  /** What became of each record of the own batch. */
  #results = new Float64Array(64);
  /** A batch was appended, and reading failed before its place: it may count, which the next reading says. */
  #isUnread = false;
  #readLate: ReadLate | undefined;
  /** Segments that are left and not synced yet. */
  #left: number[] = [];
  #isSyncing = false;
  #waiting: ((error: Error | null) => void)[] = [];
  #isClosed = false;
  /** Its descriptors are closed. */
  #isReleased = false;

  constructor(parts: LogWriterParts) {
    this.#parts = parts;
    this.#segmentBytes = parts.segmentBytes ?? segmentBytesMax;
    this.#reader = new LogReader({
      ...parts,
      events: {
        gap: (segment, gap) => parts.events.gap(segment, gap),
        fed: (batch, verdict) => this.#fed(batch, verdict),
        left: fd => this.#left.push(fd),
        // While others append faster than this one reads, the end is never reached, and need not be.
        isEnough: () => this.#own !== undefined,
      },
    });
    this.#openEarlier();
  }

  get epoch(): number {
    return this.#epoch;
  }

  get position(): number {
    return this.#reader.position;
  }

  get endsInPart(): boolean {
    return this.#reader.endsInPart;
  }

  /** Of the batch that `append` has just said to count. Valid until the next one. */
  get results(): Float64Array {
    return this.#results;
  }

  /** The number of the batch that is appended next: it rises when one is found to count. */
  get number(): number {
    return this.#number;
  }

  /** Whether the last batch may count although `append` has thrown. */
  get isUnread(): boolean {
    return this.#isUnread;
  }

  /** The last batch that was `isUnread` and was found to count since. */
  get readLate(): ReadLate | undefined {
    return this.#readLate;
  }

  /**
   * The batch of this turn, to put records in. What stands there rests on what is known now; `marksSeen`: on
   * a look-up in the index that was asked when so many marks had been read.
   */
  batch(marksSeen = this.#parts.order.marks): BatchEncoder {
    if (this.#encoder.count === 0) {
      this.#generation = this.#parts.order.generation;
      this.#marksSeen = marksSeen;
    } else this.#marksSeen = Math.min(this.#marksSeen, marksSeen);
    return this.#encoder;
  }

  /** Whether what is appended goes where everybody reads it: nobody removes a segment that is not sealed. */
  get isInPlace(): boolean {
    const { files, directory } = this.#parts;
    return files.isInPlace(this.#reader.fd, join(directory, logSegmentName(this.#reader.segment)));
  }

  /** Makes ready to join anew: an earlier epoch of this writer has ended. */
  rejoin(): void {
    this.#encoder.clear();
    this.#readLate = undefined;
    this.#epoch = 0;
  }

  /** Reads what the others have appended. */
  poll(): void {
    this.#own = undefined;
    this.#reader.poll();
    this.#isUnread = false;
  }

  /**
   * Joins under a name whose latest epoch was `epochSeen` (0: none). `nonce`: a number that nobody else has
   * chosen, to know the own batch by. Replies with the epoch, 0 if somebody else has joined so meanwhile.
   */
  join(name: string, epochSeen: number, nonce: number, isFlushing = false): number | LogFault {
    assert(this.#epoch === 0 && this.#encoder.count === 0);
    this.batch().join(new TextEncoder().encode(name), epochSeen, isFlushing);
    this.#number = nonce;
    const outcome = this.append();
    if (outcome instanceof LogFault) {
      this.discard();
      return outcome;
    }
    this.#epoch = this.#results[0]!;
    this.#number = 1;
    if (this.#epoch !== 0) this.#instance = this.#parts.order.members.living(this.#epoch)?.number ?? 0;
    return this.#epoch;
  }

  /** Says that this is another run of the machine, before it joins. `nonce` as for `join`. */
  boot(boot: number, detail: number, nonce: number, asksFirstUntilMs = 0): LogFault | undefined {
    assert(this.#epoch === 0 && this.#encoder.count === 0);
    this.batch().boot(boot, this.#parts.order.term, detail, asksFirstUntilMs);
    this.#number = nonce;
    const outcome = this.append();
    this.discard();
    return outcome instanceof LogFault ? outcome : undefined;
  }

  /**
   * Appends the batch and reads up to it. `COUNTED`: `results` say what became of each record.
   * `BATCH_FENCED`, `BATCH_PURGED`, `BATCH_STALE`: nothing has happened, and the batch is empty again, as it
   * must not be said so any more. A fault: nothing has happened, and the batch is still there. When this
   * throws what the reader throws, the batch may count all the same (`isUnread`).
   */
  append(): BatchVerdict | LogFault {
    if (this.#encoder.count === 0) return COUNTED;
    // Which number is the next one?
    if (this.#isUnread) this.poll();
    if (this.#isInDoubt) return inDoubt();
    const outcome = this.#appendWhole();
    if (outcome instanceof LogFault) return outcome;
    this.#encoder.clear();
    if (this.#isInDoubt) return inDoubt();
    if (outcome === COUNTED && this.#epoch !== 0 && this.#reader.offset >= this.#segmentBytes) this.#seal();
    return outcome;
  }

  /** Empties the batch: nothing of it was appended. */
  discard(): void {
    this.#encoder.clear();
  }

  /**
   * Calls `done` once everything that was read so far, and so everything appended, is on the disk. Who waits
   * at the same time shares one sync.
   */
  flush(done: (error: Error | null) => void): void {
    if (this.#isClosed) {
      done(new Error('the log is closed'));
      return;
    }
    this.#waiting.push(done);
    if (!this.#isSyncing) this.#sync();
  }

  close(): void {
    this.#isClosed = true;
    if (this.#isSyncing || this.#isReleased) return;
    this.#isReleased = true;
    for (const done of this.#waiting.splice(0)) done(new Error('the log was closed'));
    for (const fd of this.#left.splice(0)) this.#parts.files.close(fd);
    this.#reader.close();
  }

  /** It has read damage since it joined: others may have read what stood there, and decided otherwise. */
  get #isInDoubt(): boolean {
    return this.#epoch !== 0 && this.#parts.order.isDamaged;
  }

  #appendWhole(): BatchVerdict | LogFault {
    const { files, id } = this.#parts;
    const length = this.#encoder.finish({
      store: id.mark,
      instance: this.#instance,
      epoch: this.#epoch,
      number: this.#number,
      generation: this.#generation,
      marksSeen: this.#marksSeen,
    });
    let fault: LogFault | undefined;
    for (let appends = 0; appends < APPENDS_MAX; ) {
      const { segment, fd } = this.#reader;
      let isTaken = false;
      this.#own = undefined;
      try {
        if (files.append(fd, this.#encoder.bytes, length) < length) {
          fault = new LogFault('full', 'a write was cut short');
          appends += 1;
        } else isTaken = true;
      } catch (error) {
        fault = faultOfAppend(error);
        appends = APPENDS_MAX;
      }
      this.#poll(isTaken);
      const own = this.#own as BatchVerdict | undefined;
      if (own !== undefined) return own;
      // Behind a seal; it was read, so the next one goes to the next segment.
      if (this.#reader.segment !== segment) continue;
      fault ??= new LogFault('lost', 'what was appended cannot be read');
      if (fault.reason !== 'full') return fault;
    }
    return fault!;
  }

  /** Reads up to the own batch; what fails behind it is for the next one to find. */
  #poll(isTaken: boolean): void {
    try {
      this.#reader.poll();
    } catch (error) {
      if (this.#own !== undefined && isSystemError(error)) return;
      this.#isUnread = isTaken;
      throw error;
    }
  }

  #fed(batch: BatchView, verdict: BatchVerdict): void {
    const { order, events } = this.#parts;
    if (batch.epoch === this.#epoch && batch.number === this.#number && batch.store === order.store) {
      this.#own = verdict;
      if (verdict === COUNTED || verdict === BATCH_REPEATED) this.#number += 1;
      if (verdict === COUNTED && this.#isUnread)
        this.#readLate = { number: batch.number, results: order.results.slice(0, batch.count) };
      if (verdict === COUNTED) {
        if (this.#results.length < batch.count) this.#results = new Float64Array(batch.count * 2);
        for (let record = 0; record < batch.count; record++) this.#results[record] = order.results[record]!;
      }
    }
    events.fed?.(batch, verdict);
  }

  /**
   * Whoever wrote the segments in front of ours may be dead, and nobody else have synced them: the first
   * `flush` does.
   */
  #openEarlier(): void {
    const { files, directory } = this.#parts;
    for (const segment of segmentsAmong(files.list(directory))) {
      if (segment >= this.#reader.segment) continue;
      try {
        this.#left.push(files.openToAppend(join(directory, logSegmentName(segment))));
      } catch (error) {
        // It was indexed, synced and removed meanwhile.
        if (!isSystemError(error) || error.code !== 'ENOENT') throw error;
      }
    }
  }

  /** Puts the next segment there and seals this one. If that fails, the log goes on as it is. */
  #seal(): void {
    const { files, directory, id, order } = this.#parts;
    const next = this.#reader.segment + 1;
    try {
      const header = encodeSegmentHeader(id, next, order.generation);
      files.createWhole(join(directory, logSegmentName(next)), header);
    } catch {
      return;
    }
    const results = this.#results;
    this.#results = new Float64Array(1);
    this.batch().seal(next);
    try {
      this.#appendWhole();
    } catch (error) {
      // What was to be appended has counted before it: what reads the next batch says more.
      if (!isSystemError(error)) throw error;
    }
    this.#encoder.clear();
    this.#results = results;
  }

  #sync(): void {
    const { files } = this.#parts;
    const waiting = this.#waiting;
    const left = this.#left;
    this.#waiting = [];
    this.#left = [];
    this.#isSyncing = true;
    let open = left.length + 1;
    let failed: Error | null = null;
    const ended = (error: Error | null): void => {
      failed ??= error;
      open -= 1;
      if (open > 0) return;
      if (failed === null) for (const fd of left) files.close(fd);
      // Whoever waits next waits for them as well.
      else this.#left.unshift(...left);
      for (const done of waiting) done(failed);
      // Not before: who was waiting may close this, or wait again.
      this.#isSyncing = false;
      if (this.#isClosed) this.close();
      else if (this.#waiting.length > 0) this.#sync();
    };
    for (const fd of [...left, this.#reader.fd]) {
      try {
        files.sync(fd, ended);
      } catch (error) {
        ended(error as Error);
      }
    }
  }
}

const inDoubt = (): LogFault => new LogFault('lost', 'a part of the log is damaged');

function faultOfAppend(error: unknown): LogFault {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case undefined:
      throw error;
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new LogFault('full', message);
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOMEM':
    case 'EINTR':
    case 'EAGAIN':
      return new LogFault('busy', message);
    default:
      return new LogFault('lost', message);
  }
}
