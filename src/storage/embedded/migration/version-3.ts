/** From version 3 of the tables, which kept every payment for ever, to version 4. */
import type { DatabaseSync } from 'node:sqlite';
import { ARCHIVE_TABLES } from '../index/tables.ts';

/** In the transaction that is open. */
export function migrateVersion3(database: DatabaseSync): void {
  database.exec(`${ARCHIVE_TABLES} PRAGMA user_version = 4;`);
}
