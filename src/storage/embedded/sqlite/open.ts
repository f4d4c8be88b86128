/**
 * Opens the file that all backends of one deployment share, creating it where there is none, or says in one
 * line what to mend.
 *
 * The file must never be opened and closed by anything but SQLite in a process that uses it: POSIX drops all
 * locks that a process has on a file as soon as any descriptor of it is closed.
 */

import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StoreFault, StoreOpenError } from '../../ports.ts';
import { logFolder } from '../log-format.ts';

export interface SqliteOptions {
  /** Holds the store's files and, in `log/`, the instances' logs. Made where it is missing. */
  readonly directory: string;
  /** What a reply of `write` survives: the death of any process, or power loss too (an fdatasync a batch). */
  readonly durable?: 'process' | 'power';
  /** How long a transaction waits for the others' before it gives up with `busy`. */
  readonly busyMs?: number;
  /** The page cache of this connection. */
  readonly cacheKiB?: number;
  /** It is not made where it is missing. */
  readonly mustExist?: boolean;
  /** For tests: the file may not grow beyond so many pages. */
  readonly pagesMax?: number;
  /** Tells one run of the machine from the next. Default: the kernel's own name of it. */
  readonly boot?: string;
  /**
   * The last term that the user had seen when the store broke under him: unless a later one has begun, the
   * next to join begins it.
   */
  readonly brokenTerm?: number | 'unknown' | undefined;
}

export const fileName = 'payments.db';
/** 'soqu': tells our files from other SQLite files. */
const applicationId = 0x736f7175;
/** Rises with every change of the tables. */
export const schemaVersion = 1;
/** Pages of random ids dominate what is written; smaller ones make more work elsewhere (measured). */
const pageBytes = 4096;
export const busyMsDefault = 2000;
const cacheKiBDefault = 4 * 1024;
/** The WAL starts anew long before, unless a disk is full or somebody reads for very long. */
const walBytesKept = 64 * 1024 * 1024;
/** Switching a new file to WAL does not wait for the others who do the same, so it is tried again. */
const createMsMax = 10_000;

const SCHEMA = `
CREATE TABLE payments (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL UNIQUE,
  cents INTEGER NOT NULL,
  accepted_at INTEGER NOT NULL,
  state INTEGER NOT NULL,
  processor INTEGER NOT NULL,
  requested_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  tries INTEGER NOT NULL,
  settled_at INTEGER NOT NULL,
  owner INTEGER NOT NULL
) STRICT;
CREATE INDEX unsettled ON payments (owner, seq) WHERE state < 3;
CREATE TABLE attempts (
  seq INTEGER NOT NULL,
  n INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  processor INTEGER NOT NULL,
  requested_at INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  PRIMARY KEY (seq, n, ended_at)
) STRICT, WITHOUT ROWID;
CREATE TABLE totals (
  level INTEGER NOT NULL,
  bucket INTEGER NOT NULL,
  processor INTEGER NOT NULL,
  count INTEGER NOT NULL,
  high INTEGER NOT NULL,
  low INTEGER NOT NULL,
  PRIMARY KEY (level, bucket, processor)
) STRICT, WITHOUT ROWID;
CREATE TABLE instances (
  number INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  epoch INTEGER NOT NULL DEFAULT 0,
  beat INTEGER NOT NULL DEFAULT 0,
  alive INTEGER NOT NULL DEFAULT 0,
  generation INTEGER NOT NULL DEFAULT 1,
  unsettled INTEGER NOT NULL DEFAULT 0,
  figures TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE shared (
  generation INTEGER NOT NULL,
  checker TEXT NOT NULL,
  purged_to INTEGER NOT NULL
) STRICT;
INSERT INTO shared VALUES (1, '', 0);
CREATE TABLE health (
  processor INTEGER PRIMARY KEY,
  failing INTEGER NOT NULL,
  min_response_ms REAL NOT NULL,
  version INTEGER NOT NULL
) STRICT;
INSERT INTO health VALUES (0, 0, 0, 0), (1, 0, 0, 0);
PRAGMA application_id = ${applicationId};
PRAGMA user_version = ${schemaVersion};
`;

/** Not part of the tables' version: who does not know it can work with the others all the same. */
const MACHINE = `
CREATE TABLE IF NOT EXISTS machine (boot TEXT NOT NULL, term INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS flushing (instance TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
`;

/** Opens the store of `options.directory`. Throws `StoreOpenError`. */
export function openDatabase(options: SqliteOptions): DatabaseSync {
  const { directory } = options;
  let database: DatabaseSync | undefined;
  try {
    if (options.mustExist === true) findAgain(directory);
    mkdirSync(join(directory, logFolder), { recursive: true });
    // While all backends start at once on a busy disk, one may have to wait longer than any transaction
    // should later.
    database = new DatabaseSync(join(directory, fileName), { timeout: createMsMax });
    configure(database, options);
    prepareSchema(database, directory);
    syncDirectory(directory);
    // From here on, waiting for others is a matter of `turns`.
    database.exec('PRAGMA busy_timeout = 0');
    if (options.pagesMax !== undefined) database.exec(`PRAGMA max_page_count = ${options.pagesMax}`);
    return database;
  } catch (error) {
    database?.close();
    throw openErrorOf(directory, error);
  }
}

/** Throws unless the store is where it was. */
function findAgain(directory: string): void {
  const path = join(directory, fileName);
  try {
    statSync(path);
  } catch (error) {
    throw new StoreOpenError(
      `STORE_URL: ${path} is not there any more (${(error as NodeJS.ErrnoException).code}): bring its disk back; ` +
        'to go on without what it held, stop all backends and start them anew',
    );
  }
}

function configure(database: DatabaseSync, options: SqliteOptions): void {
  database.exec(`PRAGMA page_size = ${pageBytes}`);
  const giveUpAt = performance.now() + createMsMax;
  while (!isWal(database, options.directory)) {
    if (performance.now() > giveUpAt) throw new StoreFault('busy', 'database is locked');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  }
  database.exec(`
    PRAGMA synchronous = ${options.durable === 'power' ? 'FULL' : 'NORMAL'};
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = ${walBytesKept};
    PRAGMA cache_size = -${options.cacheKiB ?? cacheKiBDefault};
    PRAGMA temp_store = MEMORY;
  `);
}

/** Switches to WAL; false while others do the same. What is not ours is refused before it is changed. */
function isWal(database: DatabaseSync, directory: string): boolean {
  try {
    // In a transaction, so that what is read is of one moment: another backend may make the tables just now.
    database.exec('BEGIN');
    try {
      isNew(database, directory);
    } finally {
      database.exec('COMMIT');
    }
    const mode = database.prepare('PRAGMA journal_mode = WAL').get() as { journal_mode: string };
    if (mode.journal_mode === 'wal') return true;
  } catch (error) {
    if (error instanceof StoreOpenError || faultOf(error).reason !== 'busy') throw error;
    return false;
  }
  throw new StoreOpenError(
    `STORE_URL: ${directory} is on a file system that processes cannot share memory through: take a local directory`,
  );
}

/** Whether there is nothing yet. Throws when there is something that we cannot work with. */
function isNew(database: DatabaseSync, directory: string): boolean {
  const number = (sql: string): number => Number(Object.values(database.prepare(sql).get()!)[0]);
  const version = number('PRAGMA user_version');
  const application = number('PRAGMA application_id');
  if (application === 0 && version === 0 && number('SELECT count(*) FROM sqlite_schema') === 0) return true;
  if (application !== applicationId) {
    throw new StoreOpenError(
      `STORE_URL: ${directory}/${fileName} is not a soquete store: take another directory`,
    );
  }
  if (version !== schemaVersion) {
    throw new StoreOpenError(
      `STORE_URL: ${directory} was written by ${version > schemaVersion ? 'a newer' : 'an older'} soquete ` +
        `(version ${version} of the tables, this one knows ${schemaVersion}): run that one, or take another directory`,
    );
  }
  return false;
}

/**
 * Makes the tables where there are none; as a write in any case, so that a read-only file is found out now.
 */
function prepareSchema(database: DatabaseSync, directory: string): void {
  database.exec('BEGIN IMMEDIATE');
  database.exec(isNew(database, directory) ? SCHEMA : 'UPDATE shared SET generation = generation');
  database.exec(MACHINE);
  database.exec('COMMIT');
}

/** After a power loss a file is there only if its directory was synced. */
function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** What to say of an error on opening. */
export function openErrorOf(directory: string, error: unknown): StoreOpenError {
  return error instanceof StoreOpenError ? error : new StoreOpenError(mend(directory, error));
}

function mend(directory: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const result = error instanceof StoreFault ? BUSY : resultCode(error);
  const why = (error as { errstr?: string }).errstr ?? code ?? message ?? 'locked';
  const what = `STORE_URL: cannot use ${directory} (${why})`;
  if (result === NOTADB || result === CORRUPT) {
    return `STORE_URL: ${directory}/${fileName} is damaged or not a store (${why}): move it away or restore it`;
  }
  if (result === BUSY || result === LOCKED) return `${what}: another program holds it locked`;
  if (result === FULL || code === 'ENOSPC') return `${what}: make space on its disk`;
  if (code === 'ENOTDIR' || code === 'EEXIST') return `${what}: it has to be a directory`;
  return `${what}: it has to be a directory that this user can write in`;
}

const BUSY = 5;
const LOCKED = 6;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const PROTOCOL = 15;
const NOTADB = 26;
/** Extended codes of what a full disk or an exceeded quota can look like besides FULL. */
const IOERR_WRITE = IOERR | (3 << 8);
const IOERR_SHMSIZE = IOERR | (19 << 8);

/** SQLite's primary result code of an error of `node:sqlite`. */
function resultCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: number };
  return errcode === undefined ? undefined : errcode & 0xff;
}

/**
 * What went wrong in a transaction, in the store's words. What no system call and no SQLite says is a bug:
 * thrown on.
 */
export function faultOf(error: unknown): StoreFault {
  if (error instanceof StoreFault) return error;
  const detail = (error as Error).message;
  const extended = (error as { errcode?: number }).errcode;
  if (extended === IOERR_WRITE || extended === IOERR_SHMSIZE) return new StoreFault('full', detail);
  switch (resultCode(error)) {
    case FULL:
      return new StoreFault('full', detail);
    case BUSY:
    case LOCKED:
    case PROTOCOL:
      return new StoreFault('busy', detail);
    case undefined:
      break;
    default:
      return new StoreFault('broken', detail);
  }
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  return new StoreFault(code === 'ENOSPC' ? 'full' : 'broken', detail);
}
