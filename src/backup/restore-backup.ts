/**
 * Puts a backup into an empty directory, as a new store: what happened since is not in it, so whatever is
 * unsettled there is asked for at both processors before it leaves, and so is what is accepted for some time.
 *
 * All is prepared in a folder of its own. The index takes its place last: until then there is no store, and
 * a backend refuses to start on what is there.
 */

import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statfsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { makeDirectory } from '../make-directory.ts';
import { UnusableSetting } from '../settings/grammar.ts';
import { openIndexFile } from '../storage/embedded/index/schema.ts';
import { indexFile, logFolder } from '../storage/embedded/index/tables.ts';
import { makeNewStore, type Restored } from '../storage/embedded/restoring.ts';
import { realLogFiles } from '../storage/embedded/shared-log/real-log-files.ts';
import { storeIdBytes } from '../storage/embedded/shared-log/segments.ts';
import { syncPath } from '../storage/embedded/sync-path.ts';
import { BACKUP_INDEX, CheckedBackup } from './archive-file.ts';

const FOLDER = 'restoring';

export interface RestoredBackup extends Restored {
  readonly madeAtMs: number;
}

/** Throws `UnusableSetting` before anything is changed, or what the system and SQLite say. */
export function restoreBackup(
  file: string,
  directory: string,
  asksFirstUntilMs: number,
  wallMs: () => number,
): RestoredBackup {
  refuseUnlessEmpty(directory);
  const backup = new CheckedBackup(file);
  try {
    refuseUnlessRoom(directory, backup.bytes);
    const folder = join(directory, FOLDER);
    makeDirectory(join(folder, logFolder));
    mkdirSync(join(directory, logFolder));
    backup.extract(BACKUP_INDEX, join(folder, indexFile));
    for (const name of backup.segments) backup.extract(name, join(folder, name));
    const restored = renew(directory, folder, asksFirstUntilMs, wallMs);
    syncPath(join(folder, indexFile));
    renameSync(join(folder, indexFile), join(directory, indexFile));
    syncPath(directory);
    rmSync(folder, { recursive: true });
    return { ...restored, madeAtMs: backup.about.madeAtMs };
  } finally {
    backup.close();
  }
}

function renew(directory: string, folder: string, asksFirstUntilMs: number, wallMs: () => number): Restored {
  const database = openIndexFile({ directory: folder, mustExist: true });
  try {
    const restored = makeNewStore({
      ...{ database, files: realLogFiles, asksFirstUntilMs, wallMs },
      directory: join(folder, logFolder),
      newDirectory: join(directory, logFolder),
      store: randomBytes(storeIdBytes),
    });
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    return restored;
  } finally {
    database.close();
  }
}

function refuseUnlessEmpty(directory: string): void {
  if (!existsSync(directory)) return;
  let names: string[];
  try {
    names = readdirSync(directory).filter(name => name !== 'lost+found');
  } catch {
    throw new UnusableSetting(`STORE_URL: ${directory} is no directory`);
  }
  if (names.includes(FOLDER))
    throw new UnusableSetting(
      `STORE_URL: ${directory} holds a restore that was interrupted: empty it, then restore again`,
    );
  if (names.length > 0)
    throw new UnusableSetting(
      `STORE_URL: ${directory} is not empty (${names[0]}): a backup is restored into an empty directory only`,
    );
}

function refuseUnlessRoom(directory: string, bytes: number): void {
  let there = resolve(directory);
  while (!existsSync(there)) there = dirname(there);
  const { bavail, bsize } = statfsSync(there);
  // The log is moved into the index, and its WAL may be as long.
  const needed = 2 * bytes;
  if (bavail * bsize < needed)
    throw new UnusableSetting(
      `STORE_URL: the disk of ${directory} has ${bavail * bsize} bytes free, and ${needed} are needed: make space`,
    );
}
