/**
 * What the engine owes to the network and to the database's host; what every engine owes is in `../contract`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idOf } from '../../testing/stores.ts';
import { TcpProxy } from '../../testing/tcp-proxy.ts';
import { until } from '../../testing/until.ts';
import { assertAskedAgain, assertOnceWhereverCut } from '../contract/cut-connections.fixture.ts';
import { joinedAs, persist } from '../contract/losing.fixture.ts';
import type { HeldCounts, History, InspectedPayment, SettledPage } from '../inspection.ts';
import {
  DONE,
  KNOWN,
  NameTakenError,
  promised,
  type Reply,
  StoreFault,
  type StoreOpenError,
} from '../ports.ts';
import { needsPostgres, newSchema, PostgresStand } from './stand.fixture.ts';
import { parsePostgresUrl } from './url.ts';

const stand = PostgresStand.forTests();
const open = stand.open.bind(stand);

test('a name is one process’s, until that one leaves or dies', needsPostgres, async () => {
  const schema = newSchema();
  const first = await open(schema, { instance: 'a' });
  await assert.rejects(open(schema, { instance: 'a' }), NameTakenError);
  await open(schema, { instance: 'b' });
  await new Promise(left => first.leave(left));
  const second = await open(schema, { instance: 'a' });
  // As the kernel does for a process that is killed.
  await stand.server.query(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'`);
  // Either takes it again; never both.
  await persist(() => joinedAs(second, 'a'));
  await assert.rejects(open(schema, { instance: 'a' }), NameTakenError);
});

test('a name behind a pooler is one process’s as long as somebody beats in it', needsPostgres, async () => {
  const schema = newSchema();
  const url = parsePostgresUrl(
    `postgres://soquete@127.0.0.1:${stand.server.port}/postgres?schema=${schema}&pooler=transaction`,
  )!;
  const first = await joinedAs(await open(schema, { instance: 'a', url }), 'a');
  let isBeating = true;
  const beats = (async () => {
    while (isBeating) await first.store.beat('').catch(() => {});
  })();
  await assert.rejects(open(schema, { instance: 'a', url }), NameTakenError);
  isBeating = false;
  await beats;
  await open(schema, { instance: 'a', url });
});

test('what one changes the others learn of without asking', needsPostgres, async () => {
  const schema = newSchema();
  const one = await joinedAs(await open(schema, { instance: 'a' }), 'a');
  const other = await joinedAs(await open(schema, { instance: 'b' }), 'b');
  let changes = 0;
  other.raw.watch?.(() => {
    changes += 1;
  });
  for (const change of [
    () => one.store.takeChecker(''),
    () => one.store.report(0, true, 3),
    () => one.store.beat('{}'),
    () => one.store.purge(),
  ]) {
    const seen = changes;
    await change();
    await until(() => changes > seen, 'the change to be known', undefined, 5);
  }
});

for (const direction of ['toServer', 'toClient'] as const) {
  test(
    `a batch is carried out once, wherever its connection is cut (${direction})`,
    needsPostgres,
    async () => {
      await using proxy = await TcpProxy.start(stand.server.port);
      const schema = newSchema();
      const one = await joinedAs(await open(schema, { port: proxy.port }), 'a');
      const watcher = await open(schema);
      await assertOnceWhereverCut(proxy, direction, one, watcher);
    },
  );
}

test('an answer that never comes counts as none, within less than a lease', needsPostgres, async () => {
  await using proxy = await TcpProxy.start(stand.server.port);
  const one = await joinedAs(await open(newSchema(), { port: proxy.port }), 'a');
  await assertAskedAgain(proxy, one);
});

for (const how of ['fast', 'kill'] as const) {
  test(
    `a database that starts anew (${how}) has all that it acknowledged, in the same term`,
    needsPostgres,
    async () => {
      const schema = newSchema();
      const one = await joinedAs(await open(schema, { instance: 'a' }), 'a');
      await one.write(rows => [rows.put(1), rows.put(2)]);
      const batch = one.batch(rows => rows.put(3));
      const asked = one.store.write(batch).catch(() => {});
      await stand.server.stop(how);
      await asked;
      await assert.rejects(one.store.look(), (fault: StoreFault) =>
        ['busy', 'unanswered'].includes(fault.reason),
      );
      await stand.server.launch();
      const { results } = await persist(() => one.store.write(batch));
      assert.equal(results.length, 1);
      const payments = await persist(() => one.owned());
      assert.deepEqual(
        payments.map(({ id }) => id[15]),
        [1, 2, 3],
      );
      assert.equal((await one.store.look()).term, 1);
    },
  );
}

test('a person is shown the latest payments, what is held, and the story of one', needsPostgres, async () => {
  const raw = await open(newSchema());
  const one = await joinedAs(raw, 'a');
  const ask = <T>(call: (reply: Reply<T>) => void): Promise<T> => promised(call);
  await one.write(rows => [1, 2, 3].map(n => rows.put(n)));
  const [first, second] = await one.owned();
  await one.write(rows => {
    rows.attempt(first!, { outcome: 2, requestedAtMs: 7, attempts: 1 });
    rows.hold(second!, { held: 1, retryAtMs: 9 });
  });
  await one.write(rows => rows.settle(first!, { requestedAtMs: 8, attempts: 2 }));
  const late = await one.write(rows => rows.attempt(first!, { outcome: 3, requestedAtMs: 9, attempts: 3 }));
  assert.deepEqual(late, [KNOWN], 'how an attempt ended is of no interest when the payment is over');
  const numbers = (payments: readonly InspectedPayment[]) =>
    payments.map(({ correlationId, owner }) => `${owner}${Number(correlationId.slice(-2))}`);
  assert.deepEqual(numbers(await ask(reply => raw.latest(2, reply))), ['a3', 'a1']);
  assert.deepEqual(numbers(await ask(reply => raw.held(9, reply))), ['a2']);
  assert.deepEqual((await ask<HeldCounts>(reply => raw.heldCounts(reply)))[1], 1);
  const page = await ask<SettledPage>(reply => raw.settled(0, 1, reply));
  assert.deepEqual([numbers(page.payments), page.after], [['a1'], 1]);
  assert.deepEqual(await ask(reply => raw.settled(page.after, 1, reply)), { payments: [], after: 0 });
  const history = await ask<History | undefined>(reply => raw.history(idOf(1), reply));
  assert.deepEqual(
    history?.attempts.map(({ number, outcome, requestedAtMs }) => [number, outcome, requestedAtMs]),
    [[1, 2, 7]],
  );
  assert.equal(await ask(reply => raw.history(idOf(9), reply)), undefined);
  assert.ok((await raw.size()) > 0);
});

/** What undoes each step of the tables. */
const BACK: readonly ((schema: string) => string)[] = [
  // As version 1 had it: in the totals at once. No batch of its functions is asked for any more.
  schema => `INSERT INTO ${schema}.totals VALUES (1, 1, 0, 0, 1, 0, 7);
    ALTER TABLE ${schema}.instances DROP base, DROP fresh_requested, DROP fresh_processor, DROP fresh_cents;
    UPDATE ${schema}.instances SET results = '{}';
    ALTER TABLE ${schema}.instances ALTER results SET NOT NULL, ALTER results SET DEFAULT '{}';
    ALTER SEQUENCE ${schema}.seq INCREMENT BY 1`,
  schema => `ALTER TABLE ${schema}.instances DROP step, DROP asks_until, DROP started;
    ALTER TABLE ${schema}.deployment DROP doubtful_term, DROP doubtful_at`,
  schema => `DROP TABLE ${schema}.archive, ${schema}.archived, ${schema}.archive_files`,
];

for (const version of [1, 2, 3]) {
  test(`tables of version ${version} become those of today, with what they hold`, needsPostgres, async () => {
    const schema = newSchema();
    const one = await joinedAs(await open(schema), 'a');
    await one.write(rows => [rows.put(1), rows.put(2)]);
    const [payment] = await one.owned();
    for (const back of BACK.slice(version - 1).toReversed()) await stand.server.query(back(schema));
    await stand.server.query(`UPDATE ${schema}.deployment SET version = ${version}`);
    const store = await open(schema);
    const again = await joinedAs(store, 'a');
    assert.equal(await store.archive.keep('one', 'here'), undefined);
    assert.equal((await store.archive.keep('other', 'there'))?.where, 'here');
    assert.deepEqual([again.joined.term, again.joined.isCalm], [1, true]);
    assert.deepEqual(await again.write(rows => rows.settle(payment!, { requestedAtMs: 70 })), [DONE]);
    const [seq] = await again.write(rows => rows.put(3));
    assert.ok(seq! > (await again.payment(2)).seq);
    const [count, low] = version === 1 ? [2, 1997] : [1, 1990];
    assert.deepEqual((await again.store.summary(0, 127)).default, { count, high: 0, low });
  });
}

test('tables of a version that is not known yet are left alone', needsPostgres, async () => {
  const schema = newSchema();
  await open(schema);
  await stand.server.query(`UPDATE ${schema}.deployment SET version = 99`);
  await assert.rejects(open(schema), /written by another soquete \(version 99 of the tables/);
});

test('ACK_AFTER=flush needs a standby that is waited for', needsPostgres, async () => {
  await assert.rejects(
    open(newSchema(), { ackAfter: 'flush' }),
    /^StoreOpenError: ACK_AFTER=flush needs synchronous_standby_names to name a standby/,
  );
});

test('what stands in the way of a start is one line', needsPostgres, async () => {
  await stand.server.query('CREATE ROLE guest LOGIN');
  const at = (rest: string) => parsePostgresUrl(`postgres://${rest}`)!;
  const address = `127.0.0.1:${stand.server.port}`;
  const cases = [
    [`guest:secret@${address}/postgres?schema=nowhere`, /may not make its tables.*GRANT CREATE/],
    [`soquete:secret@${address}/nothing`, /the database does not exist/],
    [`soquete:secret@127.0.0.1:1/postgres`, /no database that takes writes: 127\.0\.0\.1:1: .*ECONNREFUSED/],
  ] as const;
  for (const [rest, says] of cases) {
    await assert.rejects(open('x', { url: at(rest) }), (error: StoreOpenError | StoreFault) => {
      const text = error instanceof StoreFault ? error.detail : error.message;
      assert.match(text, says);
      assert.doesNotMatch(text, /secret|\n/);
      return true;
    });
  }
});
