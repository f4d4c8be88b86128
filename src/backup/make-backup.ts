/**
 * A backup of an embedded store that is in use, or not: the index by SQLite's backup API, over one read
 * transaction, and the segments of the log from the position that the index has in it on. The log only ever
 * grows at its end, so what is read of it later than the index is more, never something else.
 */
import { closeSync, existsSync, fstatSync, fsyncSync, linkSync, openSync, rmSync } from 'node:fs';
import { setPriority } from 'node:os';
import { dirname, join } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { SETTLED } from '../domain/payment.ts';
import { UnusableSetting } from '../settings/grammar.ts';
import { openErrorOf } from '../storage/embedded/index/schema.ts';
import { indexFile, logFolder } from '../storage/embedded/index/tables.ts';
import { realLogFiles } from '../storage/embedded/shared-log/real-log-files.ts';
import { logSegmentName, segmentAt, segmentsAmong } from '../storage/embedded/shared-log/segments.ts';
import { BACKUP_ABOUT, BACKUP_INDEX, BackupWriter, backupVersion, CheckedBackup } from './archive-file.ts';

/** A step of the copy, 256 KiB: between two of them others have their turn. */
const STEP_PAGES = 64;
/** Segments go as the index moves on: to meet none where one has to be is rare. */
const LOOKS_MAX = 10;

export interface BackupMade {
  readonly payments: number;
  readonly unsettled: number;
  /** Of the log, that the index does not have. */
  readonly logBytes: number;
  readonly fileBytes: number;
}

/** Rejects with `UnusableSetting`, `StoreOpenError`, or what the system says. Then there is no `file`. */
export async function makeBackup(directory: string, file: string, nowMs: number): Promise<BackupMade> {
  const source = join(directory, indexFile);
  if (!existsSync(source)) throw new UnusableSetting(`STORE_URL: there is no store in ${directory}`);
  if (existsSync(file)) throw new UnusableSetting(`${file} is there already: name another file`);
  if (!existsSync(dirname(file))) throw new UnusableSetting(`${dirname(file)} is no directory`);
  // Those who take payments go first.
  setPriority(19);
  const [copied, written] = [`${file}.${process.pid}.db`, `${file}.${process.pid}.new`];
  try {
    const made = await write(directory, copied, written, nowMs);
    new CheckedBackup(written).close();
    publish(written, file);
    return made;
  } catch (error) {
    throw isOfSqlite(error) ? openErrorOf(directory, error) : error;
  } finally {
    for (const path of [copied, `${copied}-journal`, `${copied}-wal`, `${copied}-shm`, written])
      rmSync(path, { force: true });
  }
}

const isOfSqlite = (error: unknown): boolean => (error as { code?: string }).code === 'ERR_SQLITE_ERROR';

/** Unlike a rename, a link never takes the place of what is there. */
function publish(written: string, file: string): void {
  try {
    linkSync(written, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    throw new UnusableSetting(`${file} is there already: name another file`);
  }
  const fd = openSync(dirname(file), 'r');
  fsyncSync(fd);
  closeSync(fd);
}

interface OpenSegment {
  readonly name: string;
  readonly fd: number;
  readonly size: number;
}

async function write(directory: string, copied: string, written: string, nowMs: number): Promise<BackupMade> {
  const { segments, database } = await snapshot(directory);
  const out = new BackupWriter(written, nowMs);
  try {
    await backup(database, copied, { rate: STEP_PAGES });
    const { payments, unsettled } = checkedCopy(copied, directory);
    out.addText(
      BACKUP_ABOUT,
      `${JSON.stringify({ version: backupVersion, madeAtMs: nowMs, payments, unsettled })}\n`,
    );
    const fd = openSync(copied, 'r');
    try {
      out.add(BACKUP_INDEX, fd, fstatSync(fd).size);
    } finally {
      closeSync(fd);
    }
    for (const segment of segments) out.add(`${logFolder}/${segment.name}`, segment.fd, segment.size);
    out.finish();
    const logBytes = segments.reduce((sum, { size }) => sum + size, 0);
    return { payments, unsettled, logBytes, fileBytes: fstatSync(out.fd).size };
  } finally {
    out.close();
    database.close();
    for (const { fd } of segments) closeSync(fd);
  }
}

/**
 * The index at one moment, in a read transaction that lasts, and all segments that hold what it does not
 * have, open: whatever is removed from now on stays readable here.
 */
async function snapshot(
  directory: string,
): Promise<{ readonly database: DatabaseSync; readonly segments: readonly OpenSegment[] }> {
  const database = new DatabaseSync(join(directory, indexFile), { readOnly: true, timeout: 10_000 });
  for (let looks = 1; ; looks++) {
    database.exec('BEGIN');
    const { position } = database.prepare('SELECT position FROM log').get() as { position: number };
    const segments = openSegments(join(directory, logFolder), segmentAt(position));
    if (segments !== undefined) return { database, segments };
    database.exec('ROLLBACK');
    if (looks === LOOKS_MAX) {
      database.close();
      throw new UnusableSetting(
        `STORE_URL: ${directory} lacks a part of its log: start a backend, it says which`,
      );
    }
    await sleep(50);
  }
}

/** Undefined: one was removed meanwhile. */
function openSegments(logDirectory: string, first: number): OpenSegment[] | undefined {
  const open: OpenSegment[] = [];
  const numbers = segmentsAmong(realLogFiles.list(logDirectory)).filter(segment => segment >= first);
  try {
    for (const number of numbers) {
      const name = logSegmentName(number);
      const fd = openSync(join(logDirectory, name), 'r');
      open.push({ name, fd, size: fstatSync(fd).size });
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const isWhole = open.length === numbers.length && numbers[0] === first;
  if (isWhole) return open;
  for (const { fd } of open) closeSync(fd);
  return undefined;
}

/** Makes one file of the copy, and has SQLite look through it. */
function checkedCopy(copied: string, directory: string): { payments: number; unsettled: number } {
  const database = new DatabaseSync(copied);
  try {
    database.exec('PRAGMA journal_mode = DELETE');
    const said = database.prepare('PRAGMA quick_check(1)').get() as { quick_check: string };
    if (said.quick_check !== 'ok')
      throw new UnusableSetting(
        `STORE_URL: ${directory}/${indexFile} is damaged (${said.quick_check.split('\n').at(-1)})`,
      );
    const count = (where: string): number =>
      (database.prepare(`SELECT count(*) AS n FROM payments ${where}`).get() as { n: number }).n;
    return { payments: count(''), unsettled: count(`WHERE state < ${SETTLED}`) };
  } finally {
    database.close();
  }
}
