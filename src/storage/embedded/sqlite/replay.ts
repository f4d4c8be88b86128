/**
 * Reads what an instance's log segments hold and has it put into the store, some thousand payments a
 * transaction.
 */

import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT, PINNED, readIdWords, WAITING } from '../../../domain/payment.ts';
import * as column from '../../batch.ts';
import { Batch, INSERT } from '../../batch.ts';
import {
  decodeHeader,
  decodeRecords,
  HEADER_BYTES,
  type Header,
  logFolder,
  RECORD_BYTES,
  segmentNumber,
} from '../log-format.ts';

/** Long enough that a transaction's own cost is lost in it, short enough that nobody waits long behind it. */
const recordsPerTransaction = 4096;

/**
 * Makes the batch of a transaction when the store's epoch, generation and term are known; undefined ends the
 * segment.
 */
type MakeBatch = (epoch: number, present: Header) => Batch | undefined;

/**
 * Calls `transact` for each chunk of every segment of `instance`, oldest first, with a function that makes
 * its batch; it returns how many of them were new, or undefined to stop. Returns the sum. A segment of
 * another generation than the store's is passed over: what it holds was purged. What one of another term
 * holds may have been sent.
 */
export function replayLogs(
  directory: string,
  instance: string,
  transact: (makeBatch: MakeBatch) => number | undefined,
): number {
  let added = 0;
  for (const path of segments(join(directory, logFolder), instance)) {
    const descriptor = openSync(path, 'r');
    try {
      added += replaySegment(descriptor, transact);
    } finally {
      closeSync(descriptor);
    }
  }
  return added;
}

function segments(folder: string, instance: string): string[] {
  return readdirSync(folder)
    .map(name => ({ path: join(folder, name), number: segmentNumber(instance, name) }))
    .filter(segment => segment.number !== undefined)
    .sort((one, other) => one.number! - other.number!)
    .map(segment => segment.path);
}

function replaySegment(descriptor: number, transact: (makeBatch: MakeBatch) => number | undefined): number {
  const opening = new Uint8Array(HEADER_BYTES);
  readSync(descriptor, opening, 0, HEADER_BYTES, 0);
  const header = decodeHeader(opening);
  if (header === undefined) return 0;
  const bytes = new Uint8Array(recordsPerTransaction * RECORD_BYTES);
  let added = 0;
  for (let position = HEADER_BYTES; ; position += bytes.length) {
    const length = readSync(descriptor, bytes, 0, bytes.length, position);
    let isWhole = false;
    const fresh = transact((epoch, present) => {
      if (present.generation !== header.generation) return undefined;
      const batch = new Batch(epoch, header.generation, recordsPerTransaction);
      fill(batch, bytes.subarray(0, length), header.term === present.term ? putWaiting : putPinned);
      isWhole = batch.count === recordsPerTransaction;
      return batch.count === 0 ? undefined : batch;
    });
    added += fresh ?? 0;
    if (!isWhole) return added;
  }
}

type Progress = (rows: Float64Array, start: number, acceptedAtMs: number) => void;

const putWaiting: Progress = (rows, start) => {
  rows[start + column.STATE] = WAITING;
  rows[start + column.PROCESSOR] = -1;
};

const putPinned: Progress = (rows, start, acceptedAtMs) => {
  rows[start + column.STATE] = PINNED;
  rows[start + column.PROCESSOR] = DEFAULT;
  rows[start + column.REQUESTED_AT] = acceptedAtMs;
  rows[start + column.ATTEMPTS] = 1;
};

/** Adds the puts of what `bytes` hold, up to the first damaged record. */
function fill(batch: Batch, bytes: Uint8Array, progress: Progress): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  decodeRecords(bytes, 0, bytes.length, (_, idStart, cents, acceptedAtMs) => {
    const start = batch.add(INSERT);
    readIdWords(view, idStart, batch.rows, start + column.ID);
    batch.rows[start + column.CENTS] = cents;
    batch.rows[start + column.ACCEPTED_AT] = acceptedAtMs;
    progress(batch.rows, start, acceptedAtMs);
  });
}
