/**
 * What of the log cannot be used. Its bytes are kept in `log/damaged/`, named by where they were, for whoever
 * has to find out what they held. All who read the log come upon the same damage; the first one to keep it is
 * the one to report it.
 */
import { join } from 'node:path';
import { isSystemError } from '../../domain/system-error.ts';
import type { Gap } from './shared-log/decoder.ts';
import type { LogFiles } from './shared-log/log-files.ts';
import { BATCH_HEADER_BYTES, isHeader } from './shared-log/records.ts';
import { logSegmentName } from './shared-log/segments.ts';

export interface LogDamage {
  /**
   * `torn`: a `write` cut short, so nobody was answered, unless the machine lost its power. `damaged`: what
   * no writer left there. `lost`: whole, but what should stand in front of it is gone.
   */
  readonly is: 'torn' | 'damaged' | 'lost';
  readonly segment: number;
  readonly from: number;
  /** Infinity: to the end of the segment. */
  readonly to: number;
  /** How many records cannot be used; undefined: nothing tells. */
  readonly records: number | undefined;
  /** Where the bytes are; undefined: they could not be kept, or there is too much of them. */
  readonly keptAs: string | undefined;
}

const damagedFolder = 'damaged';
/** None is longer than the reader's buffer, so all are at most 128 MiB. */
const keptMax = 256;

/** Keeps what a reader of the log passed over; undefined: that was done already. */
export function keepDamaged(
  files: LogFiles,
  directory: string,
  segment: number,
  gap: Gap,
): LogDamage | undefined {
  const { is, from, to } = gap;
  const damage = { is, segment, from, to };
  const bytes = new Uint8Array(to - from);
  try {
    readInto(bytes, files, join(directory, logSegmentName(segment)), from);
    const folder = join(directory, damagedFolder);
    const path = join(folder, `${numberOf(segment)}-${from}-${to}`);
    files.makeDirectory(folder);
    const isFull = files.list(folder).length >= keptMax;
    if (!isFull && !files.createWhole(path, bytes)) return undefined;
    return { ...damage, records: recordsOf(bytes), keptAs: isFull ? undefined : path };
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return { ...damage, records: recordsOf(bytes), keptAs: undefined };
  }
}

const numberOf = (segment: number): string => logSegmentName(segment).replace('.log', '');

function readInto(bytes: Uint8Array, files: LogFiles, path: string, from: number): void {
  const fd = files.openToAppend(path);
  try {
    files.read(fd, bytes, 0, bytes.length, from);
  } finally {
    files.close(fd);
  }
}

/** As its header says, if that is whole: a batch counts whole or not at all. */
function recordsOf(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer);
  const isWhole = bytes.length >= BATCH_HEADER_BYTES && isHeader(bytes, view, 0);
  return isWhole ? view.getUint16(6, true) : undefined;
}
