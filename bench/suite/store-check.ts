/** What is in a store's index, as SQLite says from outside, also while backends write. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { LogIndex } from '../../src/storage/embedded/index/log-index.ts';
import { openIndexFile } from '../../src/storage/embedded/index/schema.ts';
import { indexFile, logFolder } from '../../src/storage/embedded/index/tables.ts';
import { realLogFiles } from '../../src/storage/embedded/shared-log/real-log-files.ts';

export interface StoreSize {
  readonly payments: number;
  /** Of the pages in use, whether they are in the file yet or in the WAL. */
  readonly bytes: number;
}

/** How large a store is, without a look at each payment. */
export const sizeOf = (directory: string): StoreSize =>
  ask<StoreSize>(
    directory,
    `SELECT (SELECT max(seq) FROM payments) AS payments, (page_count - freelist_count) * page_size AS bytes
     FROM pragma_page_count, pragma_freelist_count, pragma_page_size`,
  );

/**
 * The checksum: every accepted payment is in the store. Ask this after the backends have stopped. Returns how
 * many are in it.
 */
export function assertStored(directory: string, accepted: number, connections: number): number {
  // What the log had last, the index need not have yet.
  const database = openIndexFile({ directory, mustExist: true });
  const index = new LogIndex({ database, files: realLogFiles, directory: join(directory, logFolder) });
  index.advance();
  index.close();
  const { count } = ask<{ count: number }>(directory, 'SELECT count(*) AS count FROM payments');
  // The generator may end before it has read the last answer of each connection, twice.
  assert.ok(
    count >= accepted && count <= accepted + 2 * connections,
    `${count} stored of ${accepted} accepted`,
  );
  return count;
}

function ask<Row>(directory: string, sql: string): Row {
  const database = new DatabaseSync(join(directory, indexFile), { readOnly: true });
  try {
    return database.prepare(sql).get() as Row;
  } finally {
    database.close();
  }
}
