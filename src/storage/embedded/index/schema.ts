/**
 * The index behind the log: an SQLite file that all backends of one deployment share. Opens it, making it
 * where there is none, or says in one line what to do.
 *
 * The file must never be opened and closed by anything but SQLite in a process that uses it: POSIX drops all
 * locks that a process has on a file as soon as any descriptor of it is closed.
 */

import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isSystemError } from '../../../domain/system-error.ts';
import { makeDirectory } from '../../../make-directory.ts';
import { StoreFault, StoreOpenError } from '../../ports.ts';
import { migrateTables, migratingFile } from '../migration/migrate.ts';
import { finishMigration } from '../migration/version-1.ts';
import { version1Segments } from '../migration/version-1-log.ts';
import { LogError } from '../shared-log/log-error.ts';
import { segmentsAmong, storeIdBytes } from '../shared-log/segments.ts';
import { syncPath } from '../sync-path.ts';
import { applicationId, FIRST_POSITION, indexFile, logFolder, SCHEMA, schemaVersion } from './tables.ts';

/** Pages of random ids dominate what is written; smaller ones make more work elsewhere (measured). */
const pageBytes = 4096;
const cacheKiBDefault = 4 * 1024;
/** Switching a new file to WAL does not wait for the others who do the same, so it is tried again. */
const createMsMax = 10_000;
const walBytesKept = 64 * 1024 * 1024;

export interface IndexOptions {
  /** Holds the index and, in `log/`, the segments. Made where it is missing. */
  readonly directory: string;
  readonly cacheKiB?: number;
  /** It is not made where it is missing. */
  readonly mustExist?: boolean;
}

/** Opens the index of `options.directory`. Throws `StoreOpenError`. */
export function openIndexFile(options: IndexOptions): DatabaseSync {
  const { directory } = options;
  let database: DatabaseSync | undefined;
  try {
    makeDirectory(join(directory, logFolder));
    refuseLogAlone(directory);
    const giveUpAt = performance.now() + createMsMax;
    for (;;) {
      // While all backends start at once on a busy disk, one may have to wait longer than any transaction
      // should later.
      database = new DatabaseSync(join(directory, indexFile), { timeout: createMsMax });
      configure(database, options);
      if (prepareSchema(database, directory)) break;
      database.close();
      takeOver(directory, giveUpAt);
    }
    // The log would be of a store that nobody knows, if the tables that name it were not on the disk before.
    // The WAL has none of SQLite's locks.
    syncPath(join(directory, `${indexFile}-wal`));
    syncPath(directory);
    database.exec('PRAGMA busy_timeout = 2000');
    return database;
  } catch (error) {
    if (database?.isOpen) database.close();
    throw openErrorOf(directory, error);
  }
}

/**
 * A log is never begun on top of one whose index is gone. The index is always made before the first segment.
 */
function refuseLogAlone(directory: string): void {
  const hasLog = hasSegments(join(directory, logFolder));
  const index = statSync(join(directory, indexFile), { throwIfNoEntry: false });
  // An empty one SQLite would begin to fill.
  if (hasLog && (index === undefined || index.size === 0)) throw logWithoutIndex(directory);
}

const hasSegments = (directory: string): boolean =>
  segmentsAmong(readdirSync(directory)).length > 0 || version1Segments(directory).length > 0;

const logWithoutIndex = (directory: string): StoreOpenError =>
  new StoreOpenError(
    `STORE_URL: ${join(directory, logFolder)} holds payments, and the ${indexFile} that belongs to them is missing: ` +
      'restore it; without it (log/ moved away) none of them is known any more, and one that is sent again may be settled twice',
  );

/** Takes over a store of an older version, or lets another backend do so. */
function takeOver(directory: string, giveUpAt: number): void {
  if (migrateTables(directory)) return;
  if (performance.now() > giveUpAt) {
    throw new StoreOpenError(
      `STORE_URL: ${directory} is of an older soquete, and is still in use: stop all older backends first, then start this one`,
    );
  }
  // Those that start at once are in each other's way only for as long as each looks at the version.
  pause(5 + Math.random() * 30);
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** An index that nobody else has, for the simulation. */
export function openMemoryIndex(store: Uint8Array): DatabaseSync {
  const database = new DatabaseSync(':memory:');
  database.exec(SCHEMA);
  begin(database, store);
  return database;
}

/** The same as `bytes` say that it was. */
export function copyOfMemoryIndex(bytes: Uint8Array): DatabaseSync {
  const database = new DatabaseSync(':memory:');
  database.deserialize(bytes);
  return database;
}

/** Throws `StoreOpenError` unless there is a store. */
export function findAgain(directory: string): void {
  const path = join(directory, indexFile);
  try {
    statSync(path);
  } catch (error) {
    throw new StoreOpenError(
      `STORE_URL: ${path} is not there any more (${(error as NodeJS.ErrnoException).code}): bring its disk back; ` +
        'without it (all backends stopped and started anew) none of its payments is known any more, and one that is ' +
        'sent again may be settled twice',
    );
  }
}

function configure(database: DatabaseSync, options: IndexOptions): void {
  database.exec(`PRAGMA page_size = ${pageBytes}`);
  const giveUpAt = performance.now() + createMsMax;
  while (!isWal(database, options.directory)) {
    // A migration of a large store takes longer; what it migrates is there until it is done.
    const isMigrating = existsSync(join(options.directory, migratingFile));
    if (performance.now() > giveUpAt && !isMigrating) throw new StoreFault('busy', 'database is locked');
    pause(5);
  }
  database.exec(`
    PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = ${walBytesKept};
    PRAGMA cache_size = -${options.cacheKiB ?? cacheKiBDefault};
    PRAGMA temp_store = MEMORY;
  `);
}

/** Switches to WAL; false while others do the same. What is not ours is refused before it is changed. */
function isWal(database: DatabaseSync, directory: string): boolean {
  try {
    versionNow(database, directory);
    const mode = database.prepare('PRAGMA journal_mode = WAL').get() as { journal_mode: string };
    if (mode.journal_mode === 'wal') return true;
  } catch (error) {
    if (error instanceof StoreOpenError || indexFaultOf(error).reason !== 'busy') throw error;
    return false;
  }
  throw new StoreOpenError(
    `STORE_URL: ${directory} is on a file system that processes cannot share memory through: take a local directory`,
  );
}

/** `versionOf` at one moment: another backend may make the tables just now. */
function versionNow(database: DatabaseSync, directory: string): number {
  database.exec('BEGIN');
  try {
    return versionOf(database, directory);
  } finally {
    database.exec('COMMIT');
  }
}

/**
 * The version of the tables, 0 when there are none yet. Throws when there is something that is not ours. To
 * be asked in a transaction.
 */
function versionOf(database: DatabaseSync, directory: string): number {
  const number = (sql: string): number => Number(Object.values(database.prepare(sql).get()!)[0]);
  const version = number('PRAGMA user_version');
  const application = number('PRAGMA application_id');
  if (application === 0 && version === 0 && number('SELECT count(*) FROM sqlite_schema') === 0) return 0;
  if (application !== applicationId) {
    throw new StoreOpenError(
      `STORE_URL: ${directory}/${indexFile} is not a soquete store: take another directory`,
    );
  }
  if (version < 1 || version > schemaVersion) {
    throw new StoreOpenError(
      `STORE_URL: ${directory} was written by another soquete (version ${version} of the tables, this one knows ` +
        `${schemaVersion}): run that one, as another directory knows nothing of its payments`,
    );
  }
  return version;
}

/**
 * Makes the tables where there are none; as a write in any case, so that a read-only file is found out now.
 * False: they are of an older version.
 */
function prepareSchema(database: DatabaseSync, directory: string): boolean {
  const version = versionNow(database, directory);
  if (version > 0 && version < schemaVersion) return false;
  const logDirectory = join(directory, logFolder);
  database.exec('BEGIN IMMEDIATE');
  if (versionOf(database, directory) === 0) {
    if (hasSegments(logDirectory)) throw logWithoutIndex(directory);
    database.exec(SCHEMA);
    begin(database, randomBytes(storeIdBytes));
  } else database.exec('UPDATE log SET position = position');
  finishMigration(database, logDirectory);
  database.exec('COMMIT');
  return true;
}

function begin(database: DatabaseSync, store: Uint8Array): void {
  database.prepare("INSERT INTO log VALUES (?, ?, '', x'')").run(store, FIRST_POSITION);
}

/** What to say of an error on opening. */
export function openErrorOf(directory: string, error: unknown): StoreOpenError {
  if (error instanceof StoreOpenError) return error;
  // What no system call and no SQLite says is a bug.
  const isExpected =
    error instanceof StoreFault ||
    error instanceof LogError ||
    isSystemError(error) ||
    resultCode(error) !== undefined;
  if (!isExpected) throw error;
  return new StoreOpenError(adviceOn(directory, error));
}

function adviceOn(directory: string, error: unknown): string {
  const { code, message, path } = error as NodeJS.ErrnoException;
  if (error instanceof LogError) return `STORE_URL: ${message}: ${error.advice}`;
  const result = error instanceof StoreFault ? SQLITE_BUSY : resultCode(error);
  const why = (error as { errstr?: string }).errstr ?? code ?? message ?? 'locked';
  const what = `STORE_URL: cannot use ${directory} (${why})`;
  if (result === NOTADB || result === CORRUPT) {
    return (
      `STORE_URL: ${directory}/${indexFile} is damaged or not a store (${why}): restore a backup of the whole directory; ` +
      'without the file its payments are not known any more, and may be settled again'
    );
  }
  if (result === SQLITE_BUSY || result === LOCKED) return `${what}: another program holds it locked`;
  if (result === FULL || code === 'ENOSPC') return `${what}: make space on its disk`;
  if (code === 'EMFILE' || code === 'ENFILE')
    return `${what}: no descriptors are left, allow more open files (ulimit -n)`;
  if (code === 'ENOMEM') return `${what}: no memory is left for it`;
  if (result === CANTOPEN)
    return `${what}: it has to be a directory that this user can write in, with descriptors to spare (ulimit -n)`;
  if (code === 'EIO') return `${what}: its disk fails, bring it back or take another one`;
  if (code === 'ENOTDIR') return `${what}: it has to be a directory`;
  if (code === 'EEXIST')
    return `STORE_URL: cannot use ${path ?? directory} (${why}): it has to be a directory`;
  if (code === 'EISDIR')
    return `STORE_URL: cannot use ${path ?? `what is in ${directory}/${logFolder}`} (${why}): it has to be a file; restore a backup of the whole directory`;
  return `${what}: it has to be a directory that this user can write in`;
}

export const SQLITE_BUSY = 5;
const LOCKED = 6;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const PROTOCOL = 15;
const NOTADB = 26;
/** Extended codes of what a full disk or an exceeded quota can look like besides FULL. */
const IOERR_WRITE = IOERR | (3 << 8);
const IOERR_SHMSIZE = IOERR | (19 << 8);

/** SQLite's primary result code of an error of `node:sqlite`. */
export function resultCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: number };
  return errcode === undefined ? undefined : errcode & 0xff;
}

/** What went wrong, in the store's words. What no system call and no SQLite says is a bug: thrown on. */
export function indexFaultOf(error: unknown): StoreFault {
  if (error instanceof StoreFault) return error;
  const detail = (error as Error).message;
  if (error instanceof LogError) return new StoreFault('lost', detail);
  const extended = (error as { errcode?: number }).errcode;
  if (extended === IOERR_WRITE || extended === IOERR_SHMSIZE) return new StoreFault('full', detail);
  switch (resultCode(error)) {
    case FULL:
      return new StoreFault('full', detail);
    case SQLITE_BUSY:
    case LOCKED:
    case PROTOCOL:
    // Also what SQLite says when there is no descriptor to spare.
    case CANTOPEN:
      return new StoreFault('busy', detail);
    case undefined:
      break;
    default:
      return new StoreFault('lost', detail);
  }
  if (!isSystemError(error)) throw error;
  const { code } = error;
  if (code === 'ENOSPC') return new StoreFault('full', detail);
  return new StoreFault(['EMFILE', 'ENFILE', 'ENOMEM'].includes(code) ? 'busy' : 'lost', detail);
}
