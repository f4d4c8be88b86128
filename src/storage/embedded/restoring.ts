/**
 * Makes a new store of an older copy: of what the copy does not know, anything may have happened. Whatever is
 * unsettled in it is uncertain, and so is what is accepted for some time, as clients send again what the copy
 * has forgotten.
 */
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { SETTLED } from '../../domain/payment.ts';
import { LogIndex } from './index/log-index.ts';
import { bootBatch } from './recovery.ts';
import { BOOT_DOUBTS } from './shared-log/boots.ts';
import type { LogFiles } from './shared-log/log-files.ts';
import { Order } from './shared-log/order.ts';
import type { OrderState } from './shared-log/order-state.ts';
import {
  encodeSegmentHeader,
  logSegmentName,
  positionOf,
  SEGMENT_HEADER_BYTES,
  segmentAt,
  segmentsAmong,
  storeIdOf,
} from './shared-log/segments.ts';

export interface RestoringParts {
  /** The copy's index, and the segments behind it: nobody else has them. */
  readonly database: DatabaseSync;
  readonly files: LogFiles;
  readonly directory: string;
  /** Where the new log begins. Default: `directory`. */
  readonly newDirectory?: string;
  /** Of the new store: whoever still had the old one open writes nothing that counts in this one. */
  readonly store: Uint8Array;
  readonly asksFirstUntilMs: number;
  readonly wallMs: () => number;
}

export interface Restored {
  readonly payments: number;
  readonly unsettled: number;
}

/**
 * Moves all of the copy's log into its index, and begins a new log behind that. The copy's segments are not
 * needed any more. Throws what the reader of the log, the files and SQLite throw.
 */
export function makeNewStore(parts: RestoringParts): Restored {
  const { database, files, directory, newDirectory = directory, store, asksFirstUntilMs, wallMs } = parts;
  const index = new LogIndex({ database, files, directory, wallMs });
  for (let to = -1, before = -2; to !== before; ) {
    before = to;
    to = index.advance();
  }
  const { state, position } = index.opened;
  index.forget();
  const present = segmentsAmong(files.list(directory));
  const fresh = Math.max(segmentAt(position), ...present) + 1;
  const id = storeIdOf(store);
  const copied = state ?? new Order(id.mark).save();
  // The index says it, too: damage may take the head of the new log.
  const untilMs = Math.max(copied.asksFirstUntilMs, asksFirstUntilMs);
  const known: OrderState = { ...copied, asksFirstUntilMs: untilMs };
  const header = encodeSegmentHeader(id, fresh, known.generation);
  const boot = bootBatch(id, known, BOOT_DOUBTS, untilMs);
  files.createWhole(join(newDirectory, logSegmentName(fresh)), Buffer.concat([header, boot]));
  const begin = positionOf(fresh, SEGMENT_HEADER_BYTES);
  database
    .prepare('UPDATE log SET store = ?, position = ?, state = ?')
    .run(store, begin, JSON.stringify(known));
  for (const segment of present) files.remove(join(directory, logSegmentName(segment)));
  const count = (where: string): number =>
    (database.prepare(`SELECT count(*) AS n FROM payments ${where}`).get() as { n: number }).n;
  return { payments: count(''), unsettled: count(`WHERE state < ${SETTLED}`) };
}
