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
import { readStoreSetting, type StoreSetting } from '../settings/backend.ts';
import { readCommandLine } from '../settings/command-line.ts';
import { UnusableSetting } from '../settings/grammar.ts';
import { readArchiveDirectory, readRetention } from '../settings/retention.ts';
import { ArchiveRefused } from '../storage/archive/server-archive-folder.ts';
import { serverArchivers } from '../storage/archive/server-archiver.ts';
import type { Retention } from '../storage/archive/store-archive.ts';
import { archiveFolder, RealArchiveFolder } from '../storage/embedded/archive/archive-folder.ts';
import { Archiver } from '../storage/embedded/archive/archiver.ts';
import { indexFile, schemaVersion } from '../storage/embedded/index/tables.ts';
import { describeFault, StoreFault, StoreOpenError } from '../storage/ports.ts';
import { PostgresStore } from '../storage/postgres/postgres-store.ts';
import { CellsStore } from '../storage/redis/cells-store.ts';
import { RedisStore } from '../storage/redis/redis-store.ts';
import { systemClock } from '../system-clock.ts';

/** Between two transactions: others have their turn. */
const PAUSE_MS = 5;
/** The index of a store that is in use is locked for some milliseconds at a time. */
const BUSY_MS = 10_000;

type ServerSetting = Exclude<StoreSetting, { is: 'sqlite' }>;

async function archive(): Promise<string> {
  readCommandLine({
    name: 'archive',
    command: 'npm run archive',
    about: `Moves settled payments that are older than RETENTION_DAYS out of the store of STORE_URL into files in its
directory archive/ (of a PostgreSQL or Redis: in ARCHIVE_DIR of this host), and forgets ids that are older than
IDS_KEPT_DAYS, while backends run or not.`,
    options: {},
    status: 1,
  });
  const retention = readRetention(process.env);
  if (retention === undefined)
    throw new UnusableSetting('RETENTION_DAYS says what is old, such as RETENTION_DAYS=30: set it');
  const store = readStoreSetting(process.env);
  if (store.is !== 'sqlite') return archiveServer(store, retention);
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

async function archiveServer(setting: ServerSetting, retention: Retention): Promise<string> {
  const directory = readArchiveDirectory(process.env);
  const store = await openServer(setting);
  const archives = store instanceof CellsStore ? store.archives : [store.archive];
  let [archived, forgotten] = [0, 0];
  try {
    for (const archiver of serverArchivers(archives, directory)) {
      const pass = await archiver.pass(retention, Date.now());
      if (pass.skipped !== undefined)
        throw new UnusableSetting(`ARCHIVE_DIR: nothing is archived into ${directory}: ${pass.skipped}`);
      archived += pass.archived;
      forgotten += pass.forgotten;
    }
  } finally {
    await new Promise(left => store.leave(left));
  }
  return `${directory}: ${archived} payments archived, ${forgotten} ids forgotten`;
}

function openServer(setting: ServerSetting): Promise<PostgresStore | RedisStore | CellsStore> {
  const as = { clock: systemClock, ackAfter: 'commit', application: 'soquete-archive' } as const;
  if (setting.is === 'postgres') return PostgresStore.open({ ...as, url: setting.url });
  const { url } = setting;
  return url.cells === undefined ? RedisStore.open({ ...as, url }) : CellsStore.open({ ...as, url });
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
  const isForPeople = [UnusableSetting, StoreOpenError, StoreFault, ArchiveRefused].some(
    kind => error instanceof kind,
  );
  if (!isForPeople && !isSystemError(error) && !isOfSqlite) throw error;
  console.error(`archive: ${error instanceof StoreFault ? describeFault(error) : (error as Error).message}`);
  process.exitCode = 1;
}
