/**
 * The log in front of the store: what this instance accepted, in files of its own, one write per turn of the
 * event loop for all payments of that turn.
 *
 * The kernel has what was written, so no process's death loses it; `flushed` waits for the disk as well, and
 * `keep` has it written there while nobody waits. A segment goes once the store has, safe from power loss,
 * everything in it; what is left after a crash is replayed into the store (see `log-format`).
 */
import { join } from 'node:path';
import type { AcceptLog } from '../ports.ts';
import { type Files, realFiles } from './files.ts';
import {
  encodeHeader,
  encodeRecord,
  HEADER_BYTES,
  type Header,
  logFolder,
  RECORD_BYTES,
  segmentName,
  segmentNumber,
} from './log-format.ts';

/** Records in a segment: small enough to read back in a moment, large enough to be opened seldom. */
const SEGMENT_RECORDS = 65_536;
const BUFFER_RECORDS = 1024;

interface Segment {
  readonly number: number;
  /** Records of it that the store does not have yet. */
  unstored: number;
}

export const logDirectory = (directory: string): string => join(directory, logFolder);

export class FileLog implements AcceptLog {
  readonly #directory: string;
  readonly #instance: string;
  readonly #files: Files;
  readonly #segments = new Map<number, Segment>();
  readonly #durable: boolean;
  readonly #segmentRecords: number;
  readonly #term: number;
  readonly #generation: number;
  #current!: Segment;
  #fd = -1;
  #position = 0;
  /** So much of the current segment is safe from a power loss. */
  #syncedPosition = HEADER_BYTES;
  #buffer = new Uint8Array(BUFFER_RECORDS * RECORD_BYTES);
  #buffered = 0;
  /**
   * What was written last may not be kept, or not where the next record would go: the next one opens a
   * segment.
   */
  #spoilt = false;
  #syncing = false;
  #toClose: number[] = [];
  #waiting: ((kept: boolean) => void)[] = [];

  /**
   * Opens a new segment after those that are there, under the store's generation and term. `durable`:
   * `flushed` will be used, so the files' names have to survive a power loss as well.
   */
  constructor(
    directory: string,
    instance: string,
    { generation, term }: Header,
    durable: boolean,
    files: Files = realFiles,
    segmentRecords = SEGMENT_RECORDS,
  ) {
    this.#segmentRecords = segmentRecords;
    this.#durable = durable;
    this.#directory = logDirectory(directory);
    this.#instance = instance;
    this.#generation = generation;
    this.#term = term;
    this.#files = files;
    files.makeDirectory(this.#directory);
    this.#open(Math.max(0, ...this.#numbers()) + 1);
  }

  /** The number of the segment that a record appended now goes to. */
  get segment(): number {
    return this.#current.number;
  }

  /** Takes one payment into the buffer of this turn, for the segment that `segment` then names. */
  append(id: ArrayLike<number>, cents: number, acceptedAtMs: number): void {
    if (this.#spoilt && this.#buffered === 0) this.#rotateIfPossible();
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
    if (this.#spoilt || !this.#writeWhole(length)) {
      this.#current.unstored -= length / RECORD_BYTES;
      return false;
    }
    this.#position += length;
    if (this.#position >= HEADER_BYTES + this.#segmentRecords * RECORD_BYTES) this.#rotateIfPossible();
    return true;
  }

  /**
   * Resolves once everything written so far is on the disk; false: the disk refused. Callers share one sync.
   */
  flushed(): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    // What was written last may have closed a segment, which then has been synced.
    const isSynced =
      this.#fd !== -1 && !this.#syncing && !this.#spoilt && this.#position === this.#syncedPosition;
    if (this.#fd === -1 || isSynced) resolve(isSynced);
    else this.#waiting.push(resolve);
    if (!this.#syncing && this.#waiting.length > 0) this.#sync();
    return promise;
  }

  /**
   * Begins to have the disk take what was written so far. Left to itself, the kernel takes half a minute over
   * that, and a power loss would cost all of it.
   */
  keep(): void {
    const isKept = this.#position === this.#syncedPosition;
    if (this.#durable || this.#syncing || this.#fd === -1 || isKept) return;
    const fd = this.#fd;
    const position = this.#position;
    this.#syncing = true;
    this.#files.sync(fd, error => {
      this.#syncing = false;
      for (const done of this.#toClose.splice(0)) this.#files.close(done);
      if (error === null && fd === this.#fd) this.#syncedPosition = position;
    });
  }

  /** The store has one more payment of a segment. */
  stored(segment: number): void {
    const entry = this.#segments.get(segment);
    if (entry !== undefined) entry.unstored -= 1;
  }

  /**
   * Segments of which the store has everything; all but the current one, which is closed first if it is worth
   * it.
   */
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
      this.#segments.delete(number);
      try {
        this.#files.remove(this.#path(number));
      } catch {
        // Then the next life replays what the store has, and removes it.
      }
    }
  }

  /** Deletes all segments from before this one was opened: they have been replayed. */
  removeEarlier(): void {
    for (const number of this.#numbers()) {
      if (!this.#segments.has(number)) this.#files.remove(this.#path(number));
    }
  }

  /** Goes on in a new segment. */
  rotate(): void {
    this.#rotateIfPossible();
  }

  /**
   * Closes the log. `empty`: the store has everything, so no record needs to stay. The last segment's name
   * does: were the next life to use it again, who followed this file would not look at that one.
   */
  close(empty: boolean): void {
    if (this.#fd === -1) return;
    if (empty) this.#clear();
    if (this.#syncing) this.#toClose.push(this.#fd);
    else this.#files.close(this.#fd);
    this.#fd = -1;
  }

  #clear(): void {
    this.remove([...this.#segments.keys()].filter(number => number !== this.#current.number));
    try {
      this.#files.truncate(this.#fd, HEADER_BYTES);
    } catch {
      // Then the next life replays what the store has.
    }
  }

  #open(number: number): void {
    const path = this.#path(number);
    const fd = this.#files.create(path);
    try {
      const header = encodeHeader({ generation: this.#generation, term: this.#term });
      if (this.#files.write(fd, header, header.length, 0) !== header.length) throw diskFull();
      if (this.#durable) this.#files.syncDirectory(this.#directory);
    } catch (error) {
      this.#files.close(fd);
      this.#files.remove(path);
      throw error;
    }
    this.#fd = fd;
    this.#position = HEADER_BYTES;
    this.#syncedPosition = HEADER_BYTES;
    this.#current = { number, unstored: 0 };
    this.#segments.set(number, this.#current);
  }

  /**
   * Goes on in a new segment. On a full disk the current one just grows longer, or nothing is taken if it is
   * spoilt.
   */
  #rotateIfPossible(): void {
    const { number, unstored } = this.#current;
    const fd = this.#fd;
    // A sync that is asked for from now on goes to the new file, so the old one is synced here.
    if (this.#durable && !this.#syncNow(fd)) return;
    try {
      this.#open(number + 1);
    } catch {
      return;
    }
    this.#spoilt = false;
    if (this.#syncing) this.#toClose.push(fd);
    else if (this.#durable || unstored === 0) this.#files.close(fd);
    else this.#files.sync(fd, () => this.#files.close(fd));
  }

  #syncNow(fd: number): boolean {
    try {
      this.#files.syncNow(fd);
      return true;
    } catch {
      this.#spoilt = true;
      for (const resolve of this.#waiting.splice(0)) resolve(false);
      return false;
    }
  }

  #writeWhole(length: number): boolean {
    try {
      if (this.#files.write(this.#fd, this.#buffer, length, this.#position) === length) return true;
    } catch {}
    // Others may have read the part that was taken by now, and will not read that place again.
    this.#spoilt = true;
    this.#cutBackTo(this.#position);
    return false;
  }

  /** Takes back what was refused. */
  #cutBackTo(position: number): void {
    if (this.#truncate(this.#fd, position)) this.#position = position;
  }

  #truncate(fd: number, length: number): boolean {
    try {
      this.#files.truncate(fd, length);
      return true;
    } catch {
      // Then whole records of it are replayed one day: payments that were refused, and are settled once all
      // the same.
      return false;
    }
  }

  #sync(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#syncing = true;
    const fd = this.#fd;
    const position = this.#position;
    const syncedPosition = this.#syncedPosition;
    this.#files.sync(fd, error => {
      this.#syncing = false;
      const isClosed = this.#fd === -1;
      // A segment that was left meanwhile has its refused end taken back as well.
      if (error !== null && fd !== this.#fd && !isClosed) this.#truncate(fd, syncedPosition);
      for (const done of this.#toClose.splice(0)) this.#files.close(done);
      if (error !== null || isClosed) {
        // A kernel reports a page that it could not write once, and takes it for written afterwards.
        this.#spoilt = true;
        waiting.push(...this.#waiting.splice(0));
        if (!isClosed) this.#cutBackTo(this.#syncedPosition);
      } else if (fd === this.#fd) this.#syncedPosition = position;
      for (const resolve of waiting) resolve(error === null && !isClosed);
      if (this.#waiting.length > 0) this.#sync();
    });
  }

  #numbers(): number[] {
    return this.#files
      .list(this.#directory)
      .map(name => segmentNumber(this.#instance, name))
      .filter(number => number !== undefined);
  }

  #path(number: number): string {
    return join(this.#directory, segmentName(this.#instance, number));
  }
}

/** What the system says of a file that it cannot extend, where it took a part of a write without a word. */
const diskFull = (): NodeJS.ErrnoException =>
  Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
    errno: -28,
    syscall: 'write',
  });
