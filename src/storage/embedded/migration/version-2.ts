/** From version 2 of the tables, which knew no held payments and no acts of operators, to version 3. */
import type { DatabaseSync } from 'node:sqlite';
import { HOLDS } from '../index/tables.ts';

/** In the transaction that is open. */
export function migrateVersion2(database: DatabaseSync): void {
  database.exec(`
    ALTER TABLE payments ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
    DROP INDEX IF EXISTS unsettled;
    ${HOLDS}
    PRAGMA user_version = 3;
  `);
}
