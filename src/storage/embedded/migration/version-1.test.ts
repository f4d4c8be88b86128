import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { PINNED, type StoredPayment } from '../../../domain/payment.ts';
import { systemClock } from '../../../system-clock.ts';
import { asked, idOf } from '../../../testing/stores.ts';
import { openStore } from '../../open.ts';
import { StoreOpenError } from '../../ports.ts';
import { LogIndex } from '../index/log-index.ts';
import { openIndexFile } from '../index/schema.ts';
import { Order } from '../shared-log/order.ts';
import { realLogFiles } from '../shared-log/real-log-files.ts';
import { encodeSegmentHeader, storeIdOf } from '../shared-log/segments.ts';
import * as row from '../shared-log/tail-table.ts';
import { migrateTables } from './migrate.ts';

/** What `version-1.fixture.mjs` says. */
const BOOT = 'the boot of the fixture';
const START_MS = 1_700_000_000_000;
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, at) => from + at);
const UNSETTLED = [...range(15, 23), ...range(30, 42)];
const OLD_SEGMENTS = [...[1, 2, 3, 4].map(n => `backend-1.000000000${n}.log`), 'backend-2.0000000001.log'];

function fixture(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-version-1-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const packed = readFileSync(new URL('./version-1.fixture.gz', import.meta.url));
  mkdirSync(join(directory, 'log'));
  for (const [name, bytes] of Object.entries(JSON.parse(gunzipSync(packed).toString())))
    writeFileSync(join(directory, name), bytes as string, 'base64');
  return directory;
}

function openIndex(t: TestContext, directory: string): LogIndex {
  const database = openIndexFile({ directory });
  const index = new LogIndex({ database, files: realLogFiles, directory: join(directory, 'log') });
  t.after(() => index.close());
  return index;
}

async function open(t: TestContext, directory: string, instance = 'backend-9') {
  const store = await openStore({
    store: { is: 'sqlite', directory },
    ackAfter: 'commit',
    instance,
    clock: systemClock,
    chance: Math.random,
    mustExist: false,
    isDiskDoubtful: false,
    events: { damaged: damage => assert.fail(JSON.stringify(damage)), notIndexed: () => {} },
  });
  const ask = asked(store);
  t.after(() => ask.leave());
  return { store, ask };
}

const numbersOf = (payments: readonly StoredPayment[]): number[] =>
  payments.map(({ id }) => new DataView(id.buffer, id.byteOffset).getUint32(12)).sort((a, b) => a - b);

const SUMMARY = {
  default: { count: 9, cents: 9045 },
  fallback: { count: 5, cents: 5060 },
};

test('a store of version 1 is taken over: each payment as it was, on the same run of the machine', t => {
  const directory = fixture(t);
  assert.ok(migrateTables(directory, BOOT));
  const index = openIndex(t, directory);
  const { state, tail, position, store } = index.open();
  assert.deepEqual([tail.length, position, index.takeDamage()], [0, 2 ** 32 + 32, undefined]);

  const order = new Order(storeIdOf(store).mark);
  order.restore(state!, tail);
  assert.deepEqual(
    [order.generation, order.term, order.health[0]],
    [2, 1, { isFailing: true, minResponseMs: 30, version: 1 }],
  );
  const members = [...order.members.all];
  assert.deepEqual(
    members.map(({ name, epoch, isAlive }) => [name, epoch, isAlive, order.members.unsettledOf(epoch)]),
    [
      ['backend-1', 1, false, 8],
      ['backend-2', 2, false, 12],
      ['backend-3', 3, false, 2],
    ],
  );
  assert.equal(order.members.join('backend-1', 1, 2), 4);

  const { payments } = index.unsettled([1, 2, 3], 0, 100);
  const found = new Map(payments.map(payment => [payment[row.ROW_ID + 3]!, payment]));
  assert.deepEqual(
    [...found.keys()].sort((a, b) => a - b),
    UNSETTLED,
  );
  const progress = (n: number) =>
    [row.ROW_ORIGIN, row.ROW_STATE, row.ROW_PROCESSOR, row.ROW_REQUESTED_AT, row.ROW_ATTEMPTS].map(
      at => found.get(n)![at],
    );
  assert.deepEqual(progress(15), [2, 0, 0, START_MS + 25, 1]);
  assert.deepEqual(progress(16), [2, 0, -1, 0, 0]);
  assert.deepEqual(progress(20), [2, 1, 1, START_MS + 30, 1]);
  assert.deepEqual(progress(21), [2, 2, 0, START_MS + 31, 1]);
  assert.deepEqual(progress(22), [3, 0, -1, 0, 0]);
  assert.deepEqual(progress(30), [1, 0, -1, 0, 0]);
  assert.deepEqual(progress(34), [1, 0, -1, 0, 0]);
  assert.deepEqual(progress(39), [2, 0, -1, 0, 0]);
  // In a log of an earlier term it may have been sent.
  assert.deepEqual(progress(40), [1, 2, 0, START_MS + 40, 1]);
  for (const [n, payment] of found)
    assert.deepEqual([payment[row.ROW_CENTS], payment[row.ROW_ACCEPTED_AT]], [1000 + n, START_MS + n]);
  // No seq is given twice, purged ones neither.
  const seqs = payments.map(payment => payment[row.ROW_SEQ]!);
  assert.equal(new Set(seqs).size, seqs.length);
  assert.equal(order.seq, Math.max(...seqs));
});

test('its attempts are found by id', async t => {
  const directory = fixture(t);
  const { store, ask } = await open(t, directory);
  await ask.join('backend-1');
  const { promise, resolve } = Promise.withResolvers<unknown>();
  store.history(idOf(15), resolve as never);
  const { attempts } = (await promise) as { attempts: { durationMs: number; endedAtMs: number }[] };
  assert.deepEqual(
    attempts.map(({ durationMs, endedAtMs }) => [durationMs, endedAtMs]),
    [[7, START_MS + 40]],
  );
});

test('three backends that start at once on another run of the machine: one migrates, all know all of it', async t => {
  const directory = fixture(t);
  const backends = await Promise.all([
    open(t, directory),
    open(t, directory, 'backend-1'),
    open(t, directory, 'backend-2'),
  ]);
  const [first] = backends;
  await first!.ask.join('backend-9');
  const taken = await first!.ask.take(0, 100);
  assert.deepEqual(numbersOf(taken), UNSETTLED);
  // Version 1 had not waited for its disk, so what waited may have been sent.
  assert.deepEqual(new Set(taken.map(({ state }) => state)), new Set([1, PINNED]));
  for (const { ask } of backends) {
    assert.deepEqual(summaryOf(await ask.summary(-Infinity, Infinity)), SUMMARY);
    assert.equal((await ask.find(idOf(1)))?.state, 3);
    assert.equal((await ask.find(idOf(39)))?.cents, 1039);
    assert.equal(await ask.find(idOf(50)), undefined, 'what was purged came back');
  }
  assert.deepEqual(readdirSync(join(directory, 'log')).sort(), ['0000000001.log', 'migrated']);
  assert.deepEqual(readdirSync(join(directory, 'log', 'migrated')).sort(), OLD_SEGMENTS);
});

function summaryOf(summary: { default: object; fallback: object }) {
  const total = (it: object) => {
    const { count, high, low } = it as { count: number; high: number; low: number };
    assert.equal(high, 0);
    return { count, cents: low };
  };
  return { default: total(summary.default), fallback: total(summary.fallback) };
}

test('a crash before the commit leaves version 1, and a segment with nothing in it that is in no way', t => {
  const directory = fixture(t);
  const other = storeIdOf(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  realLogFiles.createWhole(join(directory, 'log', '0000000001.log'), encodeSegmentHeader(other, 1, 2));
  const index = openIndex(t, directory);
  index.open();
  assert.equal(index.unsettled([1, 2, 3], 0, 100).payments.length, UNSETTLED.length);
});

test('a crash before the old segments are away: they are moved at the next start, and read once', t => {
  const directory = fixture(t);
  assert.ok(migrateTables(directory, BOOT));
  assert.ok(readdirSync(join(directory, 'log')).includes(OLD_SEGMENTS[0]!));
  const index = openIndex(t, directory);
  index.open();
  assert.equal(index.unsettled([1, 2, 3], 0, 100).payments.length, UNSETTLED.length);
  assert.deepEqual(readdirSync(join(directory, 'log', 'migrated')).sort(), OLD_SEGMENTS);
});

test('while anybody has the old store open, nothing is changed', t => {
  const directory = fixture(t);
  const user = new DatabaseSync(join(directory, 'payments.db'));
  user.prepare('SELECT count(*) FROM payments').get();
  assert.equal(migrateTables(directory, BOOT), false);
  assert.equal(user.prepare('PRAGMA user_version').get()!['user_version'], 1);
  user.close();
  assert.equal(migrateTables(directory, BOOT), true);
});

test('a record that is damaged costs itself only; a segment that cannot be placed is refused, as is a stray one', t => {
  const damaged = fixture(t);
  const path = join(damaged, 'log', OLD_SEGMENTS[3]!);
  const bytes = readFileSync(path);
  bytes[32 + 32 + 5]! ^= 1;
  writeFileSync(path, bytes);
  const index = openIndex(t, damaged);
  index.open();
  const known = index.unsettled([1, 2, 3], 0, 100).payments.map(payment => payment[row.ROW_ID + 3]);
  assert.deepEqual(
    known.sort(),
    UNSETTLED.filter(n => n !== 31),
  );

  const headless = fixture(t);
  const header = readFileSync(join(headless, 'log', OLD_SEGMENTS[3]!));
  header[0]! ^= 1;
  writeFileSync(join(headless, 'log', OLD_SEGMENTS[3]!), header);
  assert.throws(
    () => openIndexFile({ directory: headless }),
    refusal(/0000000004\.log is damaged in its first 32 bytes: restore/),
  );
  writeFileSync(join(headless, 'log', OLD_SEGMENTS[3]!), `SOQLOG2\n${'\0'.repeat(24)}`);
  assert.throws(
    () => openIndexFile({ directory: headless }),
    refusal(/of a version that this soquete does not know/),
  );

  writeFileSync(join(damaged, 'log', 'backend-7.0000000001.log'), bytes);
  assert.throws(() => openIndexFile({ directory: damaged }), refusal(/backend-7.*is of an older soquete/));
});

test('logs of version 1 whose tables are gone are refused, and nothing is begun on top', t => {
  const directory = fixture(t);
  rmSync(join(directory, 'payments.db'));
  rmSync(join(directory, 'payments.db-wal'));
  for (let start = 0; start < 2; start++)
    assert.throws(
      () => openIndexFile({ directory }),
      refusal(/payments\.db that belongs to them is missing: restore it/),
    );
  assert.deepEqual(readdirSync(directory), ['log']);
});

const refusal = (text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StoreOpenError, String(error));
  assert.match(error.message, text);
  assert.doesNotMatch(error.message, /\n/);
  return true;
};
