import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDirectory } from './make-directory.ts';

test('a directory is made with those above it, and one that is there stays', t => {
  const home = mkdtempSync(join(tmpdir(), 'soquete-directory-'));
  t.after(() => rmSync(home, { recursive: true }));
  for (const path of ['a', 'a/b/c/d', 'a/b', 'a/./e/../f/']) {
    makeDirectory(join(home, path));
    assert.ok(statSync(join(home, path)).isDirectory());
  }
  symlinkSync('a', join(home, 'link'));
  makeDirectory(join(home, 'link'));
  symlinkSync('nowhere', join(home, 'loose'));
  writeFileSync(join(home, 'file'), '');
  for (const path of ['file', 'file/a', 'loose', 'loose/a'])
    assert.throws(() => makeDirectory(join(home, path)), { syscall: 'mkdir' });
});

test('where no directory can be made that is said', () => {
  // In a process of its own, that an endless loop can be ended.
  const script = `import { makeDirectory } from './src/make-directory.ts'; makeDirectory('/proc/soquete/a');`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 30_000,
    encoding: 'utf8',
  });
  assert.equal(status, 1);
  assert.match(stderr, /ENOENT|EACCES|EPERM/);
});
