/**
 * Reads the log segments that version 1 left: each instance had files of its own,
 * `log/INSTANCE.0000000001.log`, of what it had accepted.
 *
 *     header   32 bytes   magic 'SOQLOG1\n' · generation u32 · term u32 · zeros
 *     record   32 bytes   id (16) · cents, the lower 32 bits · cents, the upper 8 bits · accepted at, the
 *                         upper 16 bits · a mark that is never zero · accepted at (ms since 1970), the
 *                         lower 32 bits · checksum
 *
 * Numbers are big-endian. All records are of one size, so what is damaged costs none but itself.
 */
import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';

export const HEADER_BYTES = 32;
export const RECORD_BYTES = 32;
const MAGIC = 'SOQLOG';
const VERSION = '1\n';
const MARK = 0xa5;
const SEED = 0x5ec0a9e1 | 0;
const READ_BYTES = 4096 * RECORD_BYTES;

export interface Version1Segment {
  readonly name: string;
  readonly instance: string;
  readonly number: number;
}

/** What a segment says of all its records: the store's generation and term when it was opened. */
export interface Version1Header {
  readonly generation: number;
  readonly term: number;
}

const NAME = /^(?<instance>.+)\.(?<number>\d{1,15})\.log$/;

/** The segments in `directory`, each instance's in the order in which it wrote them. */
export function version1Segments(directory: string): Version1Segment[] {
  const segments: Version1Segment[] = [];
  for (const name of readdirSync(directory)) {
    const groups = NAME.exec(name)?.groups;
    if (groups !== undefined)
      segments.push({ name, instance: groups['instance']!, number: Number(groups['number']) });
  }
  return segments.sort((one, other) =>
    one.instance === other.instance ? one.number - other.number : one.instance < other.instance ? -1 : 1,
  );
}

/** `empty`: its instance died while it made it. `damaged`: nothing says of which generation it is. */
export type Version1File = Version1Header | 'empty' | 'damaged' | 'unknown version';

/**
 * Calls `each` for all whole records of a segment, if `isWanted` says so of its header: with the 16 bytes of
 * the id, valid until it returns.
 */
export function readVersion1Segment(
  directory: string,
  { name }: Version1Segment,
  isWanted: (header: Version1Header) => boolean,
  each: (id: Uint8Array, cents: number, acceptedAtMs: number) => void,
): Version1File {
  const fd = openSync(join(directory, name), 'r');
  try {
    const bytes = new Uint8Array(READ_BYTES);
    const header = decodeHeader(bytes.subarray(0, readSync(fd, bytes, 0, HEADER_BYTES, 0)));
    if (typeof header === 'string' || !isWanted(header)) return header;
    for (let position = HEADER_BYTES; ; position += READ_BYTES) {
      const length = readSync(fd, bytes, 0, READ_BYTES, position);
      for (let at = 0; at + RECORD_BYTES <= length; at += RECORD_BYTES) decodeRecord(bytes, at, each);
      if (length < READ_BYTES) return header;
    }
  } finally {
    closeSync(fd);
  }
}

function decodeHeader(bytes: Uint8Array): Version1File {
  if (bytes.length < HEADER_BYTES || bytes.every(byte => byte === 0)) return 'empty';
  const text = String.fromCharCode(...bytes.subarray(0, 8));
  if (!text.startsWith(MAGIC)) return 'damaged';
  if (text.slice(MAGIC.length) !== VERSION) return 'unknown version';
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { generation: view.getUint32(8), term: view.getUint32(12) };
}

function decodeRecord(bytes: Uint8Array, at: number, each: Parameters<typeof readVersion1Segment>[3]): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, RECORD_BYTES);
  let sum = SEED;
  for (let word = 0; word < 7; word++) sum = mix(sum, view.getInt32(word * 4));
  const upper = view.getUint32(20);
  if (sum !== view.getInt32(28) || (upper & 0xff) !== MARK) return;
  const cents = (upper >>> 24) * 2 ** 32 + view.getUint32(16);
  each(bytes.subarray(at, at + 16), cents, ((upper >>> 8) & 0xffff) * 2 ** 32 + view.getUint32(24));
}

function mix(sum: number, next: number): number {
  const product = Math.imul(sum ^ next, 0x9e3779b1);
  return (product ^ (product >>> 15)) | 0;
}
