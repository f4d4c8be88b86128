/**
 * The bytes of a log segment: what an instance accepted, in the order in which it was accepted.
 *
 *     header   32 bytes   magic 'SOQLOG1\n' · generation u32 · term u32 · zeros
 *     record   32 bytes   id (16) · cents · accepted at · mark · checksum
 *     record   ...
 *
 * A record is eight 32-bit words, big-endian:
 *
 *     0 1 2 3   the id
 *     4         cents, the lower 32 bits
 *     5         cents, the upper 8 bits · accepted at, the upper 16 bits · a mark that is never zero
 *     6         accepted at (ms since 1970), the lower 32 bits
 *     7         a checksum of the words before
 *
 * A file that grows can end in a torn record or, after a power loss, in zeros: the checksum knows both from a
 * record. Every step of it maps words one to one, so damage within one word never goes unseen; any other goes
 * unseen once in 2^32.
 */

export const HEADER_BYTES = 32;
export const RECORD_BYTES = 32;
const MAGIC = Uint8Array.from('SOQLOG1\n', char => char.charCodeAt(0));
const MARK = 0xa5;
const SEED = 0x5ec0a9e1 | 0;
const WORD = 2 ** 32;

/** What a segment says of all its records: the store's generation and term when it was opened. */
export interface Header {
  readonly generation: number;
  readonly term: number;
}

/** The 32 bytes that open a segment. */
export function encodeHeader({ generation, term }: Header): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  bytes.set(MAGIC);
  const view = new DataView(bytes.buffer);
  view.setUint32(MAGIC.length, generation);
  view.setUint32(MAGIC.length + 4, term);
  return bytes;
}

/** What the segment that opens with `bytes` says of itself; undefined where they are not a whole header. */
export function decodeHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  for (let at = 0; at < MAGIC.length; at++) if (bytes[at] !== MAGIC[at]) return undefined;
  return { generation: word(bytes, MAGIC.length) >>> 0, term: word(bytes, MAGIC.length + 4) >>> 0 };
}

/**
 * Writes one record at `start` of `bytes`: the four words of an id (from `wordStart` of `idWords`), the cents
 * (0 to 2^40 - 1) and when it was accepted (whole ms since 1970, 0 to 2^48 - 1).
 */
export function encodeRecord(
  bytes: Uint8Array,
  start: number,
  idWords: ArrayLike<number>,
  wordStart: number,
  cents: number,
  acceptedAtMs: number,
): void {
  const id0 = idWords[wordStart]! | 0;
  const id1 = idWords[wordStart + 1]! | 0;
  const id2 = idWords[wordStart + 2]! | 0;
  const id3 = idWords[wordStart + 3]! | 0;
  const centsHigh = Math.floor(cents / WORD);
  const centsLow = (cents - centsHigh * WORD) | 0;
  const atHigh = Math.floor(acceptedAtMs / WORD);
  const atLow = (acceptedAtMs - atHigh * WORD) | 0;
  const upper = (centsHigh << 24) | (atHigh << 8) | MARK;
  put(bytes, start, id0);
  put(bytes, start + 4, id1);
  put(bytes, start + 8, id2);
  put(bytes, start + 12, id3);
  put(bytes, start + 16, centsLow);
  put(bytes, start + 20, upper);
  put(bytes, start + 24, atLow);
  put(bytes, start + 28, checksum(id0, id1, id2, id3, centsLow, upper, atLow));
}

/** Told of each record: its id is the 16 bytes at `idStart` of `bytes`. */
export type EachRecord = (bytes: Uint8Array, idStart: number, cents: number, acceptedAtMs: number) => void;

/**
 * Calls `each` for the records from `start` on, up to the first that is torn or damaged, or to `end`. Returns
 * where the next record would start: less than `end` where something was left unread.
 */
export function decodeRecords(bytes: Uint8Array, start: number, end: number, each: EachRecord): number {
  let at = start;
  for (; at + RECORD_BYTES <= end; at += RECORD_BYTES) {
    const centsLow = word(bytes, at + 16);
    const upper = word(bytes, at + 20);
    const atLow = word(bytes, at + 24);
    const sum = checksum(
      word(bytes, at),
      word(bytes, at + 4),
      word(bytes, at + 8),
      word(bytes, at + 12),
      centsLow,
      upper,
      atLow,
    );
    if (sum !== word(bytes, at + 28) || (upper & 0xff) !== MARK) break;
    const cents = (upper >>> 24) * WORD + (centsLow >>> 0);
    each(bytes, at, cents, ((upper >>> 8) & 0xffff) * WORD + (atLow >>> 0));
  }
  return at;
}

/** The name of a segment's file; numbers rise with time, and names sort as numbers do. */
export function segmentName(instance: string, number: number): string {
  return `${instance}.${number.toString().padStart(10, '0')}.log`;
}

/** Below the store's directory: where the segments of all instances are. */
export const logFolder = 'log';

const SEGMENT_NAME = /^(?<instance>.+)\.(?<number>\d{1,15})\.log$/;

/** The instance and number of the segment that is called `name`; undefined for any other file. */
export function segmentOf(name: string): { instance: string; number: number } | undefined {
  const groups = SEGMENT_NAME.exec(name)?.groups;
  return groups && { instance: groups['instance']!, number: Number(groups['number']) };
}

/** The number of the segment of `instance` that is called `name`; undefined for any other file. */
export function segmentNumber(instance: string, name: string): number | undefined {
  const segment = segmentOf(name);
  return segment?.instance === instance ? segment.number : undefined;
}

function checksum(a: number, b: number, c: number, d: number, e: number, f: number, g: number): number {
  return mix(mix(mix(mix(mix(mix(mix(SEED, a), b), c), d), e), f), g);
}

// Multiplying by an odd number and folding the upper bits down are both one to one.
function mix(sum: number, next: number): number {
  const product = Math.imul(sum ^ next, 0x9e3779b1);
  return (product ^ (product >>> 15)) | 0;
}

function put(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** The 32-bit word at `at`, big-endian and signed, as the words of an id are. */
export function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}
