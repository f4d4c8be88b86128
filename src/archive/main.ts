/**
 * `npm run archive`: what `RETENTION_DAYS` has backends do, by hand: settled payments that are older leave
 * the store of `STORE_URL` for files, while backends use it or not.
 *
 * Exit code 0: done. 1: not done, for a reason that is printed.
 */
import { existsSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { isSystemError } from '../domain/system-error.ts';
import { readStoreSetting } from '../settings/backend.ts';
import { readCommandLine } from '../settings/command-line.ts';
import { UnusableSetting } from '../settings/grammar.ts';
import { readRetention } from '../settings/retention.ts';
import { archiveFolder, RealArchiveFolder } from '../storage/embedded/archive/archive-folder.ts';
import { Archiver } from '../storage/embedded/archive/archiver.ts';
import { indexFile, schemaVersion } from '../storage/embedded/index/tables.ts';

/** Between two transactions: others have their turn. */
const PAUSE_MS = 5;
/** The index of a store that is in use is locked for some milliseconds at a time. */
const BUSY_MS = 10_000;

async function archive(): Promise<string> {
  readCommandLine({
    name: 'archive',
    command: 'npm run archive',
    about: `Moves settled payments that are older than RETENTION_DAYS out of the store of STORE_URL into files in its
directory archive/, and forgets ids that are older than IDS_KEPT_DAYS, while backends run or not.`,
    options: {},
    status: 1,
  });
  const retention = readRetention(process.env);
  if (retention === undefined)
    throw new UnusableSetting('RETENTION_DAYS says what is old, such as RETENTION_DAYS=30: set it');
  const store = readStoreSetting(process.env);
  if (store.is !== 'sqlite')
    throw new UnusableSetting('STORE_URL names a database: archive that with its own tools');
  const database = openIndex(store.directory);
  try {
    // Those who take payments go first.
    setPriority(19);
    const nowMs = Date.now();
    const { keptMs, idsKeptMs, exactFromMs } = retention;
    const archiver = new Archiver(database, new RealArchiveFolder(store.directory));
    let [archived, forgotten] = [0, 0];
    for (;;) {
      const step = archiver.step(nowMs - keptMs, nowMs - idsKeptMs, exactFromMs);
      archived += step.archived;
      forgotten += step.forgotten;
      if (!step.isMore && !archiver.isSweeping) break;
      await sleep(PAUSE_MS);
    }
    const { files, bytes } = database
      .prepare('SELECT count(*) AS files, coalesce(sum(bytes), 0) AS bytes FROM archive_files')
      .get() as { files: number; bytes: number };
    const { kept } = database.prepare('SELECT count(*) AS kept FROM payments').get() as { kept: number };
    return (
      `${join(store.directory, archiveFolder)}: ${archived} payments archived, ${forgotten} ids forgotten; ` +
      `${kept} payments are in the store, and ${files} files of ${bytes} bytes in the archive`
    );
  } finally {
    database.close();
  }
}

function openIndex(directory: string): DatabaseSync {
  const path = join(directory, indexFile);
  if (!existsSync(path)) throw new UnusableSetting(`STORE_URL: there is no store in ${directory}`);
  const database = new DatabaseSync(path, { timeout: BUSY_MS });
  const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number };
  if (version !== schemaVersion) {
    database.close();
    throw new UnusableSetting(
      `STORE_URL: the store in ${directory} is of another version (${version}, not ${schemaVersion}): start a backend of this one first`,
    );
  }
  return database;
}

try {
  console.log(`archive: ${await archive()}`);
} catch (error) {
  const isOfSqlite = (error as { code?: string }).code === 'ERR_SQLITE_ERROR';
  if (!(error instanceof UnusableSetting) && !isSystemError(error) && !isOfSqlite) throw error;
  console.error(`archive: ${(error as Error).message}`);
  process.exitCode = 1;
}
