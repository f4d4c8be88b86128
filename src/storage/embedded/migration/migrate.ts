/**
 * Brings the tables of an older soquete up to the present version, step by step.
 *
 * All steps are one transaction, under an exclusive lock: no process of an older version has the store open,
 * so none answers anybody any more, and of those that start at once one does it while the others wait.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { indexFile, logFolder } from '../index/tables.ts';
import { migrateVersion1, thisBoot } from './version-1.ts';
import { migrateVersion2 } from './version-2.ts';
import { migrateVersion3 } from './version-3.ts';

const BUSY = 5;
/** In the store's directory while its tables are migrated, which may take minutes: others wait for that. */
export const migratingFile = 'migrating';

/**
 * Migrates the store in `directory`; false: another process has it open. Throws `StoreOpenError`, and what
 * the files and SQLite throw. `boot` names the run of the machine as version 1 did.
 */
export function migrateTables(directory: string, boot = thisBoot()): boolean {
  const database = new DatabaseSync(join(directory, indexFile), { timeout: 0 });
  try {
    try {
      database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; BEGIN EXCLUSIVE');
    } catch (error) {
      if (((error as { errcode?: number }).errcode ?? 0) % 256 !== BUSY) throw error;
      return false;
    }
    writeFileSync(join(directory, migratingFile), '');
    const version = (): number =>
      Number((database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version);
    if (version() === 1) migrateVersion1(database, join(directory, logFolder), boot);
    if (version() === 2) migrateVersion2(database);
    if (version() === 3) migrateVersion3(database);
    database.exec('COMMIT');
    rmSync(join(directory, migratingFile), { force: true });
    return true;
  } finally {
    // Rolls back what was not committed; what was is moved to the file, and synced.
    database.close();
  }
}
