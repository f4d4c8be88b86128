/** What a backup and a restore owe to the disk, and what is not backed up. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Batch } from '../storage/batch.ts';
import { openStore } from '../storage/open.ts';
import { systemClock } from '../system-clock.ts';
import { ChildProcesses } from '../testing/processes.ts';
import { asked, put } from '../testing/stores.ts';
import { restoreBackup } from './restore-backup.ts';

const MAIN = join(import.meta.dirname, 'main.ts');

async function backUp(children: ChildProcesses, directory: string, file: string) {
  const environment = { STORE_URL: `sqlite:${directory}` };
  const child = children.spawn('backup', process.execPath, [MAIN, 'backup', file], environment);
  return { status: await child.exited, said: child.said().trim() };
}

/** A store that nobody uses, with so many payments. */
async function written(directory: string, count: number): Promise<void> {
  const store = await openStore({
    ...{ store: { is: 'sqlite', directory }, ackAfter: 'commit', instance: 'a', clock: systemClock },
    ...{ chance: Math.random, mustExist: false, isDiskDoubtful: false },
    events: { damaged: () => assert.fail(), notIndexed: () => assert.fail() },
  });
  const ask = asked(store);
  const { epoch, generation } = await ask.join('a');
  const batch = new Batch(epoch, generation);
  for (let n = 1; n <= count; n++) put(batch, n);
  await ask.write(batch);
  await new Promise(moved => store.latest(1, moved));
  await ask.leave();
}

test('a store that lacks a part of its log, or whose index is damaged, is not backed up', async () => {
  await using children = new ChildProcesses();
  const [store, file] = [join(children.directory, 'store'), join(children.directory, 'backup.tar')];
  await written(store, 500);
  const segment = join(store, 'log', '0000000001.log');
  fs.renameSync(segment, `${segment}.away`);
  const lacking = await backUp(children, store, file);
  assert.deepEqual([lacking.status, /lacks a part of its log/.test(lacking.said)], [1, true], lacking.said);
  fs.renameSync(`${segment}.away`, segment);
  const whole = await backUp(children, store, file);
  assert.equal(whole.status, 0, whole.said);
  fs.rmSync(file);

  const index = join(store, 'payments.db');
  // What is damaged has to be what is read: nothing of it is in a WAL.
  const database = new DatabaseSync(index);
  database.exec('PRAGMA journal_mode = DELETE');
  database.close();
  const sound = fs.readFileSync(index);
  const page = sound.readUInt16BE(16);
  for (const isRead of [false, true]) {
    const bytes = Buffer.from(sound);
    for (let at = page; at < bytes.length; at += page) {
      // Leaves of tables, and of their keys.
      if (bytes[at] !== 0x0d && bytes[at] !== 0x0a) continue;
      const isEmpty = bytes.readUInt16BE(at + 3) === 0;
      // Of a table without rows nobody reads anything: only who looks through all finds that.
      if (isRead || isEmpty) bytes.fill(0xff, at + 1, at + 8);
    }
    fs.writeFileSync(index, bytes);
    const damaged = await backUp(children, store, file);
    const isOneLine = /^backup: STORE_URL: .* is damaged [^\n]*$/.test(damaged.said);
    assert.deepEqual([damaged.status, isOneLine], [1, true], damaged.said);
  }
  assert.deepEqual(
    fs.readdirSync(children.directory).filter(name => name.startsWith('backup.tar')),
    [],
  );
});

test('a restored store is on the disk before it is one, and its log before its index', async t => {
  await using children = new ChildProcesses();
  const [store, target] = [join(children.directory, 'store'), join(children.directory, 'target')];
  const file = join(children.directory, 'backup.tar');
  await written(store, 3);
  const made = await backUp(children, store, file);
  assert.equal(made.status, 0, made.said);

  const happened: string[] = [];
  const [sync, rename] = [fs.fsyncSync, fs.renameSync];
  const watched = [
    t.mock.method(fs, 'fsyncSync', (fd: number) => {
      sync(fd);
      happened.push(`synced ${fs.readlinkSync(`/proc/self/fd/${fd}`).slice(target.length)}`);
    }),
    t.mock.method(fs, 'renameSync', (from: string, to: string) => {
      rename(from, to);
      happened.push(`renamed ${String(to).slice(target.length)}`);
    }),
  ];
  syncBuiltinESMExports();
  const { payments } = restoreBackup(file, target, 0, Date.now);
  for (const { mock } of watched) mock.restore();
  syncBuiltinESMExports();
  assert.equal(payments, 3);
  const order = ['synced /log', 'synced /restoring/payments.db', 'renamed /payments.db'];
  // What is unpacked is synced too, before it is made a new store of.
  const places = order.map(what => happened.lastIndexOf(what));
  assert.ok(places[0]! >= 0 && places[0]! < places[1]! && places[1]! < places[2]!, happened.join(', '));
  assert.equal(happened.indexOf(order[2]!), places[2]);
  assert.equal(happened.at(-1), 'synced ', 'the directory of the store');
});
