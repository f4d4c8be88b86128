/** What the file has to bear: dying processes, full disks, files that are not ours. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { seededBelow } from '../../../domain/random.ts';
import { asked, idOf, put, seed } from '../../../testing/stores.ts';
import { Batch } from '../../batch.ts';
import { StoreOpenError } from '../../ports.ts';
import { unpackRows } from '../../row-codec.ts';
import { faultOf, fileName } from './open.ts';
import { SqliteStore } from './store.ts';
import { openSqliteStore } from './thread-client.ts';

const root = mkdtempSync(join(tmpdir(), 'soquete-sqlite-'));
after(() => rmSync(root, { recursive: true }));
const fresh = (): string => mkdtempSync(join(root, 'store-'));

class Writer {
  /** Payments that the store has acknowledged to have put and to have settled. */
  put = 0;
  settled = 0;
  readonly process;

  constructor(directory: string, instance: string, firstId: number) {
    const script = fileURLToPath(new URL('./kill-writer.fixture.ts', import.meta.url));
    const stdio = ['ignore', 'pipe', 'inherit'] as const;
    this.process = spawn(process.execPath, [script, directory, instance, `${firstId}`], {
      stdio: [...stdio],
    });
    let rest = '';
    this.process.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      const last = lines.at(-1);
      if (last !== undefined) [this.put, this.settled] = last.split(' ').map(Number) as [number, number];
    });
  }

  async reaches(count: number): Promise<void> {
    while (this.settled < count) {
      if (this.process.exitCode !== null) throw new Error(`writer ended with ${this.process.exitCode}`);
      await once(this.process.stdout!, 'data');
    }
  }

  async kill(): Promise<void> {
    const closed = once(this.process, 'close');
    this.process.kill('SIGKILL');
    await closed;
  }
}

test(`nothing acknowledged is lost when writers are killed (SEED=${seed})`, async () => {
  const directory = fresh();
  const next = seededBelow(seed);
  const dead: { firstId: number; put: number; settled: number }[] = [];
  for (let round = 0; round < 3; round++) {
    const writers = ['a', 'b'].map((name, index) => ({ name, firstId: (round * 2 + index) * 1_000_000 }));
    const started = writers.map(({ name, firstId }) => new Writer(directory, name, firstId));
    await Promise.all(started.map(writer => writer.reaches(20 * (1 + next(60)))));
    await Promise.all(started.map(writer => writer.kill()));
    started.forEach(({ put, settled }, index) => {
      dead.push({ firstId: writers[index]!.firstId, put, settled });
    });
  }
  const store = new SqliteStore({ directory });
  let settled = 0;
  for (const writer of dead) {
    for (let n = 0; n < writer.put; n++) {
      const [payment] = unpackRows(store.find(idOf(writer.firstId + n)));
      assert.ok(payment, `payment ${n} of ${writer.firstId} is there`);
      if (n < writer.settled) assert.equal(payment.state, 3);
    }
    settled += writer.settled;
  }
  // A writer dies between its batches: at most one of them is there without having been acknowledged.
  const { default: total } = store.summary(-Infinity, Infinity);
  assert.ok(
    total.count >= settled && total.count <= settled + 20 * dead.length,
    `${total.count} of ${settled}`,
  );
  assert.equal(total.high * 1_000_000 + total.low, total.count * 100);
  const { instances } = store.look();
  const owned = instances.reduce((sum, each) => sum + each.unsettled, 0);
  const { lastSeq } = store.ids(0, 1e9);
  assert.equal(owned, lastSeq - total.count);
  store.close();
  const database = new DatabaseSync(join(directory, fileName));
  assert.deepEqual({ ...database.prepare('PRAGMA integrity_check').get() }, { integrity_check: 'ok' });
  database.close();
});

test('several processes may open a new store at once', async () => {
  for (let round = 0; round < 2; round++) {
    const directory = fresh();
    const writers = ['a', 'b', 'c'].map((name, index) => new Writer(directory, name, index * 1_000_000));
    await Promise.all(writers.map(writer => writer.reaches(20)));
    await Promise.all(writers.map(writer => writer.kill()));
  }
});

test('a store that is moved away is missed at the next beat, and opened anew when it is back', async t => {
  const directory = fresh();
  const store = await openSqliteStore({ directory });
  t.after(() => new Promise(left => store.leave(left)));
  const ask = asked(store);
  const { epoch, generation, term } = await ask.join('a');
  const batch = new Batch(epoch, generation);
  put(batch, 1);
  await ask.write(batch);

  renameSync(directory, `${directory}-away`);
  const missed = { reason: 'broken', detail: /was removed or replaced while it was in use/ };
  await assert.rejects(ask.beat(1, ''), missed);
  const pending = ask.find(idOf(1));
  const isGone = { name: 'StoreOpenError', message: /is not there any more \(ENOENT\)/ };
  await Promise.all([assert.rejects(store.reopen(), isGone), assert.rejects(pending, { reason: 'broken' })]);
  assert.ok(!existsSync(directory), 'nothing was made in its place');

  renameSync(`${directory}-away`, directory);
  await store.reopen();
  assert.deepEqual(await ask.join('a'), { epoch: epoch + 1, generation, term: term + 1, pinned: 1 });
  assert.equal((await ask.find(idOf(1)))?.state, 2);
});

test('a full disk is told, changes nothing, and is over when there is space again', () => {
  const directory = fresh();
  const other = new SqliteStore({ directory });
  other.join('b');
  const store = new SqliteStore({ directory, pagesMax: 60 });
  const { epoch } = store.join('a');
  const write = (first: number, generation = 1): Float64Array => {
    const batch = new Batch(epoch, generation);
    for (let n = first; n < first + 100; n++) put(batch, n);
    return store.write(epoch, generation, batch.rows, batch.count).results;
  };
  let stored = 0;
  assert.throws(
    () => {
      for (; ; stored += 100) write(stored);
    },
    error => faultOf(error).reason === 'full',
  );
  assert.ok(stored > 0);
  assert.equal(store.find(idOf(stored)).length, 0, 'nothing of the failed batch is there');
  assert.throws(() => write(stored), /full/);
  assert.ok(store.find(idOf(stored - 1)).length > 0, 'reading goes on');
  other.purge();
  assert.ok(write(0, 2).every(result => result > 0));
  store.close();
  other.close();
});

test('a lock that somebody keeps is told after a bounded wait', () => {
  const directory = fresh();
  const store = new SqliteStore({ directory, busyMs: 20 });
  const { epoch } = store.join('a');
  const stubborn = new DatabaseSync(join(directory, fileName));
  stubborn.exec('BEGIN IMMEDIATE');
  const batch = new Batch(epoch, 1);
  put(batch, 1);
  const write = () => store.write(epoch, 1, batch.rows, batch.count);
  assert.throws(write, error => faultOf(error).reason === 'busy');
  stubborn.exec('ROLLBACK');
  assert.deepEqual([...write().results], [1]);
  stubborn.close();
  store.close();
});

/** What opening `directory` is refused with: always one line. */
function refusal(directory: string): string {
  try {
    new SqliteStore({ directory }).close();
  } catch (error) {
    assert.ok(error instanceof StoreOpenError, String(error));
    assert.doesNotMatch(error.message, /\n/);
    return error.message;
  }
  return 'opened';
}

test('a store of a newer version is refused', async () => {
  const directory = fresh();
  new SqliteStore({ directory }).close();
  const database = new DatabaseSync(join(directory, fileName));
  database.exec('PRAGMA user_version = 99');
  database.close();
  assert.match(refusal(directory), /newer soquete \(version 99/);
  await assert.rejects(openSqliteStore({ directory }), StoreOpenError);
});

test('a file of somebody else is refused and left alone', () => {
  const directory = fresh();
  const database = new DatabaseSync(join(directory, fileName));
  database.exec('CREATE TABLE recipes (name TEXT)');
  database.close();
  const before = readFileSync(join(directory, fileName));
  assert.match(refusal(directory), /not a soquete store/);
  assert.deepEqual(readFileSync(join(directory, fileName)), before);
});

test('a damaged file is refused', () => {
  const garbage = fresh();
  writeFileSync(join(garbage, fileName), 'not a database, but long enough to be read as one'.repeat(100));
  assert.match(refusal(garbage), /damaged or not a store/);

  const cut = fresh();
  const store = new SqliteStore({ directory: cut });
  const { epoch } = store.join('a');
  const batch = new Batch(epoch, 1);
  for (let n = 0; n < 1000; n++) put(batch, n);
  store.write(epoch, 1, batch.rows, batch.count);
  store.close();
  truncateSync(join(cut, fileName), 3 * 4096);
  assert.match(refusal(cut), /damaged or not a store/);
});

test('a directory that is none, or may not be written in, is refused', () => {
  const directory = fresh();
  writeFileSync(join(directory, 'file'), '');
  assert.match(refusal(join(directory, 'file')), /has to be a directory/);

  const blocked = fresh();
  mkdirSync(join(blocked, 'turns'));
  assert.match(refusal(blocked), /has to be a directory that this user can write in/);

  const readOnly = fresh();
  new SqliteStore({ directory: readOnly }).close();
  chmodSync(join(readOnly, fileName), 0o444);
  chmodSync(readOnly, 0o555);
  // Nothing is forbidden to root: be somebody else for a moment.
  const isRoot = process.geteuid!() === 0;
  if (isRoot) {
    chmodSync(root, 0o755);
    process.seteuid!(65534);
  }
  try {
    assert.match(refusal(readOnly), /has to be a directory that this user can write in/);
    assert.match(refusal(join(readOnly, 'new')), /has to be a directory that this user can write in/);
  } finally {
    if (isRoot) process.seteuid!(0);
    chmodSync(readOnly, 0o755);
  }
});
