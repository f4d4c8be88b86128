/** A server that dies, comes back older, or is replaced: what is kept, what is noticed, what follows. */
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../system-clock.ts';
import { RedisServer } from '../../testing/redis-server.ts';
import { idOf } from '../../testing/stores.ts';
import { until } from '../../testing/until.ts';
import { declareDead } from '../contract/engines.ts';
import { assertDoubt, joinedAgain, joinedAs, lossOf, persist } from '../contract/losing.fixture.ts';
import { KNOWN, type StoreFault } from '../ports.ts';
import { needsRedis, newName, RedisStand } from './stand.fixture.ts';

const stand = RedisStand.forTests();

for (const how of ['SIGTERM', 'SIGKILL'] as const) {
  test(
    `a Redis that starts anew (${how}) has all that it acknowledged, in the same term`,
    needsRedis,
    async () => {
      const one = await joinedAs(await stand.open(newName(), { instance: 'a' }), 'a');
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
        payments.map(({ id, isUncertain }) => [id[15], isUncertain]),
        [1, 2, 3].map(n => [n, false]),
      );
      assert.equal((await one.store.look()).term, 1);
    },
  );
}

test(
  'an older copy begins a term: what waits is asked for, and what is missing is said',
  needsRedis,
  async () => {
    const name = newName();
    const one = await joinedAs(await stand.open(name, { instance: 'a' }), 'a');
    const aheadMs = () => systemClock.wallMs() + 2 * 3_600_000;
    const clock = { ...systemClock, wallMs: aheadMs };
    const other = await joinedAs(await stand.open(name, { instance: 'b', clock }), 'b');
    await one.write(rows => rows.put(1));
    await other.write(rows => rows.put(2));
    await stand.server.stop();
    const [data, copy] = ['appendonlydir', 'copy'].map(folder => join(stand.server.directory, folder));
    cpSync(data!, copy!, { recursive: true });
    await stand.server.launch();
    await persist(() => other.store.look());
    await persist(() => one.write(rows => rows.put(3)));
    await one.write(rows => rows.put(4));
    await stand.server.stop();
    rmSync(data!, { recursive: true });
    cpSync(copy!, data!, { recursive: true });
    await stand.server.launch();
    assert.equal(await lossOf(one), 'it lacks the last 2 batches that it acknowledged to a');
    await assert.rejects(one.store.beat(''), { reason: 'lost' });
    assert.equal((await persist(() => other.store.look())).term, 1, 'b has lost nothing, and goes on');
    const first = await joinedAgain(one, 'a');
    await assertDoubt(first, other);
    const second = await joinedAs(other.raw, 'b');
    assert.equal(second.joined.term, 2);
    assert.ok(second.joined.asksFirstUntilMs > aheadMs() + 3_000_000, 'by its own clock');
    assert.equal((await second.payment(2)).isUncertain, true);
    const again = await joinedAgain(first, 'a');
    assert.ok(again.joined.epoch > first.joined.epoch);
  },
);

test('a Redis that came back with nothing is another store, in a later term', needsRedis, async () => {
  await using bare = await RedisServer.start({ program: stand.program });
  const one = await joinedAs(await stand.open(newName(), { ports: [bare.port] }), 'a');
  await one.write(rows => rows.put(1));
  await bare.stop('SIGKILL');
  await bare.launch();
  assert.equal(await lossOf(one), 'the store is empty');
  const first = await joinedAgain(one, 'a');
  assert.deepEqual([first.joined.term, first.joined.pinned], [2, 0]);
  assert.deepEqual(await first.write(rows => rows.put(1)), [1]);
});

test('a replica that took over without the end begins a term', needsRedis, async () => {
  await using primary = await RedisServer.start({ program: stand.program });
  await using replica = await RedisServer.start({ program: stand.program });
  await replica.ask('REPLICAOF', '127.0.0.1', primary.port);
  const one = await joinedAs(await stand.open(newName(), { ports: [replica.port, primary.port] }), 'a');
  await one.write(rows => rows.put(1));
  const offset = async (of: RedisServer, field: string) =>
    new RegExp(`${field}:(\\d+)`).exec(String(await of.ask('INFO', 'replication')))?.[1];
  await until(
    async () =>
      (await offset(replica, 'slave_repl_offset')) === (await offset(primary, 'master_repl_offset')),
    'the replica to have it',
  );
  await replica.ask('REPLICAOF', 'NO', 'ONE');
  await one.write(rows => rows.put(2));
  await primary.stop('SIGKILL');
  assert.equal(await lossOf(one), 'it lacks the last 1 batches that it acknowledged to a');
  const first = await joinedAgain(one, 'a');
  assert.deepEqual([first.joined.term, first.joined.pinned], [2, 1]);
  assert.equal(await first.store.find(idOf(2)), undefined);
});

test('who died with the server cannot say what it had: its payments begin a term', needsRedis, async () => {
  const name = newName();
  const one = await joinedAs(await stand.open(name), 'a');
  const other = await joinedAs(await stand.open(name), 'b');
  await one.write(rows => rows.put(1));
  await stand.server.stop('SIGKILL');
  await stand.server.launch();
  await persist(() => other.store.look());
  // It has not been here since.
  await stand.server.ask('HSET', `{${name}}:i:a`, 'run', 'before');
  await assert.rejects(declareDead(other, 'a'), { reason: 'lost' });
  const next = await joinedAgain(other, 'b');
  assert.deepEqual([next.joined.term, next.joined.pinned], [2, 1]);
  await declareDead(next, 'a');
  assert.equal(await next.store.adopt('a'), 1);
  assert.equal((await next.payment(1)).isUncertain, true);
});

test('while one that lives is still to say what it had, no payment is taken in', needsRedis, async () => {
  const name = newName();
  const one = await joinedAs(await stand.open(name), 'a');
  const other = await joinedAs(await stand.open(name), 'b');
  await one.write(rows => rows.put(1));
  await stand.server.ask('HSET', `{${name}}:i:a`, 'run', 'before');
  const third = await joinedAs(await stand.open(name), 'c');
  const busy = { reason: 'busy', detail: /^a is still to say what it had/ };
  for (const each of [other, third])
    await assert.rejects(
      each.write(rows => rows.put(2)),
      busy,
    );
  assert.deepEqual(await other.write(rows => rows.put(1)), [KNOWN], 'what is here is known');
  await one.raw.reopen();
  const again = await joinedAs(one.raw, 'a');
  assert.equal(again.joined.term, 2);
  await again.write(rows => rows.put(2));
  assert.equal((await again.payment(2)).isUncertain, true, 'it may have been here before');
});

test('ACK_AFTER=flush waits for the replicas that there are', needsRedis, async () => {
  const name = newName();
  await using replica = await RedisServer.start({ program: stand.program });
  await replica.ask('REPLICAOF', '127.0.0.1', stand.server.port);
  await until(
    async () => String(await replica.ask('INFO', 'replication')).includes('master_link_status:up'),
    'the replica to be there',
  );
  const store = await stand.open(name, { ackAfter: 'flush' });
  assert.match(store.survives, /its replica has it: WAIT/);
  const one = await joinedAs(store, 'a');
  assert.deepEqual(await one.write(rows => rows.put(1)), [1]);
  replica.signal('SIGSTOP');
  const batch = one.batch(rows => rows.put(2));
  await assert.rejects(one.store.write(batch), { reason: 'unanswered' });
  replica.signal('SIGCONT');
  assert.deepEqual([...(await persist(() => one.store.write(batch))).results], [2]);
  await replica.stop();
  const other = await joinedAs(await stand.open(name, { ackAfter: 'flush' }), 'b').catch(
    (fault: StoreFault) => fault.reason,
  );
  assert.equal(other, 'unanswered', 'who starts now waits for it all the same');
});
