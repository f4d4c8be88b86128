/**
 * The log in front of the store: what this instance accepted, in files of its own, one write per turn of the
 * event loop for all payments of that turn.
 *
 * The kernel has what was written, so no process's death loses it; `flushed` waits for the disk as well. A
 * segment goes once the store has, safe from power loss, everything in it; what is left after a crash is
 * replayed into the store (see `log-format`).
 */
import { join } from 'node:path';
import { type Files, realFiles } from './files.ts';
import { encodeHeader, encodeRecord, HEADER_BYTES, RECORD_BYTES, segmentName } from './log-format.ts';

/** Records in a segment: small enough to read back in a moment, large enough to be opened seldom. */
const SEGMENT_RECORDS = 65_536;
const BUFFER_RECORDS = 1024;

interface Segment {
  readonly number: number;
  /** Records of it that the store does not have yet. */
  unstored: number;
}

const NAME = /^(?<instance>.+)\.(?<number>\d+)\.log$/;

/** The instance and number of a segment's file name; undefined for any other file. */
export function segmentOf(file: string): { instance: string; number: number } | undefined {
  const groups = NAME.exec(file)?.groups;
  return groups && { instance: groups['instance']!, number: Number(groups['number']) };
}

export const logDirectory = (directory: string): string => join(directory, 'log');

export class Log {
  readonly #directory: string;
  readonly #instance: string;
  readonly #files: Files;
  readonly #segments = new Map<number, Segment>();
  readonly #durable: boolean;
  readonly #segmentRecords: number;
  #generation: number;
  #current!: Segment;
  #fd = -1;
  #position = 0;
  #buffer = new Uint8Array(BUFFER_RECORDS * RECORD_BYTES);
  #buffered = 0;
  #syncing = false;
  #toClose: number[] = [];
  #waiting: ((kept: boolean) => void)[] = [];

  /**
   * Opens a new segment after those that are there. `durable`: `flushed` will be used, so the files' names have
   * to survive a power loss as well.
   */
  constructor(
    directory: string,
    instance: string,
    generation: number,
    durable: boolean,
    files: Files = realFiles,
    segmentRecords = SEGMENT_RECORDS,
  ) {
    this.#segmentRecords = segmentRecords;
    this.#durable = durable;
    this.#directory = logDirectory(directory);
    this.#instance = instance;
    this.#generation = generation;
    this.#files = files;
    files.makeDirectory(this.#directory);
    this.#open(Math.max(0, ...this.#numbers()) + 1);
  }

  /** The number of the segment that a record appended now goes to. */
  get segment(): number {
    return this.#current.number;
  }

  /** Takes one payment into the buffer of this turn. */
  append(id: ArrayLike<number>, cents: number, acceptedAtMs: number): void {
    if (this.#buffered === this.#buffer.length) {
      const grown = new Uint8Array(this.#buffer.length * 2);
      grown.set(this.#buffer);
      this.#buffer = grown;
    }
    encodeRecord(this.#buffer, this.#buffered, id, 0, cents, acceptedAtMs);
    this.#buffered += RECORD_BYTES;
    this.#current.unstored += 1;
  }

  /** Writes what was appended since the last call. False: nothing of it is kept. */
  write(): boolean {
    const length = this.#buffered;
    if (length === 0) return true;
    this.#buffered = 0;
    try {
      const written = this.#files.write(this.#fd, this.#buffer, length, this.#position);
      if (written !== length) throw new Error(`wrote ${written} of ${length} bytes`);
    } catch {
      this.#current.unstored -= length / RECORD_BYTES;
      this.#cutBack();
      return false;
    }
    this.#position += length;
    if (this.#position >= HEADER_BYTES + this.#segmentRecords * RECORD_BYTES) this.#rotateIfPossible();
    return true;
  }

  /** Resolves once everything written so far is on the disk; false: the disk refused. Callers share one sync. */
  flushed(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.push(resolve);
    if (!this.#syncing) this.#sync();
    return promise;
  }

  /** The store has one more payment of a segment. */
  stored(segment: number): void {
    const entry = this.#segments.get(segment);
    if (entry !== undefined) entry.unstored -= 1;
  }

  /** Segments of which the store has everything; all but the current one, which is closed first if it is worth it. */
  removable(): number[] {
    const worthItRecords = Math.min(BUFFER_RECORDS, this.#segmentRecords / 2);
    const worthIt = this.#position > HEADER_BYTES + worthItRecords * RECORD_BYTES;
    if (worthIt && this.#current.unstored === 0 && this.#buffered === 0 && this.#waiting.length === 0) {
      this.#rotateIfPossible();
    }
    const numbers: number[] = [];
    for (const { number, unstored } of this.#segments.values()) {
      if (unstored === 0 && number !== this.#current.number) numbers.push(number);
    }
    return numbers;
  }

  /** Deletes segments that `removable` named, once the store is safe from power loss. */
  remove(numbers: readonly number[]): void {
    for (const number of numbers) {
      this.#files.remove(this.#path(number));
      this.#segments.delete(number);
    }
  }

  /** Deletes all segments from before this one was opened: they have been replayed. */
  removeEarlier(): void {
    for (const number of this.#numbers()) {
      if (!this.#segments.has(number)) this.#files.remove(this.#path(number));
    }
  }

  /** Goes on in a new segment; with a later generation after a purge, which nothing older survives. */
  rotate(generation = this.#generation): void {
    const purged = generation !== this.#generation;
    this.#generation = generation;
    if (purged) this.#buffered = 0;
    const fd = this.#fd;
    this.#open(this.#current.number + 1);
    // A sync that is asked for from now on goes to the new file, so the old one is synced here, and closed only
    // when no sync holds it.
    if (this.#durable) this.#files.syncNow(fd);
    if (this.#syncing) this.#toClose.push(fd);
    else this.#files.close(fd);
    if (purged) this.remove([...this.#segments.keys()].filter(number => number !== this.#current.number));
  }

  /** Closes the log; `empty`: the store has everything, so nothing needs to stay. */
  close(empty: boolean): void {
    if (this.#fd === -1) return;
    this.#files.close(this.#fd);
    this.#fd = -1;
    if (empty) this.remove([...this.#segments.keys()]);
  }

  #open(number: number): void {
    const fd = this.#files.create(this.#path(number));
    const header = encodeHeader(this.#generation);
    this.#files.write(fd, header, header.length, 0);
    if (this.#durable) this.#files.syncDirectory(this.#directory);
    this.#fd = fd;
    this.#position = HEADER_BYTES;
    this.#current = { number, unstored: 0 };
    this.#segments.set(number, this.#current);
  }

  /** On a full disk the current segment just grows longer. */
  #rotateIfPossible(): void {
    try {
      this.rotate();
    } catch {
      this.#files.remove(this.#path(this.#current.number + 1));
    }
  }

  /** A write may have left a part behind: what was refused must not be replayed. */
  #cutBack(): void {
    try {
      this.#files.truncate(this.#fd, this.#position);
    } catch {
      // The next write starts at the same place, and a torn record ends a replay.
    }
  }

  #sync(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#syncing = true;
    this.#files.sync(this.#fd, error => {
      this.#syncing = false;
      for (const fd of this.#toClose.splice(0)) this.#files.close(fd);
      for (const resolve of waiting) resolve(error === null);
      if (this.#waiting.length > 0) this.#sync();
    });
  }

  #numbers(): number[] {
    return this.#files
      .list(this.#directory)
      .map(segmentOf)
      .filter(segment => segment?.instance === this.#instance)
      .map(segment => segment!.number);
  }

  #path(number: number): string {
    return join(this.#directory, segmentName(this.#instance, number));
  }
}
