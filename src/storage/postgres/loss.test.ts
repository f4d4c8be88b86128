/** A database that comes back older: what is noticed, by whom, and what follows. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PINNED } from '../../domain/payment.ts';
import { until } from '../../testing/until.ts';
import { declareDead } from '../contract/engines.ts';
import { assertDoubt, joinedAgain, joinedAs, lossOf, persist } from '../contract/losing.fixture.ts';
import { DONE } from '../ports.ts';
import { needsPostgres, newSchema, PostgresStand } from './stand.fixture.ts';

const stand = PostgresStand.forTests();

async function twoWithAPaymentEach() {
  const schema = newSchema();
  const one = await joinedAs(await stand.open(schema, { instance: 'a' }), 'a');
  const other = await joinedAs(await stand.open(schema, { instance: 'b' }), 'b');
  await one.write(rows => rows.put(1));
  await other.write(rows => rows.put(2));
  return { schema, one, other };
}

test(
  'an older copy begins a term, whatever it has written since: all join anew, and what waits is asked for',
  needsPostgres,
  async () => {
    const { one, other } = await twoWithAPaymentEach();
    const copy = await stand.copy();
    await persist(() => one.write(rows => rows.put(3)));
    await one.write(rows => rows.put(4));
    await persist(() => other.store.look());
    await stand.goBackTo(copy);
    assert.equal((await persist(() => other.store.look())).term, 1, 'b has lost nothing');
    assert.equal(await lossOf(one), 'it lacks the last 2 calls that it acknowledged to a');
    await assert.rejects(one.store.beat(''), { reason: 'lost' });
    const first = await joinedAgain(one, 'a');
    await assertDoubt(first, other);
    const second = await joinedAs(other.raw, 'b');
    assert.deepEqual([second.joined.term, second.joined.asksFirstUntilMs > Date.now()], [2, true]);
    assert.ok(second.joined.epoch > other.joined.epoch);
    const [late] = await second.owned();
    assert.equal(late!.isUncertain, true);
    await second.write(rows => rows.hold(late!, { state: ~PINNED, retryAtMs: 9 }));
    assert.deepEqual((await second.payment(2)).isUncertain, true, 'it is held, and still to be asked for');
    await second.write(rows => rows.mark(late!, { held: 0 }));
    assert.deepEqual((await second.payment(2)).isUncertain, false, 'both were asked');
    assert.deepEqual(await second.write(rows => rows.settle(late!)), [DONE]);
  },
);

test(
  'a batch is refused by a store that lacks an earlier one, with no connection broken',
  needsPostgres,
  async () => {
    const schema = newSchema();
    const one = await joinedAs(await stand.open(schema, { instance: 'a' }), 'a');
    await stand.server.query(`CREATE TABLE ${schema}.copy AS TABLE ${schema}.instances`);
    await one.write(rows => rows.put(1));
    await stand.server.query(`TRUNCATE ${schema}.queue; UPDATE ${schema}.instances i SET step = c.step, batch = c.batch
    FROM ${schema}.copy c WHERE c.name = i.name`);
    await assert.rejects(
      one.write(rows => rows.put(2)),
      { reason: 'lost', detail: 'it lacks the last 1 calls that it acknowledged to a' },
    );
  },
);

test('no epoch is given twice to one process, and no term', needsPostgres, async () => {
  const schema = newSchema();
  let one = await joinedAs(await stand.open(schema, { instance: 'a' }), 'a');
  const copy = await stand.copy();
  await persist(() => one.store.look());
  for (const term of [2, 3]) {
    const { epoch } = one.joined;
    one = await joinedAgain(one, 'a');
    assert.equal(one.joined.term, term);
    assert.ok(one.joined.epoch > epoch);
  }
  await stand.goBackTo(copy);
  assert.match(await lossOf(one), /it is older than it was \(term 1\)/);
  const again = await joinedAgain(one, 'a');
  assert.equal(again.joined.term, 4);
  assert.ok(again.joined.epoch > one.joined.epoch);
});

/** It goes on as one that was a standby. */
async function promote(settings: Readonly<Record<string, string>> = {}): Promise<void> {
  const { server } = stand;
  await server.stop();
  writeFileSync(join(server.data, 'standby.signal'), '');
  await server.launch(settings);
  await server.promote();
}

test(
  'a standby that was promoted begins a term with doubt, whoever finds it first',
  needsPostgres,
  async () => {
    const { schema, one, other } = await twoWithAPaymentEach();
    // As if it had not been sent the last two.
    await stand.server.query(`UPDATE ${schema}.instances SET step = step - 2 WHERE name = 'a'`);
    await promote();
    for (const each of [one, other]) {
      const loss = await lossOf(each);
      assert.match(loss, /^the database went on in timeline \d+, before \d+: a standby was promoted/);
      assert.equal(
        loss.endsWith('; it lacks the last 2 calls that it acknowledged to a'),
        each === one,
        loss,
      );
      await assert.rejects(each.store.beat(''), { reason: 'lost' });
    }
    for (const each of [one, other]) await each.raw.reopen();
    const first = await joinedAs(one.raw, 'a');
    assert.deepEqual([first.joined.term, first.joined.pinned, first.joined.isCalm], [2, 2, false]);
    const second = await joinedAs(other.raw, 'b');
    assert.deepEqual([second.joined.term, second.joined.pinned], [2, 0]);
    const { state, isUncertain } = await first.payment(1);
    assert.deepEqual([state, isUncertain], [PINNED, true]);
    const [late] = await second.owned();
    assert.deepEqual(await second.write(rows => rows.settle(late!)), [DONE]);
  },
);

test(
  'one that every commit had waited for begins a term without, unless it lacks something',
  needsPostgres,
  async () => {
    const { schema, one, other } = await twoWithAPaymentEach();
    for (const command of [`ALTER SYSTEM SET synchronous_standby_names = 's'`, 'SELECT pg_reload_conf()'])
      await stand.server.query(command);
    await until(
      async () =>
        (await stand.server.query('SHOW synchronous_standby_names'))[0]!['synchronous_standby_names'] === 's',
      'the server to wait for its standby',
    );
    for (const { store } of [one, other]) await store.look();
    await promote({ synchronous_standby_names: '' });
    for (const each of [one, other]) await lossOf(each);
    const first = await joinedAgain(one, 'a');
    const { term, pinned, isCalm, asksFirstUntilMs } = first.joined;
    assert.deepEqual([term, pinned, isCalm, asksFirstUntilMs], [2, 2, true, 0]);
    const { state, isUncertain } = await first.payment(1);
    assert.deepEqual([state, isUncertain], [PINNED, false]);
    // As if it were another one than those that were waited for.
    await stand.server.query(`UPDATE ${schema}.instances SET step = 1 WHERE name = 'b'`);
    const second = await joinedAgain(other, 'b');
    assert.deepEqual([second.joined.term, second.joined.isCalm], [3, false]);
    assert.equal((await second.payment(1)).isUncertain, true);
    await assert.rejects(
      first.write(rows => rows.put(3)),
      { reason: 'fenced' },
    );
  },
);

test(
  'who died with the server, without waiting for its disk, cannot say what it had',
  needsPostgres,
  async () => {
    const schema = newSchema();
    const one = await joinedAs(await stand.open(schema, { ackAfter: 'parse' }), 'a');
    const other = await joinedAs(await stand.open(schema), 'b');
    await one.write(rows => rows.put(1));
    await stand.server.stop();
    await stand.server.launch();
    await persist(() => other.store.look());
    await declareDead(other, 'a');
    await assert.rejects(other.store.adopt('a'), { reason: 'lost' });
    const next = await joinedAgain(other, 'b');
    assert.deepEqual([next.joined.term, next.joined.pinned], [2, 1]);
    assert.equal(await next.store.adopt('a'), 1);
    assert.equal((await next.payment(1)).isUncertain, true);
  },
);

test('who puts an older copy back while nobody runs can say so', needsPostgres, async () => {
  const schema = newSchema();
  const one = await joinedAs(await stand.open(schema), 'a');
  await one.write(rows => rows.put(1));
  await stand.server.query(`UPDATE ${schema}.deployment SET system = 'restored'`);
  const next = await joinedAs(await stand.open(schema), 'a');
  assert.deepEqual([next.joined.term, next.joined.pinned, next.joined.isCalm], [2, 1, false]);
  assert.equal((await next.payment(1)).isUncertain, true);
  const { joined } = await joinedAs(await stand.open(schema), 'b');
  assert.deepEqual([joined.term, joined.isCalm], [2, false], 'once');
});
