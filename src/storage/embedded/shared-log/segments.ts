/**
 * The log's files. The log is one sequence of bytes in segments, `log/0000000001.log` and so on; a place in
 * it is one number, the segment times 2^32 and the offset in its file.
 *
 *     segment   header 32 bytes · batches
 *     header     0  magic 'SOQLOG\n' and version u8 · 8 the store's id, 8 bytes
 *               16  segment u32 · 20 generation u32 · 24 zero u32 · 28 CRC-32 of bytes 0 to 27
 *
 * Going on. A segment ends with a SEAL, and nothing behind that counts. The next one is put there whole
 * before the seal is appended, and nobody appends to it who has not read the seal: so all of a segment is in
 * front of all of the next one. Two that seal at once both find the same next segment, and the second seal is
 * behind the first.
 *
 * Going away. A segment may be removed when the index has all of it, safe from a power loss. Whoever still
 * reads it has it open, which keeps its bytes; if the next one is gone when it comes to the seal, it has been
 * away for so long that it has to begin anew from the index.
 */
import { crc32 } from './crc32.ts';
import { LogForeignError, LogVersionError } from './log-error.ts';
import { LOG_VERSION } from './records.ts';

export const SEGMENT_HEADER_BYTES = 32;
/** Read back in some 0.2 s after a crash; at 1,000 payments/s a new one each five minutes. */
export const segmentBytesMax = 64 * 1024 * 1024;

const OFFSETS = 2 ** 32;

/** A place in the log; one that is greater is later. */
export const positionOf = (segment: number, offset: number): number => segment * OFFSETS + offset;
export const segmentAt = (position: number): number => Math.floor(position / OFFSETS);
export const offsetAt = (position: number): number => position % OFFSETS;

const NAME = /^(?<number>\d{10})\.log$/;

export const logSegmentName = (segment: number): string => `${segment.toString().padStart(10, '0')}.log`;

/** The segments among the names of a directory, in order. */
export function segmentsAmong(names: readonly string[]): number[] {
  return names
    .map(name => Number(NAME.exec(name)?.groups?.['number']))
    .filter(segment => !Number.isNaN(segment))
    .sort((one, other) => one - other);
}

/** The segments that may go: the index has all of them on its disk, up to the position `durableTo`. */
export const removableSegments = (segments: readonly number[], durableTo: number): number[] =>
  segments.filter(segment => segment < segmentAt(durableTo));

/**
 * The segments from the one that holds `from` on that are missing in front of others: what they held and the
 * index does not have is lost.
 */
export function missingSegments(segments: readonly number[], from: number): number[] {
  const missing: number[] = [];
  for (let segment = segmentAt(from); segment < (segments.at(-1) ?? 0); segment++) {
    if (!segments.includes(segment)) missing.push(segment);
  }
  return missing;
}

/** The store's random id, and what of it stands in each batch. */
export interface StoreId {
  readonly bytes: Uint8Array;
  readonly mark: number;
}

export const storeIdBytes = 8;

export const storeIdOf = (bytes: Uint8Array): StoreId => ({ bytes, mark: crc32(bytes, 0, storeIdBytes) });

const MAGIC = Uint8Array.from('SOQLOG\n', char => char.charCodeAt(0));

export function encodeSegmentHeader(id: StoreId, segment: number, generation: number): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint8(7, LOG_VERSION);
  bytes.set(id.bytes, 8);
  view.setUint32(16, segment, true);
  view.setUint32(20, generation, true);
  view.setUint32(28, crc32(bytes, 0, 28), true);
  return bytes;
}

/**
 * Whether the header of the file of `segment` is `damaged`: its batches name the store too, so they may be
 * read all the same. Throws `LogForeignError` and `LogVersionError`.
 */
export function checkSegmentHeader(
  bytes: Uint8Array,
  length: number,
  id: StoreId,
  segment: number,
  path: string,
): 'ours' | 'damaged' {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (length < SEGMENT_HEADER_BYTES || crc32(bytes, 0, 28) !== view.getUint32(28, true)) return 'damaged';
  if (!MAGIC.every((byte, at) => bytes[at] === byte))
    throw new LogForeignError(`${path} is not a segment of a log of soquete`);
  const version = view.getUint8(7);
  if (version !== LOG_VERSION) {
    throw new LogVersionError(`${path} is of version ${version}, this soquete knows ${LOG_VERSION}`);
  }
  const isOurs = id.bytes.every((byte, at) => bytes[8 + at] === byte);
  if (!isOurs) throw new LogForeignError(`${path} is of another store`);
  const place = view.getUint32(16, true);
  if (place !== segment) throw new LogForeignError(`${path} is a copy of ${logSegmentName(place)}`);
  return 'ours';
}

/** File systems of other machines, by the kernel's numbers (statfs(2)): they do not append in one step. */
const REMOTE: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB'],
  [0x517b, 'SMB'],
  [0x00c36400, 'Ceph'],
  [0x01021997, '9P'],
  [0x5346414f, 'AFS'],
  [0x73757245, 'Coda'],
  [0x564c, 'NCP'],
]);

/** Why a log cannot be on this file system; undefined: it can. */
export function refusalOfFileSystem(type: number): string | undefined {
  const name = REMOTE.get(type >>> 0);
  return name && `is on ${name}, where processes cannot append in one step: take a local directory`;
}
