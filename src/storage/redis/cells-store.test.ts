/** A deployment in cells of a Redis Cluster: three masters with a replica each, on this machine. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { totalCents } from '../../domain/money.ts';
import { systemClock } from '../../system-clock.ts';
import { RedisCluster } from '../../testing/redis-cluster.ts';
import { installedRedis } from '../../testing/redis-server.ts';
import { idOf } from '../../testing/stores.ts';
import { until } from '../../testing/until.ts';
import { declareDead, instance, type MemberStore } from '../contract/engines.ts';
import { persist } from '../contract/losing.fixture.ts';
import { DONE, KNOWN, NameTakenError, OTHER_AMOUNT, type StoreFault } from '../ports.ts';
import { CellsStore } from './cells-store.ts';
import { needsRedis, newName } from './stand.fixture.ts';
import { parseRedisUrl } from './url.ts';

const CELLS = 8;
const NUMBERS = Array.from({ length: 60 }, (_, n) => n);

let cluster: RedisCluster;
const opened: CellsStore[] = [];

before(async () => {
  const [program] = installedRedis();
  if (program !== undefined) cluster = await RedisCluster.start(program);
});
after(async () => {
  for (const store of opened) await new Promise(closed => store.leave(closed));
  await cluster?.[Symbol.asyncDispose]();
});

async function joined(name: string, as: string, holdsName = false): Promise<MemberStore> {
  const url = parseRedisUrl(cluster.url(`name=${name}&cells=${CELLS}`))!;
  const store = await CellsStore.open({
    ...{ url, clock: systemClock, ackAfter: 'commit', application: 'test' },
    ...(holdsName ? { instance: as } : {}),
  });
  opened.push(store);
  return instance({ open: async () => store } as never, as);
}

test(
  'payments are in the cells of their ids, over all masters, and sums are over all cells',
  needsRedis,
  async () => {
    const name = newName();
    const one = await joined(name, 'a', true);
    await assert.rejects(joined(name, 'a', true), NameTakenError);
    const seqs = await one.write(rows => NUMBERS.map(n => rows.put(n, { cents: 100 + n })));
    assert.equal(new Set(seqs).size, NUMBERS.length);
    const owned = await one.owned();
    assert.deepEqual(
      owned.map(({ seq }) => seq),
      seqs.toSorted((x, y) => x - y),
    );
    assert.deepEqual(
      (await one.store.take(owned[20]!.seq, 5)).map(({ seq }) => seq),
      owned.slice(21, 26).map(({ seq }) => seq),
    );
    const sizes = await Promise.all(cluster.masters.map(async node => Number(await node.ask('DBSIZE'))));
    assert.ok(
      sizes.every(size => size > 0),
      String(sizes),
    );
    assert.deepEqual(await one.write(rows => [rows.put(1, { cents: 101 }), rows.put(2, { cents: 7 })]), [
      KNOWN,
      OTHER_AMOUNT,
    ]);
    const results = await one.write(rows => {
      for (const payment of owned) rows.settle(payment, { requestedAtMs: 1000 + payment.cents });
    });
    assert.ok(results.every(result => result === DONE));
    const { default: all } = await one.store.summary(-Infinity, Infinity);
    assert.deepEqual([all.count, totalCents(all)], [60, BigInt(60 * 100 + (59 * 60) / 2)]);
    const { default: part } = await one.store.summary(1110, 1119);
    assert.deepEqual([part.count, totalCents(part)], [10, BigInt(1145)]);
  },
);

test('an instance that is fenced is fenced in each cell', needsRedis, async () => {
  const name = newName();
  const one = await joined(name, 'a');
  const other = await joined(name, 'b');
  await one.write(rows => NUMBERS.map(n => rows.put(n)));
  const payments = await one.owned();
  await declareDead(other, 'a');
  for (const payment of payments) {
    await assert.rejects(
      one.write(rows => rows.mark(payment)),
      { reason: 'fenced' },
    );
  }
  assert.equal(await other.store.adopt('a'), NUMBERS.length);
  assert.equal(await other.store.adopt('a'), 0);
  const taken = await other.owned();
  assert.deepEqual(
    await other.write(rows => taken.map(each => rows.mark(each))),
    taken.map(() => DONE),
  );
  const views = (await other.store.look()).instances;
  assert.deepEqual(
    views.map(({ name, alive, unsettled }) => [name, alive, unsettled]),
    [
      ['a', false, 0],
      ['b', true, NUMBERS.length],
    ],
  );
});

test('a purge is one in all cells, and what was made before it is forgotten', needsRedis, async () => {
  const one = await joined(newName(), 'a');
  await one.write(rows => NUMBERS.map(n => rows.put(n)));
  const generation = await one.store.purge();
  assert.ok(generation > one.joined.generation);
  const { generation: now } = await one.store.write(one.batch(rows => NUMBERS.map(n => rows.put(n))));
  assert.ok(now > one.joined.generation);
  assert.equal(await one.store.find(idOf(1)), undefined);
  const again = await instance({ open: async () => one.raw } as never, 'a');
  assert.equal((await again.write(rows => NUMBERS.map(n => rows.put(n)))).length, NUMBERS.length);
});

test('a batch of which a part has no answer is carried out once in each cell', needsRedis, async () => {
  const one = await joined(newName(), 'a');
  const asleep = cluster.masters[1]!.ask('DEBUG', 'SLEEP', 0.9).catch(() => {});
  const slow = one.batch(rows => NUMBERS.map(n => rows.put(n)));
  // Those that are awake have answered; then nobody hears from the one that is not.
  const asked = one.store.write(slow).catch((fault: StoreFault) => fault.reason);
  await cluster.masters[1]!.ask('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes').catch(() => {});
  await asleep;
  const first = await asked;
  const { results } = await persist(() => one.store.write(slow));
  assert.ok(first === 'unanswered' || (typeof first === 'object' && first.results.length > 0), String(first));
  assert.ok(results.every(result => result > 0));
  assert.equal((await one.owned()).length, NUMBERS.length);
});

test('a replica takes over from a master that dies, and the deployment goes on', needsRedis, async () => {
  const name = newName();
  const one = await joined(name, 'a');
  await one.write(rows => NUMBERS.map(n => rows.put(n)));
  await cluster.masters[0]!.stop('SIGKILL');
  const batch = one.batch(rows => NUMBERS.map(n => rows.put(100 + n)));
  let lost = false;
  await persist(() => one.store.write(batch)).catch((fault: StoreFault) => {
    lost = fault.reason === 'lost';
    assert.ok(lost, fault.detail);
  });
  if (lost)
    await until(
      () =>
        one.raw.reopen().then(
          () => true,
          () => false,
        ),
      'all cells to be there',
    );
  const again = lost ? await instance({ open: async () => one.raw } as never, 'a') : one;
  const { results } = await persist(() =>
    again.store.write(again.batch(rows => NUMBERS.map(n => rows.put(100 + n)))),
  );
  assert.ok(results.every(result => result > 0 || result === KNOWN));
  assert.ok((await again.owned()).length >= NUMBERS.length);
});
