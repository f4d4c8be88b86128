/** When the disk has what is archived: before the rows go that it was made of. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { IndexedLog } from '../index/log-index.fixture.ts';
import { RealArchiveFolder, sumsFile } from './archive-folder.ts';
import { Archiver } from './archiver.ts';

const FILE = '1970-01-01.ndjson.zst';

/** A store's directory, and what the disk was asked to take of it: paths, with their size. */
function watched(t: TestContext): { readonly directory: string; readonly taken: string[] } {
  const directory = fs.mkdtempSync(join(tmpdir(), 'soquete-archive-'));
  const taken: string[] = [];
  const sync = fs.fsyncSync;
  const { mock } = t.mock.method(fs, 'fsyncSync', (fd: number) => {
    sync(fd);
    const path = fs.readlinkSync(`/proc/self/fd/${fd}`).slice(directory.length);
    const state = fs.fstatSync(fd);
    taken.push(state.isDirectory() ? `${path}/` : `${path} ${state.size}`);
  });
  syncBuiltinESMExports();
  t.after(() => {
    mock.restore();
    syncBuiltinESMExports();
    fs.rmSync(directory, { recursive: true });
  });
  return { directory, taken };
}

test('the disk has a line, its file and their directories before its row goes', t => {
  const { directory, taken } = watched(t);
  const log = new IndexedLog();
  const path = join(directory, 'archive', FILE);
  const atDelete: string[] = [];
  const archiver = new Archiver(log.database, new RealArchiveFolder(directory), {
    at: step => {
      if (step === 'delete') atDelete.push(...taken.splice(0));
    },
  });
  for (const n of [1, 2]) {
    log.accept(n);
    log.settle(n);
    log.index().advance();
    assert.equal(archiver.step(10_000).archived, 1);
    const grown = `/archive/${FILE} ${fs.statSync(path).size}`;
    assert.deepEqual(atDelete.splice(0), n === 1 ? ['/', grown, '/archive/'] : [grown]);
    assert.deepEqual(
      taken.splice(0).map(each => each.replace(/ \d+$/, '')),
      [`/archive/${sumsFile}.new`, '/archive/'],
    );
  }
});

test('the disk has what is set aside before it is taken out of its file', t => {
  const { directory, taken } = watched(t);
  const folder = new RealArchiveFolder(directory);
  folder.append(FILE, 0, Buffer.from('one two'));
  taken.splice(0);
  let atCut: string[] | undefined;
  const cut = fs.ftruncateSync;
  const { mock } = t.mock.method(fs, 'ftruncateSync', (fd: number, length: number) => {
    atCut = taken.splice(0);
    cut(fd, length);
  });
  syncBuiltinESMExports();
  folder.append(FILE, 4, Buffer.from('three'));
  mock.restore();
  syncBuiltinESMExports();
  assert.deepEqual(atCut, [`/archive/set-aside/${FILE}.from-4 3`, '/archive/set-aside/', '/archive/']);
  assert.deepEqual(taken, [`/archive/${FILE} 9`]);
  assert.equal(fs.readFileSync(join(directory, 'archive', FILE), 'utf8'), 'one three');
  assert.equal(fs.readFileSync(join(directory, 'archive/set-aside', `${FILE}.from-4`), 'utf8'), 'two');
});
