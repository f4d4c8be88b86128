/** What the archive asks of PostgreSQL; what every server owes to it is in `../archive` and `../contract`. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '../../system-clock.ts';
import { installedPostgres, type PostgresBinaries, PostgresServer } from '../../testing/postgres-server.ts';
import { idOf } from '../../testing/stores.ts';
import { until } from '../../testing/until.ts';
import type { GrownFile } from '../archive/store-archive.ts';
import { instance, type MemberStore } from '../contract/engines.ts';
import type { History } from '../inspection.ts';
import { OTHER_AMOUNT, promised } from '../ports.ts';
import { PostgresStore } from './postgres-store.ts';
import { parsePostgresUrl } from './url.ts';

const FIRST = { is: 'late', after: '0' } as const;
const DAY_FILE = { day: '1970-01-01', part: 1, name: '1970-01-01.ndjson.zst' } as const;
const fileFrom = (before: number): GrownFile[] => [{ ...DAY_FILE, before, bytes: before + 10 }];

/** An analysis that comes by itself, once a minute, would have other plans chosen. */
const SETTINGS = { fsync: 'off', full_page_writes: 'off', autovacuum: 'off' };
let schemas = 0;
const newSchema = (): string => `archive_${++schemas}`;

for (const binaries of installedPostgres()) testsOn(binaries);

function testsOn(binaries: PostgresBinaries): void {
  const title = `PostgreSQL ${binaries.version}`;
  let server: PostgresServer;
  before(async () => {
    server = await PostgresServer.start({ binaries, settings: SETTINGS });
  });
  after(() => server?.[Symbol.asyncDispose]());

  async function open(schema: string): Promise<readonly [PostgresStore, MemberStore]> {
    const url = parsePostgresUrl(server.url('postgres', `schema=${schema}`))!;
    const as = { url, clock: systemClock, ackAfter: 'commit', application: schema } as const;
    const store = await PostgresStore.open(as);
    return [store, await instance({ open: async () => store } as never, 'a')];
  }

  const left = (store: PostgresStore): Promise<unknown> => new Promise(done => store.leave(done));

  /** Payments `1` to `count` are settled at 5000, each after an attempt that failed. */
  async function settle(one: MemberStore, count: number): Promise<void> {
    const numbers = Array.from({ length: count }, (_, at) => at + 1);
    await one.write(rows => {
      for (const n of numbers) rows.put(n);
    });
    const payments = await one.payments(...numbers);
    await one.write(rows => {
      for (const each of payments) rows.attempt(each, { attempts: 1, outcome: 2 });
    });
    await one.write(rows => {
      for (const each of payments) rows.settle(each, { requestedAtMs: 5000, settledAtMs: 5005, attempts: 2 });
    });
  }

  test(`${title}: nothing that is kept is read to archive and to forget what is old`, async () => {
    const schema = newSchema();
    const [store, one] = await open(schema);
    await settle(one, 200);
    await server.query(`INSERT INTO ${schema}.settled (id, seq, cents, accepted_at, requested_at, settled_at, origin,
        owner, attempts, tries, processor)
      SELECT gen_random_uuid(), 100000 + n, 5, 90000, 90000, 90000, 1, 1, 1, 1, 0 FROM generate_series(1, 20000) AS n`);
    await server.query(`INSERT INTO ${schema}.archived
      SELECT gen_random_uuid(), 5, 7000, 7000, 1, 0 FROM generate_series(1, 20000)`);
    await server.query(`INSERT INTO ${schema}.acts (id, kind, at, who, text)
      SELECT gen_random_uuid(), 'resend', 5, 'test', '-' FROM generate_series(1, 1000)`);
    const { archive } = store;
    assert.equal(await archive.keep('me', 'here'), undefined);
    let [archived, length] = [0, 0];
    for (let from = FIRST; ; ) {
      const page = await archive.due(9000, from);
      assert.ok(page.payments.every(({ attempts }) => attempts.length === 1));
      assert.equal(await archive.move('me', page, fileFrom(length), 0), true);
      archived += page.payments.length;
      if (page.payments.length > 0) length += 10;
      if (page.next === undefined) break;
      from = page.next as typeof FIRST;
    }
    assert.equal(archived, 200);
    let forgotten = 0;
    for (let from = 0; ; ) {
      const swept = await archive.forget(6000, from);
      forgotten += swept.forgotten;
      from = swept.next;
      if (from === 0) break;
    }
    assert.equal(forgotten, 200);
    assert.equal(await one.store.find(idOf(1)), undefined);
    await left(store);
    const isAlone = async (): Promise<boolean> => {
      const sessions = `SELECT FROM pg_stat_activity WHERE application_name = '${schema}'`;
      return (await server.query(sessions)).length === 0;
    };
    // What a session has read is known when it is over.
    await until(isAlone, 'the sessions to be over');
    const read = await server.query(`SELECT relname, seq_tup_read, coalesce(idx_tup_fetch, 0) AS rows
      FROM pg_stat_user_tables WHERE schemaname = '${schema}'
        AND relname IN ('settled', 'archived', 'attempts', 'acts', 'totals', 'queue') ORDER BY relname`);
    for (const { relname, seq_tup_read, rows } of read) {
      // One round through the ids.
      const whole = relname === 'archived' ? 20_200 : 0;
      assert.equal(Number(seq_tup_read), whole, String(relname));
      assert.ok(Number(rows) < 4000, `${relname}: ${rows} rows by an index`);
    }
    assert.equal(read.length, 6);
    assert.deepEqual(await server.query(`SELECT id FROM ${schema}.attempts`), []);
  });

  test(`${title}: what an operator does meanwhile, or later, is kept`, async () => {
    const [store, one] = await open(newSchema());
    await settle(one, 2);
    const { archive } = store;
    await archive.keep('me', 'here');
    const act = {
      id: idOf(1),
      processor: undefined,
      requestedAtMs: 0,
      atMs: 7,
      who: 'test',
      text: 'why',
    } as const;
    const did = async (): Promise<string[]> => {
      const history = await promised<History | undefined>(reply => store.history(idOf(1), reply));
      return history!.acts.map(({ kind }) => kind);
    };
    assert.equal(await one.store.act({ ...act, kind: 'take-in' }), 'done');
    const page = await archive.due(9000, FIRST);
    assert.deepEqual(
      page.payments.map(({ acts }) => acts.length),
      [1, 0],
    );
    assert.equal(await one.store.act({ ...act, kind: 'resend' }), 'done');
    assert.equal(await archive.move('me', page, fileFrom(0), 0), true);
    assert.deepEqual(await did(), ['resend']);
    assert.equal(await one.store.act({ ...act, kind: 'resend' }), 'done');
    assert.equal(await one.store.act({ ...act, kind: 'close' }), 'settled');
    assert.deepEqual(await did(), ['resend', 'resend']);
    await archive.forget(6000, 0);
    assert.equal(await one.store.act({ ...act, kind: 'resend' }), 'no such payment');
    assert.deepEqual(await server.query(`SELECT id FROM archive_${schemas}.acts`), []);
    await left(store);
  });

  test(`${title}: a page goes only if all is as it was`, async () => {
    const [store, one] = await open(newSchema());
    await settle(one, 60);
    const { archive } = store;
    const page = await archive.due(9000, FIRST);
    const before_ = await one.store.summary(-Infinity, Infinity);
    assert.equal(await archive.move('me', page, fileFrom(0), 0), false, 'nobody keeps it');
    await archive.keep('me', 'here');
    assert.equal(await archive.move('other', page, fileFrom(0), 0), false, 'somebody else keeps it');
    assert.equal(await archive.move('me', page, fileFrom(10), 0), false, 'the file is not that long');
    assert.equal((await one.payment(1)).attempts, 2);
    assert.deepEqual(await archive.filesOf([DAY_FILE.name, DAY_FILE.day]), [0, 0]);
    assert.equal(await archive.move('me', page, fileFrom(0), 0), true);
    assert.deepEqual(await archive.filesOf([DAY_FILE.day, 'x', DAY_FILE.name]), [1, 0, 10]);
    assert.equal(await archive.move('me', page, fileFrom(10), 0), false, 'they have gone');
    assert.deepEqual(await archive.grown(), [{ name: DAY_FILE.name, bytes: 10 }]);
    assert.deepEqual(await one.store.summary(-Infinity, Infinity), before_);
    assert.deepEqual(await one.write(rows => rows.put(1, { cents: 5 })), [OTHER_AMOUNT]);
    const left_ = await server.query(`SELECT bucket, count FROM archive_${schemas}.totals WHERE level = 1`);
    assert.deepEqual(left_, [{ bucket: '0', count: '60' }]);
    await one.store.purge();
    const [again, later] = await open(`archive_${schemas}`);
    await settle(later, 60);
    assert.equal(await archive.move('me', page, fileFrom(10), 0), false, 'a purge was before');
    await left(store);
    await left(again);
  });
}
