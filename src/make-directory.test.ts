import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDirectory } from './make-directory.ts';

test('a directory is made with those above it, and one that is there stays', t => {
  const home = mkdtempSync(join(tmpdir(), 'soquete-directory-'));
  t.after(() => rmSync(home, { recursive: true }));
  for (const [path, wasMissing] of [
    ['a', true],
    ['a/b/c/d', true],
    ['a/b', false],
    ['a/./e/../f/', true],
  ] as const) {
    assert.equal(makeDirectory(join(home, path)), wasMissing);
    assert.ok(statSync(join(home, path)).isDirectory());
  }
  symlinkSync('a', join(home, 'link'));
  makeDirectory(join(home, 'link'));
  symlinkSync('nowhere', join(home, 'loose'));
  writeFileSync(join(home, 'file'), '');
  for (const path of ['file', 'file/a', 'loose', 'loose/a'])
    assert.throws(() => makeDirectory(join(home, path)), { syscall: 'mkdir' });
});

test('several that make the same directory at once all have it', async t => {
  const home = mkdtempSync(join(tmpdir(), 'soquete-directory-'));
  t.after(() => rmSync(home, { recursive: true }));
  const script = `import { makeDirectory } from './src/make-directory.ts';
    while (Date.now() < ${Date.now() + 1000});
    for (let n = 0; n < 2000; n++) makeDirectory('${home}/' + n + '/names');`;
  const ends = Array.from({ length: 3 }, async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    return (await once(child, 'exit'))[0];
  });
  assert.deepEqual(await Promise.all(ends), [0, 0, 0]);
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
