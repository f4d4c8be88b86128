/**
 * The bytes of the shared log: batches of records, each batch one `write`.
 *
 *     batch    header 44 bytes · records, one after the other
 *     header    0  magic FE 'S' FF 'Q' (no UTF-8 text holds FE or FF)
 *               4  version u8 · 1 if it holds records of payments u8 · records u16
 *               8  bytes of the whole batch u32
 *              12  the store's mark u32: of another store's log nothing counts
 *              16  instance u32 · 20 epoch u32 · 24 number of the batch f64
 *              32  generation u32 · 36 index marks seen u32 · 40 CRC-32 of bytes 0 to 39
 *     record    0  size in words of four bytes u16 · kind u8 · detail u8 · 4 CRC-32 · 8 what the kind says
 *
 * Numbers are little-endian; the four words of an id are big-endian, as its text is.
 *
 * A record's sum begins with that of its header, so that it belongs to its batch: what a torn batch left
 * behind is never taken for a part of the next one. A batch is whole when its header and all its records are;
 * it counts whole or not at all (see `order`), so a `write` cut short may simply be written again.
 */
import { strict as assert } from 'node:assert';
import { crc32 } from './crc32.ts';
import { MAGIC, RECORD_HEADER_BYTES, recordBytes, recordSum } from './record-bytes.ts';
import {
  ACCEPT,
  ACT,
  ADOPT,
  type BatchOrigin,
  BEAT,
  BOOK,
  BOOT,
  EMPTY,
  END_ATTEMPT,
  FENCE,
  HOLD,
  INDEXED,
  INTEND,
  JOIN,
  LEASE,
  LEAVE,
  type LoggedProgress,
  PURGE,
  REPORT,
  SEAL,
  URLS,
} from './record-kinds.ts';

export * from './record-bytes.ts';
export * from './record-kinds.ts';

export const LOG_VERSION = 1;
export const BATCH_HEADER_BYTES = 44;

/** A turn of the event loop at full load is some 20 KiB; what waits for a batch's end in memory is this. */
export const batchBytesMax = 256 * 1024;
const batchBytesMin = 4096;
export const batchRecordsMax = 0xffff;
/** An instance's figures are some 3 KiB of JSON. */
export const textBytesMax = 64 * 1024 - 1;
assert(BATCH_HEADER_BYTES + RECORD_HEADER_BYTES + 64 + textBytesMax <= batchBytesMax);
assert((textBytesMax + 64) / 4 < 0xffff);

/** Gathers the records of one batch in a buffer that it keeps: no record costs an object. */
export class BatchEncoder {
  #bytes = new Uint8Array(batchBytesMin);
  #view = new DataView(this.#bytes.buffer);
  #length = BATCH_HEADER_BYTES;
  #count = 0;
  #hasPayments = false;

  get count(): number {
    return this.#count;
  }

  /** Holds what `finish` has made, until the next record. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Whether a record with a text of so many bytes still fits. */
  hasRoom(textBytes = 0): boolean {
    return this.#length + 128 + textBytes <= batchBytesMax && this.#count < batchRecordsMax;
  }

  clear(): void {
    this.#length = BATCH_HEADER_BYTES;
    this.#count = 0;
    this.#hasPayments = false;
  }

  accept(
    words: ArrayLike<number>,
    wordStart: number,
    origin: number,
    cents: number,
    acceptedAtMs: number,
  ): void {
    const at = this.#payment(ACCEPT, 0, 44, words, wordStart, origin);
    this.#view.setFloat64(at + 28, cents, true);
    this.#view.setFloat64(at + 36, acceptedAtMs, true);
  }

  /**
   * `state`: SENT, or PINNED where an earlier attempt may have been processed. `held`: why the payment is
   * held.
   */
  intend(
    words: ArrayLike<number>,
    wordStart: number,
    origin: number,
    state: number,
    processor: number,
    requestedAtMs: number,
    attempts: number,
    tries: number,
    held = 0,
  ): void {
    const at = this.#payment(INTEND, processor, 44, words, wordStart, origin);
    this.#view.setFloat64(at + 28, requestedAtMs, true);
    this.#counts(at + 36, attempts, tries);
    this.#view.setUint32(at + 40, state | (held << 8), true);
  }

  endAttempt(
    words: ArrayLike<number>,
    wordStart: number,
    origin: number,
    progress: LoggedProgress,
    outcome: number,
    durationMs: number,
    endedAtMs: number,
    held = 0,
  ): void {
    const at = this.#progress(END_ATTEMPT, 56, words, wordStart, origin, progress, endedAtMs);
    this.#view.setFloat32(at + 48, durationMs, true);
    this.#view.setUint8(at + 53, outcome);
    this.#view.setUint8(at + 54, held);
  }

  book(
    words: ArrayLike<number>,
    wordStart: number,
    origin: number,
    processor: number,
    requestedAtMs: number,
    settledAtMs: number,
    cents: number,
    attempts: number,
  ): void {
    const at = this.#payment(BOOK, processor, 56, words, wordStart, origin);
    this.#view.setFloat64(at + 28, requestedAtMs, true);
    this.#view.setFloat64(at + 36, settledAtMs, true);
    this.#view.setFloat64(at + 44, cents, true);
    this.#counts(at + 52, attempts, 0);
  }

  hold(
    words: ArrayLike<number>,
    wordStart: number,
    origin: number,
    progress: LoggedProgress,
    reason: number,
    retryAtMs: number,
  ): void {
    const at = this.#progress(HOLD, 56, words, wordStart, origin, progress, retryAtMs);
    this.#view.setUint8(at + 53, reason);
  }

  /**
   * `kind`: a place in `ACT_KINDS`. `seen`: the payment as the operator saw it, but for its processor and
   * `requestedAt` where it is settled: then those that are booked.
   */
  act(
    words: ArrayLike<number>,
    wordStart: number,
    origin: number,
    seen: LoggedProgress,
    kind: number,
    cents: number,
    atMs: number,
    who: Uint8Array,
    why: Uint8Array,
    held = 0,
  ): void {
    const size = 64 + textSize(who) + textSize(why);
    const at = this.#progress(ACT, size, words, wordStart, origin, seen, atMs);
    this.#view.setUint8(at + 53, kind);
    this.#view.setUint8(at + 54, held);
    this.#view.setFloat64(at + 56, cents, true);
    this.#text(at + 64, who);
    this.#text(at + 64 + textSize(who), why);
  }

  /**
   * Joins as `name`, whose latest epoch was `epochSeen`, 0 for a new name. `isFlushing`: it waits for the
   * disk before it answers.
   */
  join(name: Uint8Array, epochSeen: number, isFlushing = false): void {
    const at = this.#record(JOIN, isFlushing ? 1 : 0, 12 + textSize(name));
    this.#view.setUint32(at + 8, epochSeen, true);
    this.#text(at + 12, name);
  }

  leave(): void {
    this.#record(LEAVE, 0, 8);
  }

  fence(epoch: number, beatSeen: number): void {
    const at = this.#record(FENCE, 0, 20);
    this.#view.setUint32(at + 8, epoch, true);
    this.#view.setFloat64(at + 12, beatSeen, true);
  }

  beat(figures: Uint8Array, atMs = 0): void {
    const at = this.#record(BEAT, 0, 16 + textSize(figures));
    this.#view.setFloat64(at + 8, atMs, true);
    this.#text(at + 16, figures);
  }

  /** Takes a lease if its holder is still the epoch `holderSeen`, 0 for nobody. */
  lease(lease: number, holderSeen: number): void {
    this.#number(LEASE, lease, holderSeen);
  }

  report(processor: number, isFailing: boolean, minResponseMs: number): void {
    const at = this.#record(REPORT, processor, 16);
    this.#view.setFloat32(at + 8, minResponseMs, true);
    this.#view.setUint32(at + 12, isFailing ? 1 : 0, true);
  }

  urls(text: Uint8Array): void {
    this.#text(this.#record(URLS, 0, 8 + textSize(text)) + 8, text);
  }

  purge(generationSeen: number): void {
    this.#number(PURGE, 0, generationSeen);
  }

  /** Takes over the shares `shares` (a bit each) of what a dead epoch owns. */
  adopt(epoch: number, shares: number): void {
    const at = this.#record(ADOPT, 0, 16);
    this.#view.setUint32(at + 8, epoch, true);
    this.#view.setUint32(at + 12, shares, true);
  }

  indexed(position: number, isDurable: boolean): void {
    const at = this.#record(INDEXED, isDurable ? 1 : 0, 16);
    this.#view.setFloat64(at + 8, position, true);
  }

  empty(epoch: number, isNameForgotten: boolean): void {
    this.#number(EMPTY, isNameForgotten ? 1 : 0, epoch);
  }

  /** `boot` names this run of the machine; `termSeen` may be lost whoever was careful. */
  boot(boot: number, termSeen: number, detail: number, asksFirstUntilMs = 0): void {
    const at = this.#record(BOOT, detail, 24);
    this.#view.setUint32(at + 8, boot, true);
    this.#view.setUint32(at + 12, termSeen, true);
    this.#view.setFloat64(at + 16, asksFirstUntilMs, true);
  }

  seal(nextSegment: number): void {
    this.#number(SEAL, 0, nextSegment);
  }

  /**
   * Writes the header and all sums; returns the bytes of the batch. May be called again with another header:
   * a batch that did not count is appended once more as it is.
   */
  finish(origin: BatchOrigin): number {
    const bytes = this.#bytes;
    const view = this.#view;
    view.setUint32(0, MAGIC, true);
    view.setUint8(4, LOG_VERSION);
    view.setUint8(5, this.#hasPayments ? 1 : 0);
    view.setUint16(6, this.#count, true);
    view.setUint32(8, this.#length, true);
    view.setUint32(12, origin.store, true);
    view.setUint32(16, origin.instance, true);
    view.setUint32(20, origin.epoch, true);
    view.setFloat64(24, origin.number, true);
    view.setUint32(32, origin.generation, true);
    view.setUint32(36, origin.marksSeen, true);
    const sum = crc32(bytes, 0, 40);
    view.setUint32(40, sum, true);
    for (let at = BATCH_HEADER_BYTES; at < this.#length; at += recordBytes(view, at)) {
      view.setUint32(at + 4, recordSum(bytes, at, recordBytes(view, at), sum), true);
    }
    return this.#length;
  }

  #payment(
    kind: number,
    detail: number,
    size: number,
    words: ArrayLike<number>,
    wordStart: number,
    origin: number,
  ): number {
    this.#hasPayments = true;
    const at = this.#record(kind, detail, size);
    const view = this.#view;
    view.setInt32(at + 8, words[wordStart]!);
    view.setInt32(at + 12, words[wordStart + 1]!);
    view.setInt32(at + 16, words[wordStart + 2]!);
    view.setInt32(at + 20, words[wordStart + 3]!);
    view.setUint32(at + 24, origin, true);
    return at;
  }

  /** All that there is to know of an unsettled payment, so that its row needs no other record. */
  #progress(
    kind: number,
    size: number,
    words: ArrayLike<number>,
    wordStart: number,
    origin: number,
    progress: LoggedProgress,
    atMs: number,
  ): number {
    const at = this.#payment(kind, progress.state, size, words, wordStart, origin);
    this.#view.setFloat64(at + 28, progress.requestedAtMs, true);
    this.#counts(at + 36, progress.attempts, progress.tries);
    this.#view.setFloat64(at + 40, atMs, true);
    this.#view.setFloat32(at + 48, 0, true);
    this.#view.setInt8(at + 52, progress.processor);
    this.#view.setUint8(at + 53, 0);
    this.#view.setUint16(at + 54, 0, true);
    return at;
  }

  /** A record of one number. */
  #number(kind: number, detail: number, number: number): void {
    const at = this.#record(kind, detail, 12);
    this.#view.setUint32(at + 8, number, true);
  }

  #record(kind: number, detail: number, size: number): number {
    const at = this.#length;
    assert(at + size <= batchBytesMax && this.#count < batchRecordsMax, 'the batch is full');
    if (at + size > this.#bytes.length) this.#grow(at + size);
    this.#view.setUint16(at, size / 4, true);
    this.#view.setUint8(at + 2, kind);
    this.#view.setUint8(at + 3, detail);
    this.#length += size;
    this.#count += 1;
    return at;
  }

  #grow(size: number): void {
    const grown = new Uint8Array(2 ** Math.ceil(Math.log2(size)));
    grown.set(this.#bytes);
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }

  #counts(at: number, attempts: number, tries: number): void {
    this.#view.setUint16(at, Math.min(attempts, 0xffff), true);
    this.#view.setUint16(at + 2, tries, true);
  }

  #text(at: number, text: Uint8Array): void {
    this.#view.setUint16(at, text.length, true);
    this.#bytes.set(text, at + 2);
    // What pads it to whole words is summed up too.
    this.#bytes.fill(0, at + 2 + text.length, at + textSize(text));
  }
}

function textSize(text: Uint8Array): number {
  assert(text.length <= textBytesMax);
  return (2 + text.length + 3) & ~3;
}
