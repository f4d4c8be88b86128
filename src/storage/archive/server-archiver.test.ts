/**
 * What leaves a store on a server for files of this host: killed, answered late, or beside others that do the
 * same.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { idText } from '../../domain/payment.ts';
import { idOf } from '../../testing/stores.ts';
import { archivedIdsIn, type MemberStore } from '../contract/engines.ts';
import { takeName } from '../embedded/name-lock.ts';
import { StoreFault } from '../ports.ts';
import { DAY_MS } from './archive-line.ts';
import { ArchiveRefused, ServerArchiveFolder } from './server-archive-folder.ts';
import { ServerArchiver, type ServerArchiverOptions } from './server-archiver.ts';
import { type ArchivedServer, archivedMember, archivedServers, newDeployment } from './servers.fixture.ts';
import type { Retention, StoreArchive } from './store-archive.ts';

const SERVERS = archivedServers();
const NOON = Date.UTC(2026, 6, 10, 12);
const COUNT = 250;
const RETENTION: Retention = { keptMs: 1, idsKeptMs: Number.POSITIVE_INFINITY, exactFromMs: 0 };
const LATER = NOON + 9 * DAY_MS;
const ALL = Array.from({ length: COUNT }, (_, at) => idText(idOf(at + 1))).toSorted();

function directoryOf(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-archive-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** Asks one sentence of every server. */
function testOfEach(
  sentence: string,
  check: (server: ArchivedServer, t: TestContext) => Promise<void>,
): void {
  for (const server of SERVERS) test(`${server.title}: ${sentence}`, t => check(server, t));
}

/** A store with payments that were settled in the course of two days. */
async function settled(
  server: ArchivedServer,
  name = newDeployment(),
  first = 1,
  count = COUNT,
): Promise<readonly [MemberStore, StoreArchive]> {
  const [one, archive] = await archivedMember(server, name);
  const numbers = Array.from({ length: count }, (_, at) => first + at);
  const at = (n: number): number => NOON + Math.floor((n * 2 * DAY_MS) / COUNT);
  await one.write(rows => {
    for (const n of numbers) rows.put(n, { cents: n, acceptedAtMs: at(n) });
  });
  const payments = await one.payments(...numbers);
  await one.write(rows => {
    for (const [index, n] of numbers.entries())
      rows.settle(payments[index]!, { requestedAtMs: at(n), settledAtMs: at(n) });
  });
  return [one, archive];
}

const archiver = (
  store: StoreArchive,
  directory: string,
  options: ServerArchiverOptions = {},
): ServerArchiver =>
  new ServerArchiver(store, new ServerArchiveFolder(directory), { pauseMs: 0, ...options });

function assertWhole(directory: string, ids = ALL): void {
  assert.deepEqual(archivedIdsIn(directory).toSorted(), ids);
  const said = readFileSync(join(directory, 'SHA256SUMS'), 'utf8').split('\n').slice(0, -1);
  const names = readdirSync(directory).filter(name => name.endsWith('.zst'));
  const is = names.sort().map(name => {
    const sum = createHash('sha256').update(readFileSync(join(directory, name)));
    return `${sum.digest('hex')}  ${name}`;
  });
  assert.deepEqual(said, is);
}

async function sumOf({ store }: MemberStore): Promise<readonly number[]> {
  const { count, high, low } = (await store.summary(-Infinity, Infinity)).default;
  return [count, high, low];
}

testOfEach('wherever it is killed, no line is lost or doubled, and no sum changes', async (server, t) => {
  for (const step of ['append', 'move', 'sums'] as const) {
    for (const skip of step === 'sums' ? [0] : [0, 1, 2]) {
      const directory = directoryOf(t);
      const [one, store] = await settled(server);
      const before = await sumOf(one);
      let left = skip;
      const at = (now: string): void => {
        if (now === step && left-- === 0) throw new Error('killed');
      };
      await assert.rejects(archiver(store, directory, { at }).pass(RETENTION, LATER), /killed/);
      await archiver(store, directory).pass(RETENTION, LATER);
      assertWhole(directory);
      assert.deepEqual(await sumOf(one), before);
    }
  }
});

testOfEach('an answer that is lost says nothing, and is asked for no more', async (server, t) => {
  for (const isDone of [true, false]) {
    const directory = directoryOf(t);
    const [, store] = await settled(server);
    let moves = 0;
    const losing: StoreArchive = {
      ...passedOn(store),
      move: async (...args: Parameters<StoreArchive['move']>) => {
        moves += 1;
        if (moves !== 2) return store.move(...args);
        if (isDone) await store.move(...args);
        throw new StoreFault('unanswered', 'lost');
      },
    };
    const same = archiver(losing, directory);
    await assert.rejects(same.pass(RETENTION, LATER), { reason: 'unanswered' });
    await same.pass(RETENTION, LATER);
    assertWhole(directory);
  }
});

/** A private field is the real one's. */
const passedOn = (store: StoreArchive): StoreArchive => ({
  id: () => store.id(),
  keep: (...args) => store.keep(...args),
  due: (...args) => store.due(...args),
  move: (...args) => store.move(...args),
  forget: (...args) => store.forget(...args),
  filesOf: names => store.filesOf(names),
  grown: () => store.grown(),
  summed: files => store.summed(files),
});

testOfEach(
  'a store that went back to an older state archives again what it has again, once',
  async (server, t) => {
    const directory = directoryOf(t);
    const name = newDeployment();
    const [one, store] = await settled(server, name);
    let moves = 0;
    const copying = {
      ...passedOn(store),
      move: async (...args: Parameters<StoreArchive['move']>) => {
        moves += 1;
        if (moves === 2) await server.copy(name);
        return store.move(...args);
      },
    };
    const same = archiver(copying, directory);
    await same.pass(RETENTION, LATER);
    const before = await sumOf(one);
    await server.restore(name);
    assert.notEqual((await store.due(LATER, { is: 'arrivals' })).payments.length, 0);
    await same.pass(RETENTION, LATER);
    assertWhole(directory);
    assert.deepEqual(await sumOf(one), before);
    assert.ok(readdirSync(join(directory, 'set-aside')).length > 0);
  },
);

testOfEach(
  'one directory has the archive of a store, until it is silent for ten minutes',
  async (server, t) => {
    const name = newDeployment();
    const [one, other] = [directoryOf(t), directoryOf(t)];
    const [, store] = await settled(server, name, 1, 100);
    await archiver(store, one).pass(RETENTION, LATER);
    await settled(server, name, 101, COUNT - 100);
    const { skipped, archived } = await archiver(store, other).pass(RETENTION, LATER);
    assert.match(skipped!, new RegExp(`^it is kept in .*:${one}, by somebody who was there \\d+ ms ago$`));
    assert.equal(archived, 0);
    await server.silence(name);
    assert.equal((await archiver(store, other).pass(RETENTION, LATER)).archived, COUNT - 100);
    assertWhole(one, archivedIdsIn(one).toSorted());
    assertWhole(other, archivedIdsIn(other).toSorted());
    assert.deepEqual([...archivedIdsIn(one), ...archivedIdsIn(other)].toSorted(), ALL);
  },
);

testOfEach('what a killed archiver wrote and another directory has is set aside', async (server, t) => {
  const name = newDeployment();
  const [one, other] = [directoryOf(t), directoryOf(t)];
  const [, store] = await settled(server, name);
  let left = 2;
  const at = (now: string): void => {
    if (now === 'move' && left-- === 0) throw new Error('killed');
  };
  await assert.rejects(archiver(store, one, { at }).pass(RETENTION, LATER), /killed/);
  await server.silence(name);
  await archiver(store, other).pass(RETENTION, LATER);
  assert.match((await archiver(store, one).pass(RETENTION, LATER)).skipped!, /^it is kept in /);
  assert.deepEqual([...archivedIdsIn(one), ...archivedIdsIn(other)].toSorted(), ALL);
});

testOfEach('a directory is one store’s, and one process’s at a time', async (server, t) => {
  const directory = directoryOf(t);
  const [, one] = await settled(server);
  await archiver(one, directory).pass(RETENTION, LATER);
  const [, other] = await settled(server);
  const refused = archiver(other, directory).pass(RETENTION, LATER);
  await assert.rejects(refused, (error: Error) => {
    assert.ok(error instanceof ArchiveRefused);
    return /^ARCHIVE_DIR: [^\n]* has the archive of another store/.test(error.message);
  });
  const lock = takeName(directory, 'archive');
  const { skipped } = await archiver(one, directory).pass(RETENTION, LATER);
  assert.match(skipped!, /^another process writes into /);
  lock.release();
  assertWhole(directory);
});

testOfEach(
  'of two that begin at once in a new directory one does, and either may go on',
  async (server, t) => {
    const directory = directoryOf(t);
    const [, store] = await settled(server);
    const both = [archiver(store, directory), archiver(store, directory)];
    const passes = await Promise.all(both.map(each => each.pass(RETENTION, LATER)));
    assert.equal(passes.filter(({ skipped }) => skipped !== undefined).length, 1);
    for (const each of both) assert.equal((await each.pass(RETENTION, LATER)).skipped, undefined);
    assertWhole(directory);
  },
);

testOfEach('a full file ends, and the day goes on in another one', async (server, t) => {
  const directory = directoryOf(t);
  const [, store] = await settled(server);
  await archiver(store, directory, { fileBytesMax: 500 }).pass(RETENTION, LATER);
  assertWhole(directory);
  assert.ok(readdirSync(directory).some(name => name.endsWith('.002.ndjson.zst')));
});
