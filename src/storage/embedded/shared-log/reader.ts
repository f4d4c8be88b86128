/**
 * Reads the log forward and feeds each whole batch to an `Order`: to the end as it is at that moment.
 */
import { join } from 'node:path';
import {
  BatchView,
  findBatch,
  type Gap,
  gapsOf,
  type LogBytes,
  readBatch,
  undecidedFrom,
} from './decoder.ts';
import { LogBehindError } from './log-error.ts';
import type { LogFiles } from './log-files.ts';
import type { Order } from './order.ts';
import { type BatchVerdict, COUNTED } from './order-state.ts';
import { batchBytesMax } from './records.ts';
import {
  checkSegmentHeader,
  logSegmentName,
  offsetAt,
  positionOf,
  SEGMENT_HEADER_BYTES,
  type StoreId,
  segmentAt,
} from './segments.ts';

/** Holds what may be undecided, and as much again to go on with. */
const BUFFER_BYTES = 2 * batchBytesMax;
/** What the log of an instance at rest needs; the buffer grows by steps if more is there to read. */
const BUFFER_BYTES_MIN = 4 * 1024;
const BUFFER_GROWTH = 8;

export interface LogReaderParts {
  readonly files: LogFiles;
  readonly directory: string;
  readonly id: StoreId;
  readonly order: Order;
  /** Where to begin: the position that the order is of. */
  readonly position: number;
  readonly events: LogReaderEvents;
}

export interface LogReaderEvents {
  /** What was passed over; its positions are offsets in the segment. */
  gap(segment: number, gap: Gap): void;
  /** A batch was fed; `batch` and the order's results are valid until this returns. */
  fed?(batch: BatchView, verdict: BatchVerdict): void;
  /** Whether what was fed is all that is wanted now, though there is more. */
  isEnough?(): boolean;
  /** The segment that `fd` reads is at its end: it is the receiver's to sync and to close. */
  left(fd: number): void;
}

export class LogReader {
  readonly #parts: LogReaderParts;
  readonly #batch = new BatchView();
  #source: LogBytes = sourceOf(BUFFER_BYTES_MIN);
  #segment: number;
  #offset: number;
  #fd: number;
  /** Up to here no whole batch was found: only with more than that is it worth looking again. */
  #triedTo = 0;
  /** Nothing was read yet. */
  #isFirst = true;

  /** Throws `LogBehindError`, `LogForeignError`, `LogVersionError`, and what the files throw. */
  constructor(parts: LogReaderParts) {
    this.#parts = parts;
    this.#segment = segmentAt(parts.position);
    this.#offset = Math.max(SEGMENT_HEADER_BYTES, offsetAt(parts.position));
    this.#fd = this.#open(this.#segment);
  }

  /** The first byte that is not decided. */
  get position(): number {
    return positionOf(this.#segment, this.#offset);
  }

  get segment(): number {
    return this.#segment;
  }

  get offset(): number {
    return this.#offset;
  }

  /** Whether something stands at the end that is no whole batch. */
  get endsInPart(): boolean {
    return this.#triedTo > this.#offset;
  }

  /** The open segment, to append to. */
  get fd(): number {
    return this.#fd;
  }

  /** Reads and feeds all that is there. */
  poll(): void {
    const { events, files, order } = this.#parts;
    // The seal was read, and the next segment could not be opened: nothing else counts until it is.
    if (order.sealed === this.#segment) this.#goOn();
    for (let isNextBegun = false; ; ) {
      const { bytes } = this.#source;
      const length = files.read(this.#fd, bytes, 0, bytes.length, this.#offset);
      const segment = this.#segment;
      const decided = this.#offset + length === this.#triedTo ? 0 : this.#feed(length);
      // A seal: what stands behind it counts for nobody.
      if (this.#segment !== segment) {
        isNextBegun = false;
        continue;
      }
      this.#offset += decided;
      this.#triedTo = decided < length ? this.#offset + length - decided : 0;
      if (events.isEnough?.() === true) return;
      if (length === bytes.length) {
        if (bytes.length < BUFFER_BYTES)
          this.#source = sourceOf(Math.min(bytes.length * BUFFER_GROWTH, BUFFER_BYTES));
        else if (decided === 0) this.#skip(length);
        continue;
      }
      // Looked for only where something may be wrong: on opening, and in front of what is no batch.
      if (!isNextBegun && ((decided === length && !this.#isFirst) || !this.#isBegun(segment + 1))) {
        this.#isFirst = false;
        return;
      }
      // The seal may have come since this was read.
      if (isNextBegun && decided === 0) this.#leaveUnsealed(length);
      isNextBegun = this.#segment === segment;
    }
  }

  close(): void {
    this.#parts.files.close(this.#fd);
  }

  /** Feeds what is whole of the first `length` bytes; returns how many are decided. */
  #feed(length: number): number {
    const batch = this.#batch;
    const { order, events } = this.#parts;
    let at = 0;
    while (at < length) {
      if (!readBatch(this.#source, at, length, batch)) {
        const next = findBatch(this.#source, at + 1, length, batch);
        if (next === -1) return at;
        this.#report(at, next);
        at = next;
      }
      const verdict = order.feed(batch, positionOf(this.#segment, this.#offset + at));
      events.fed?.(batch, verdict);
      at += batch.byteLength;
      if (verdict === COUNTED && order.sealed === this.#segment) {
        this.#goOn();
        return at;
      }
    }
    return at;
  }

  /** Passes over what is further from the end than the longest batch: no batch will ever begin there. */
  #skip(length: number): void {
    const to = undecidedFrom(0, length);
    this.#report(0, to);
    this.#offset += to;
  }

  /**
   * Nobody appends to a segment who has not read the seal of the one in front: where the next one has
   * batches and this one no seal, its end is damaged. The first `length` bytes there are no batch.
   */
  #leaveUnsealed(length: number): void {
    const { order, events } = this.#parts;
    order.passedOver();
    const from = this.#offset;
    events.gap(this.#segment, { is: 'damaged', from, to: from + length, records: 0 });
    order.sealed = this.#segment;
    this.#goOn();
    // Which may be empty, where one behind it has batches.
    this.#isFirst = true;
  }

  /** Whether `segment` or one behind it has batches. */
  #isBegun(segment: number): boolean {
    const { files, directory } = this.#parts;
    let fd: number;
    try {
      fd = files.openToAppend(join(directory, logSegmentName(segment)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return false;
    }
    try {
      if (files.read(fd, new Uint8Array(1), 0, 1, SEGMENT_HEADER_BYTES) === 1) return true;
    } finally {
      files.close(fd);
    }
    return this.#isBegun(segment + 1);
  }

  #report(from: number, to: number): void {
    for (const gap of gapsOf(this.#source, from, to)) {
      const moved = { ...gap, from: this.#offset + gap.from, to: this.#offset + gap.to };
      // A write that was cut short counted for nobody.
      if (gap.is === 'damaged') this.#parts.order.passedOver();
      this.#parts.events.gap(this.#segment, moved);
    }
  }

  #goOn(): void {
    const next = this.#open(this.#segment + 1);
    this.#parts.events.left(this.#fd);
    this.#fd = next;
    this.#segment += 1;
    this.#offset = SEGMENT_HEADER_BYTES;
    this.#triedTo = 0;
  }

  #open(segment: number): number {
    const { files, directory, id, events } = this.#parts;
    const path = join(directory, logSegmentName(segment));
    let fd: number;
    try {
      fd = files.openToAppend(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new LogBehindError(`${path} is not there any more`);
    }
    try {
      const header = new Uint8Array(SEGMENT_HEADER_BYTES);
      const length = files.read(fd, header, 0, SEGMENT_HEADER_BYTES, 0);
      if (checkSegmentHeader(header, length, id, segment, path) === 'damaged')
        events.gap(segment, { is: 'damaged', from: 0, to: SEGMENT_HEADER_BYTES, records: 0 });
      return fd;
    } catch (error) {
      files.close(fd);
      throw error;
    }
  }
}

function sourceOf(length: number): LogBytes {
  const bytes = new Uint8Array(length);
  return { bytes, view: new DataView(bytes.buffer) };
}
