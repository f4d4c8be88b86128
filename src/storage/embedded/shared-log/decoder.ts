/**
 * Walks the bytes of a log: batch by batch, and over what is not one.
 *
 * What is not whole is one of three things. At the end of the log it may be a batch that is just being
 * written: nothing is decided. With a whole batch behind it, it is final, because that one was appended to
 * what stood there: *torn*, a `write` cut short, whose bytes are right as far as they go; or *damaged*, what
 * no writer ever left there. Whatever it is, the next whole batch is searched byte by byte, so nothing behind
 * it is lost.
 */
import { LogVersionError } from './log-error.ts';
import {
  BATCH_HEADER_BYTES,
  batchBytesMax,
  isHeader,
  isRecord,
  LOG_VERSION,
  MAGIC_BYTES,
  MAGIC_FIRST_BYTE,
  recordBytes,
} from './records.ts';

/** A part of a log, and where it is: `view` is of the same bytes. */
export interface LogBytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** The header of the batch that `readBatch` found; one object that is used again and again. */
export class BatchView {
  source!: LogBytes;
  /** Where the header begins, and the records. */
  at = 0;
  recordsAt = 0;
  byteLength = 0;
  hasPayments = false;
  count = 0;
  store = 0;
  instance = 0;
  epoch = 0;
  number = 0;
  generation = 0;
  marksSeen = 0;
  sum = 0;

  /** Reads the header at `at`, which has to be whole. */
  load(source: LogBytes, at: number): void {
    const { view } = source;
    const version = view.getUint8(at + 4);
    if (version !== LOG_VERSION) {
      throw new LogVersionError(`a batch of version ${version}, this soquete knows ${LOG_VERSION}`);
    }
    this.source = source;
    this.at = at;
    this.recordsAt = at + BATCH_HEADER_BYTES;
    this.hasPayments = view.getUint8(at + 5) !== 0;
    this.count = view.getUint16(at + 6, true);
    this.byteLength = view.getUint32(at + 8, true);
    this.store = view.getUint32(at + 12, true);
    this.instance = view.getUint32(at + 16, true);
    this.epoch = view.getUint32(at + 20, true);
    this.number = view.getFloat64(at + 24, true);
    this.generation = view.getUint32(at + 32, true);
    this.marksSeen = view.getUint32(at + 36, true);
    this.sum = view.getUint32(at + 40, true);
  }
}

/** Whether a whole batch begins at `at` and ends by `end`; if so, `batch` shows it. */
export function readBatch(source: LogBytes, at: number, end: number, batch: BatchView): boolean {
  const { bytes, view } = source;
  if (at + BATCH_HEADER_BYTES > end || !isHeader(bytes, view, at)) return false;
  batch.load(source, at);
  const batchEnd = at + batch.byteLength;
  if (batchEnd > end) return false;
  let next = batch.recordsAt;
  for (let record = 0; record < batch.count; record++) {
    if (!isRecord(bytes, view, next, batchEnd, batch.sum)) return false;
    next += recordBytes(view, next);
  }
  return next === batchEnd;
}

/** Where the first whole batch at or behind `from` begins, shown by `batch`; -1: there is none. */
export function findBatch(source: LogBytes, from: number, end: number, batch: BatchView): number {
  const { bytes } = source;
  for (let at = from; at + BATCH_HEADER_BYTES <= end; at++) {
    at = bytes.indexOf(MAGIC_FIRST_BYTE, at);
    if (at === -1) return -1;
    if (readBatch(source, at, end, batch)) return at;
  }
  return -1;
}

/**
 * Where a batch that is not there yet may begin at the earliest: what stands further in front of the end than
 * the longest batch is final, whole or not.
 */
export const undecidedFrom = (at: number, end: number): number => Math.max(at, end - batchBytesMax);

/** A part of what is not whole: it begins where a header does, or where the last whole batch ended. */
export interface Gap {
  readonly is: 'torn' | 'damaged';
  readonly from: number;
  readonly to: number;
  /** The records in it that are whole. */
  readonly records: number;
}

const gapHeader = new BatchView();

/** Says what the bytes from `from` to `to` are, in which no whole batch begins. */
export function gapsOf(source: LogBytes, from: number, to: number): Gap[] {
  const gaps: Gap[] = [];
  for (let at = from; at < to; ) {
    const next = findMagic(source.bytes, at + 1, to);
    gaps.push(classify(source, at, next));
    at = next;
  }
  return gaps;
}

function classify(source: LogBytes, from: number, to: number): Gap {
  const { bytes, view } = source;
  const length = to - from;
  if (length < BATCH_HEADER_BYTES || !isHeader(bytes, view, from)) {
    return { is: isHeaderStart(bytes, from, to) ? 'torn' : 'damaged', from, to, records: 0 };
  }
  gapHeader.load(source, from);
  const end = Math.min(to, from + gapHeader.byteLength);
  let at = gapHeader.recordsAt;
  let records = 0;
  while (at < end && isRecord(bytes, view, at, end, gapHeader.sum)) {
    at += recordBytes(view, at);
    records += 1;
  }
  // Cut short: all that is there is right, up to a record that lacks its end.
  const isCut = gapHeader.byteLength > length && (at + 8 > end || at + recordBytes(view, at) > end);
  if (isCut) return { is: 'torn', from, to, records };
  return { is: 'damaged', from, to, records: salvage(source, from, to, () => {}) };
}

/**
 * Calls `each` with where each record begins that is whole in a damaged batch at `from`, if its header is.
 * Such records do not count in the order, as their batch does not: they say which payments a recovery has to
 * ask for at both processors. Returns how many there were.
 */
export function salvage(source: LogBytes, from: number, to: number, each: (at: number) => void): number {
  const { bytes, view } = source;
  if (from + BATCH_HEADER_BYTES > to || !isHeader(bytes, view, from)) return 0;
  gapHeader.load(source, from);
  const { sum } = gapHeader;
  const end = Math.min(to, from + gapHeader.byteLength);
  let found = 0;
  for (let at = gapHeader.recordsAt; at + 8 <= end; ) {
    if (isRecord(bytes, view, at, end, sum)) {
      each(at);
      found += 1;
      at += recordBytes(view, at);
    } else {
      // A damaged size leads astray, so the next record is searched; all begin at whole words.
      at += 4;
    }
  }
  return found;
}

/** Where a header seems to begin at or behind `from`, whole or not; `to`: nowhere. */
function findMagic(bytes: Uint8Array, from: number, to: number): number {
  for (let at = bytes.indexOf(MAGIC_FIRST_BYTE, from); at !== -1 && at + MAGIC_BYTES.length <= to; ) {
    if (isMagic(bytes, at, at + MAGIC_BYTES.length)) return at;
    at = bytes.indexOf(MAGIC_FIRST_BYTE, at + 1);
  }
  return to;
}

const isMagic = (bytes: Uint8Array, from: number, to: number): boolean =>
  bytes.subarray(from, to).every((byte, at) => byte === MAGIC_BYTES[at]);

/** A `write` that was cut short within its header. */
const isHeaderStart = (bytes: Uint8Array, from: number, to: number): boolean =>
  to - from < BATCH_HEADER_BYTES && isMagic(bytes, from, Math.min(to, from + MAGIC_BYTES.length));
