import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { openIndexFile, openMemoryIndex } from '../index/schema.ts';
import { indexFile, schemaVersion } from '../index/tables.ts';
import { migrateVersion1 } from './version-1.ts';

/** What makes the tables, without the sizes and counts that SQLite keeps. */
const shape = (database: DatabaseSync): unknown[] =>
  database
    .prepare("SELECT type, name, tbl_name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
    .all();
const columns = (database: DatabaseSync): unknown[] =>
  database.prepare('SELECT name, type, "notnull" FROM pragma_table_info(?) ORDER BY cid').all('payments');
const settled = (database: DatabaseSync): unknown =>
  database.prepare('SELECT count(*) AS n, sum(cents) AS cents FROM payments WHERE state = 3').get();

test('a store of version 2 is brought up to the present tables, with every payment as it was', t => {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-version-2-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const packed = readFileSync(new URL('./version-1.fixture.gz', import.meta.url));
  mkdirSync(join(directory, 'log'));
  for (const [name, bytes] of Object.entries(JSON.parse(gunzipSync(packed).toString())))
    writeFileSync(join(directory, name), bytes as string, 'base64');
  const old = new DatabaseSync(join(directory, indexFile));
  old.exec('BEGIN');
  migrateVersion1(old, join(directory, 'log'), 'the boot of the fixture');
  old.exec('COMMIT');
  assert.deepEqual({ ...old.prepare('PRAGMA user_version').get() }, { user_version: 2 });
  const before = settled(old);
  old.close();

  const database = openIndexFile({ directory });
  t.after(() => database.close());
  assert.deepEqual({ ...database.prepare('PRAGMA user_version').get() }, { user_version: schemaVersion });
  const fresh = openMemoryIndex(new Uint8Array(8));
  assert.deepEqual(shape(database), shape(fresh));
  assert.deepEqual(new Set(columns(database)), new Set(columns(fresh)));
  assert.deepEqual(settled(database), before);
  assert.deepEqual(
    { ...database.prepare('SELECT count(*) AS n FROM payments WHERE held <> 0').get() },
    { n: 0 },
  );
});
