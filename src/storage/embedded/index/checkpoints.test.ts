import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StatementSync } from 'node:sqlite';
import { test } from 'node:test';
import { Checkpoints } from './checkpoints.ts';
import { openIndexFile } from './schema.ts';
import { indexFile } from './tables.ts';

test('what is said to be on the disk is, as the WAL was synced after it was looked at', t => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'soquete-checkpoints-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const database = openIndexFile({ directory });
  t.after(() => database.close());
  const checkpoints = new Checkpoints(database, directory);
  t.after(() => checkpoints.close());
  const happened: string[] = [];
  const { mock } = t.mock.method(fs, 'fdatasyncSync', (fd: number) => {
    happened.push(`synced ${fs.readlinkSync(`/proc/self/fd/${fd}`).slice(directory.length + 1)}`);
  });
  syncBuiltinESMExports();
  assert.equal(
    checkpoints.sync(() => {
      happened.push('looked');
      return 5;
    }),
    5,
  );
  mock.restore();
  syncBuiltinESMExports();
  assert.deepEqual(happened, ['looked', `synced ${indexFile}-wal`]);
});

test('a disk that is too full for a checkpoint ends nothing', t => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'soquete-checkpoints-'));
  t.after(() => fs.rmSync(directory, { recursive: true }));
  const database = openIndexFile({ directory });
  t.after(() => database.close());
  const checkpoints = new Checkpoints(database, directory);
  t.after(() => checkpoints.close());
  let error = Object.assign(new Error('database or disk is full'), { errcode: 13 });
  const { mock } = t.mock.method(StatementSync.prototype, 'get', () => {
    throw error;
  });
  checkpoints.advanced();
  assert.equal(mock.callCount(), 1);
  error = Object.assign(new TypeError('a bug'), { errcode: undefined as never });
  assert.throws(() => checkpoints.advanced(), /a bug/);
});
