import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
