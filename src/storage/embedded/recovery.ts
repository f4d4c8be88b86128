/**
 * Finds out on opening whether the log and its index belong together, and where the log goes on. In a
 * transaction of the index, so all backends that start at once come to the same decision.
 *
 * The index says up to which position it has the log. That position is in one of these:
 *
 *     the log                  the log goes on there: the rule
 *     a segment that is not    of a new store it is about to be made; else somebody removed it, for it was
 *     there                    on the disk before anybody wrote to it: refused
 *     behind a segment's end   a power loss took the end of the log, and the index had some of it
 *
 * A segment without a seal that has batches of others behind it has lost its end: a reader goes on behind
 * that (see `reader`). One that is missing between others was removed by somebody, and is asked for.
 *
 * Where the end is lost, the log goes on in a fresh segment behind all others, with the state of the index.
 * The first batch of that one is a BOOT: whoever lived does not any more, a new term begins, what waits is
 * pinned, and what is unsettled is uncertain: whether a power loss took the bytes or something else, which
 * takes what was on the disk as well, nothing tells.
 */
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { isSystemError } from '../../domain/system-error.ts';
import type { LogDamage } from './damage.ts';
import { statementsOf } from './index/statements.ts';
import { BOOT_DOUBTS, BOOT_PINS } from './shared-log/boots.ts';
import { LogBehindError } from './shared-log/log-error.ts';
import type { LogFiles } from './shared-log/log-files.ts';
import { Order } from './shared-log/order.ts';
import type { OrderState } from './shared-log/order-state.ts';
import { BatchEncoder } from './shared-log/records.ts';
import {
  checkSegmentHeader,
  encodeSegmentHeader,
  logSegmentName,
  missingSegments,
  offsetAt,
  positionOf,
  SEGMENT_HEADER_BYTES,
  type StoreId,
  segmentAt,
  segmentsAmong,
  storeIdOf,
} from './shared-log/segments.ts';

export interface RecoveryParts {
  readonly database: DatabaseSync;
  readonly files: LogFiles;
  /** Of the segments. */
  readonly directory: string;
  readonly wallMs: () => number;
}

/** After damage what is accepted is uncertain for so long: what was forgotten is sent again soon or never. */
export const asksFirstMs = 60 * 60 * 1000;

/**
 * Brings the log and the index together; `catchUp` moves all that the log holds into the index, and says up
 * to which position. Returns what of the log is lost. Throws what the reader, the files and SQLite throw.
 */
export function recoverLog(parts: RecoveryParts, catchUp: () => number): LogDamage[] {
  parts.files.makeDirectory(parts.directory);
  const wereBehind = readToTheEnd(parts, catchUp);
  const { database } = parts;
  const { synchronous } = statementsOf(database).synchronous.get() as { synchronous: number };
  // The disk has what was decided before anybody goes on from it: else a power loss undoes it, and what
  // followed.
  database.exec('PRAGMA synchronous = FULL; BEGIN IMMEDIATE');
  try {
    const damage = decide(parts, wereBehind);
    database.exec('COMMIT');
    return damage;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  } finally {
    database.exec(`PRAGMA synchronous = ${synchronous}`);
  }
}

/** What there is of the log. */
interface Present {
  readonly id: StoreId;
  readonly state: OrderState | undefined;
  readonly position: number;
  readonly segments: readonly number[];
}

function look({ database, files, directory }: RecoveryParts): Present {
  const { store, position, state } = statementsOf(database).log.get() as {
    store: Uint8Array;
    position: number;
    state: string;
  };
  const id = storeIdOf(store);
  const segments = segmentsAmong(files.list(directory));
  for (const segment of segments) refuseForeign(files, directory, segment, id);
  return { id, state: state === '' ? undefined : JSON.parse(state), position, segments };
}

/**
 * A segment that holds batches stands behind a seal, which this reads. Returns those that did so before:
 * where others are at work, there are more by now.
 */
function readToTheEnd(parts: RecoveryParts, catchUp: () => number): number[] {
  const { files, directory } = parts;
  const { position, segments } = look(parts);
  const behind = segments
    .filter(segment => segment > segmentAt(position))
    .filter(segment => reaches(files, directory, segment, SEGMENT_HEADER_BYTES + 1));
  const last = behind.at(-1);
  if (last === undefined || !segments.includes(segmentAt(position))) return behind;
  // Another one may have moved the index before it could have read all that was there.
  for (let to = catchUp(), before = -1; segmentAt(to) < last && to !== before; ) {
    before = to;
    to = catchUp();
  }
  return behind;
}

function decide(parts: RecoveryParts, wereBehind: readonly number[]): LogDamage[] {
  const { database, files, directory } = parts;
  const { id, state, position, segments } = look(parts);
  const segment = segmentAt(position);
  const behind = wereBehind.filter(other => other > segment && segments.includes(other));
  const create = (fresh: number, boot: Uint8Array): void => {
    const header = encodeSegmentHeader(id, fresh, state?.generation ?? 1);
    files.createWhole(join(directory, logSegmentName(fresh)), Buffer.concat([header, boot]));
  };
  if (!segments.includes(segment)) {
    if (state !== undefined || behind.length > 0) throw notThere(directory, segment);
    create(segment, new Uint8Array(0));
  }
  // From here on a log that is missing was there.
  if (state === undefined)
    database.prepare('UPDATE log SET state = ?').run(JSON.stringify(new Order(id.mark).save()));
  if (!segments.includes(segment)) return [];
  // All that is behind was read, unless a part of it is missing.
  const missing = missingSegments(segments, position).find(other => other < (behind.at(-1) ?? 0));
  if (missing !== undefined) throw notThere(directory, missing);
  if (behind.length > 0 || reaches(files, directory, segment, offsetAt(position))) return [];
  // A link to a disk that is away, say.
  if (readAt(files, join(directory, logSegmentName(segment)), 0, 1) === undefined)
    throw notThere(directory, segment);
  const fresh = segments.at(-1)! + 1;
  // In this order: whoever starts after a crash in between finds that something is behind, and decides the
  // same.
  const detail = BOOT_PINS | BOOT_DOUBTS;
  const untilMs = parts.wallMs() + asksFirstMs;
  create(fresh, state === undefined ? new Uint8Array(0) : bootBatch(id, state, detail, untilMs));
  database.prepare('UPDATE log SET position = ?').run(positionOf(fresh, SEGMENT_HEADER_BYTES));
  return [cutOff(position)];
}

const notThere = (directory: string, segment: number): LogBehindError =>
  new LogBehindError(`${join(directory, logSegmentName(segment))} is not there any more`);

/** The end of the log is gone, and nobody knows what it held. */
function cutOff(position: number): LogDamage {
  const from = offsetAt(position);
  return {
    is: 'lost',
    segment: segmentAt(position),
    from,
    to: Infinity,
    records: undefined,
    keptAs: undefined,
  };
}

/** Says that all in front of it may be older than what became of it. */
export function bootBatch(
  id: StoreId,
  state: Pick<OrderState, 'boot' | 'term' | 'generation' | 'marks'>,
  detail: number,
  asksFirstUntilMs: number,
): Uint8Array {
  const encoder = new BatchEncoder();
  // Another run than the last one, and most likely than the present one, which comes with the next that
  // joins.
  encoder.boot((state.boot + 1) % 2 ** 32 || 1, state.term, detail, asksFirstUntilMs);
  const length = encoder.finish({
    store: id.mark,
    instance: 0,
    epoch: 0,
    number: 0,
    generation: state.generation,
    marksSeen: state.marks,
  });
  return encoder.bytes.slice(0, length);
}

function refuseForeign(files: LogFiles, directory: string, segment: number, id: StoreId): void {
  const path = join(directory, logSegmentName(segment));
  const header = readAt(files, path, 0, SEGMENT_HEADER_BYTES);
  if (header !== undefined) checkSegmentHeader(header, header.length, id, segment, path);
}

/** Whether a segment has bytes up to `offset`. */
const reaches = (files: LogFiles, directory: string, segment: number, offset: number): boolean =>
  readAt(files, join(directory, logSegmentName(segment)), offset - 1, 1)?.length === 1;

/** What there is of `length` bytes at `position`; undefined: the file was removed just now. */
function readAt(files: LogFiles, path: string, position: number, length: number): Uint8Array | undefined {
  let fd: number;
  try {
    fd = files.openToAppend(path);
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const bytes = new Uint8Array(length);
    return bytes.subarray(0, files.read(fd, bytes, 0, length, position));
  } finally {
    files.close(fd);
  }
}
