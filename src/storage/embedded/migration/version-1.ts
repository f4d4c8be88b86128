/**
 * Takes over a store of version 1: tables that were the store themselves, and in front of them a log of each
 * instance.
 *
 * What a crash leaves is either version 1 as it was, or all of version 2 but for the old segments, which the
 * next start moves away.
 *
 * An instance's number becomes the epoch, dead by now, that accepted its payments.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { DEFAULT, PINNED, SETTLED, WAITING } from '../../../domain/payment.ts';
import { StoreOpenError } from '../../ports.ts';
import { ATTEMPTS_TABLE, FIRST_POSITION, LOG_TABLE } from '../index/tables.ts';
import type { OrderState } from '../shared-log/order-state.ts';
import { type MembersState, type OrderedMember, SHARES } from '../shared-log/ordered-members.ts';
import { realLogFiles } from '../shared-log/real-log-files.ts';
import {
  encodeSegmentHeader,
  logSegmentName,
  SEGMENT_HEADER_BYTES,
  segmentsAmong,
  storeIdBytes,
  storeIdOf,
} from '../shared-log/segments.ts';
import { readVersion1Segment, type Version1Segment, version1Segments } from './version-1-log.ts';

/** Below `log/`: the segments whose payments are in the tables. */
const migratedFolder = 'migrated';

/** Moves away the segments that a migration has read. To be called in a transaction. */
export function finishMigration(database: DatabaseSync, directory: string): void {
  const segments = version1Segments(directory);
  const isOpen =
    number(database, "SELECT count(*) FROM sqlite_schema WHERE name = 'migrated_segments'") === 1;
  const read = new Set(
    isOpen
      ? database
          .prepare('SELECT name FROM migrated_segments')
          .all()
          .map(({ name }) => name)
      : [],
  );
  for (const { name } of segments) {
    if (read.has(name)) continue;
    throw new StoreOpenError(
      `STORE_URL: ${join(directory, name)} is of an older soquete, and what it holds is not in this store: ` +
        'move it back to the store that it belongs to',
    );
  }
  if (!isOpen) return;
  const target = join(directory, migratedFolder);
  if (segments.length > 0) mkdirSync(target, { recursive: true });
  for (const { name } of segments) renameSync(join(directory, name), join(target, name));
  database.exec('DROP TABLE migrated_segments');
}

/**
 * Makes version 2 of the tables, in the transaction that is open. `directory`: of the segments; `boot` names
 * the run of the machine as version 1 did.
 */
export function migrateVersion1(database: DatabaseSync, directory: string, boot: string): void {
  database.exec(`
    CREATE TABLE IF NOT EXISTS machine (boot TEXT NOT NULL, term INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS flushing (instance TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  `);
  const term = pinWhatMayBeLost(database, boot);
  const generation = number(database, 'SELECT generation FROM shared');
  const segments = version1Segments(directory);
  const seq = replay(database, directory, segments, { generation, term });
  database.exec(`
    ALTER TABLE payments RENAME COLUMN owner TO origin;
    ALTER TABLE attempts RENAME TO attempts_by_seq;
    ${ATTEMPTS_TABLE}
    INSERT OR REPLACE INTO attempts
      SELECT id, n, ended_at, attempts_by_seq.processor, attempts_by_seq.requested_at, outcome, duration_ms
      FROM attempts_by_seq JOIN payments USING (seq);
    ${LOG_TABLE}
    CREATE TABLE migrated_segments (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  `);
  const read = database.prepare('INSERT INTO migrated_segments VALUES (?)');
  for (const { name } of segments) read.run(name);
  const store = randomBytes(storeIdBytes);
  const state = JSON.stringify(stateOf(database, { seq, generation, term }));
  database.prepare("INSERT INTO log VALUES (?, ?, ?, x'')").run(store, FIRST_POSITION, state);
  for (const table of ['attempts_by_seq', 'instances', 'shared', 'health', 'machine', 'flushing'])
    database.exec(`DROP TABLE ${table}`);
  database.exec('PRAGMA user_version = 2');
  createFirstSegment(directory, store, generation);
}

/**
 * As version 1 did when the first instance joined on another run of the machine: where somebody who did not
 * wait for the disk had not left, what waits may have been sent. Returns the term.
 */
function pinWhatMayBeLost(database: DatabaseSync, boot: string): number {
  const machine = database.prepare('SELECT boot, term FROM machine').get() as
    | { boot: string; term: number }
    | undefined;
  const term = machine?.term ?? 1;
  const careless = number(
    database,
    'SELECT count(*) FROM instances WHERE alive AND name NOT IN (SELECT instance FROM flushing)',
  );
  if (machine?.boot === boot || careless === 0) return term;
  database.exec(
    `UPDATE payments SET state = ${PINNED}, processor = max(processor, ${DEFAULT}),
       requested_at = iif(requested_at > 0, requested_at, accepted_at), attempts = max(attempts, 1)
     WHERE state = ${WAITING}`,
  );
  return term + 1;
}

/** Puts in the tables what only the logs hold; returns the last seq that was ever given. */
function replay(
  database: DatabaseSync,
  directory: string,
  segments: readonly Version1Segment[],
  present: { readonly generation: number; readonly term: number },
): number {
  const enter = database.prepare('INSERT OR IGNORE INTO instances (name) VALUES (?)');
  const place = database.prepare('SELECT number FROM instances WHERE name = ?');
  const put = database.prepare(
    `INSERT OR IGNORE INTO payments
       (seq, id, cents, accepted_at, state, processor, requested_at, attempts, tries, settled_at, owner)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?)`,
  );
  let seq = number(
    database,
    'SELECT max(purged_to, coalesce((SELECT max(seq) FROM payments), 0)) FROM shared',
  );
  for (const segment of segments) {
    enter.run(segment.instance);
    const { number: owner } = place.get(segment.instance) as { number: number };
    let isPinned = false;
    const is = readVersion1Segment(
      directory,
      segment,
      ({ generation, term }) => {
        // Of an earlier term, it may have been sent; to default, as a change of processor was on the disk.
        isPinned = term !== present.term;
        return generation === present.generation;
      },
      (id, cents, acceptedAtMs) => {
        const progress = isPinned ? [PINNED, DEFAULT, acceptedAtMs, 1] : [WAITING, -1, 0, 0];
        seq += Number(put.run(seq + 1, id, cents, acceptedAtMs, ...progress, owner).changes);
      },
    );
    if (is === 'damaged' || is === 'unknown version') throw refusalOf(join(directory, segment.name), is);
  }
  return seq;
}

function refusalOf(path: string, is: 'damaged' | 'unknown version'): StoreOpenError {
  return new StoreOpenError(
    is === 'damaged'
      ? `STORE_URL: ${path} is damaged in its first 32 bytes: restore it; without it (moved away) its payments are not ` +
          'known any more, and one that is sent again may be settled twice'
      : `STORE_URL: ${path} is of a version that this soquete does not know: run the soquete that wrote it`,
  );
}

/** What the order of the log begins with: all have ended, and own what they owned. */
function stateOf(
  database: DatabaseSync,
  known: { readonly seq: number; readonly generation: number; readonly term: number },
): OrderState {
  const health = database
    .prepare('SELECT failing, min_response_ms, version FROM health ORDER BY processor')
    .all()
    .map(row => ({
      isFailing: row['failing'] === 1,
      minResponseMs: Number(row['min_response_ms']),
      version: Number(row['version']),
    }));
  return {
    ...known,
    marks: 0,
    indexedTo: FIRST_POSITION,
    keptFrom: FIRST_POSITION,
    durableTo: 0,
    sealed: 0,
    digest: 0,
    boot: 0,
    touchedAt: 0,
    purgedAt: 0,
    termAt: -1,
    isDamaged: false,
    doubtAt: -1,
    asksFirstUntilMs: 0,
    isCalm: true,
    health,
    members: membersOf(database, Date.now()),
  };
}

function membersOf(database: DatabaseSync, nowMs: number): MembersState {
  const instances = database
    .prepare('SELECT number, name, generation, figures FROM instances ORDER BY number')
    .all() as unknown as { number: number; name: string; generation: number; figures: string }[];
  const members = instances.map(
    ({ number: place, name, generation, figures }): OrderedMember => ({
      name,
      number: place,
      epoch: place,
      isAlive: false,
      beat: 0,
      beatAtMs: nowMs,
      generation,
      batch: 0,
      figures,
      isFlushing: false,
    }),
  );
  // The share of a payment is the last four bits of its id.
  const counts = database
    .prepare(
      `SELECT origin, instr('0123456789ABCDEF', substr(hex(id), 32, 1)) - 1 AS share, count(*) AS unsettled
       FROM payments WHERE state < ${SETTLED} GROUP BY origin, share`,
    )
    .all() as unknown as { origin: number; share: number; unsettled: number }[];
  const unsettled = new Map<number, number[]>();
  for (const { origin, share, unsettled: count } of counts) {
    const shares = unsettled.get(origin) ?? new Array<number>(SHARES).fill(0);
    shares[share] = count;
    unsettled.set(origin, shares);
  }
  const last = Math.max(0, ...instances.map(({ number: place }) => place));
  return {
    lastEpoch: last,
    lastNumber: last,
    leases: [0, 0],
    members,
    heirs: [...unsettled.keys()].map(origin => [origin, new Array<number>(SHARES).fill(origin)]),
    unsettled: [...unsettled],
    doubted: [],
  };
}

/**
 * Before the transaction is committed: a segment that it finds of an attempt that was not has nothing in it.
 */
function createFirstSegment(directory: string, store: Uint8Array, generation: number): void {
  for (const segment of segmentsAmong(realLogFiles.list(directory))) {
    const path = join(directory, logSegmentName(segment));
    if (readFileSync(path).length > SEGMENT_HEADER_BYTES) {
      throw new StoreOpenError(
        `STORE_URL: ${path} is of another store: move it to the log/ of the payments.db that it belongs to`,
      );
    }
    realLogFiles.remove(path);
  }
  const header = encodeSegmentHeader(storeIdOf(store), 1, generation);
  realLogFiles.createWhole(join(directory, logSegmentName(1)), header);
}

function number(database: DatabaseSync, sql: string): number {
  return Number(Object.values(database.prepare(sql).get()!)[0]);
}

/** As version 1 named it. */
export function thisBoot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
