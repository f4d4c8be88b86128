/**
 * What the engine owes to the network and to whoever runs the server; what every engine owes is in
 * `../contract`.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CENTS_MAX, totalCents } from '../../domain/money.ts';
import { HELD_AMOUNT, HELD_REFUSED, SENT, type StoredPayment } from '../../domain/payment.ts';
import { RedisServer } from '../../testing/redis-server.ts';
import { idOf } from '../../testing/stores.ts';
import { TcpProxy } from '../../testing/tcp-proxy.ts';
import { until } from '../../testing/until.ts';
import { assertAskedAgain, assertOnceWhereverCut } from '../contract/cut-connections.fixture.ts';
import { declareDead } from '../contract/engines.ts';
import { joinedAs, persist } from '../contract/losing.fixture.ts';
import type { HeldCounts, History, InspectedPayment, SettledPage } from '../inspection.ts';
import { DONE, KNOWN, NameTakenError, promised, type Reply, StoreFault } from '../ports.ts';
import type { RedisCall } from './inspected-redis.ts';
import type { RedisStore } from './redis-store.ts';
import { needsRedis, newName, RedisStand } from './stand.fixture.ts';
import { parseRedisUrl } from './url.ts';

const stand = RedisStand.forTests();

test('a name is one process’s, until that one leaves or dies', needsRedis, async () => {
  const name = newName();
  const first = await stand.open(name, { instance: 'a' });
  await assert.rejects(stand.open(name, { instance: 'a' }), NameTakenError);
  await stand.open(name, { instance: 'b' });
  await new Promise(left => first.leave(left));
  const second = await stand.open(name, { instance: 'a' });
  // As the kernel does for a process that is killed.
  await stand.server.ask('CLIENT', 'KILL', 'TYPE', 'pubsub');
  // Either takes it again; never both.
  await persist(() => joinedAs(second, 'a'));
  await assert.rejects(stand.open(name, { instance: 'a' }), NameTakenError);
});

test('what one changes the others learn of without asking', needsRedis, async () => {
  const name = newName();
  const one = await joinedAs(await stand.open(name, { instance: 'a' }), 'a');
  const other = await joinedAs(await stand.open(name, { instance: 'b' }), 'b');
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
  test(`a batch is carried out once, wherever its connection is cut (${direction})`, needsRedis, async () => {
    await using proxy = await TcpProxy.start(stand.server.port);
    const name = newName();
    const one = await joinedAs(await stand.open(name, { ports: [proxy.port] }), 'a');
    const watcher = await stand.open(name);
    await assertOnceWhereverCut(proxy, direction, one, watcher);
  });
}

test('an answer that never comes counts as none, within less than a lease', needsRedis, async () => {
  await using proxy = await TcpProxy.start(stand.server.port);
  const one = await joinedAs(await stand.open(newName(), { ports: [proxy.port] }), 'a');
  await assertAskedAgain(proxy, one);
});

test('many are adopted in parts, and none is left', needsRedis, async () => {
  const name = newName();
  const one = await joinedAs(await stand.open(name), 'a');
  const other = await joinedAs(await stand.open(name), 'b');
  const numbers = Array.from({ length: 1024 }, (_, n) => n);
  for (const from of [0, 1024, 2048]) await one.write(rows => numbers.map(n => rows.put(from + n)));
  await declareDead(other, 'a');
  assert.equal(await other.store.adopt('a'), 3072);
  assert.equal((await other.store.take(0, 5000)).length, 3072);
  assert.deepEqual(
    (await other.store.look()).instances.map(({ unsettled }) => unsettled),
    [0, 3072],
  );
});

test('a Redis without room takes no new payment, and settles those that it has', needsRedis, async () => {
  await using small = await RedisServer.start({
    program: stand.program,
    settings: { maxmemory: '4mb', 'maxmemory-policy': 'noeviction' },
  });
  const one = await joinedAs(await stand.open(newName(), { ports: [small.port] }), 'a');
  let accepted = 0;
  const numbers = Array.from({ length: 500 }, (_, n) => n);
  await assert.rejects(
    async () => {
      for (;;) {
        await one.write(rows => numbers.map(n => rows.put(accepted + n)));
        accepted += numbers.length;
      }
    },
    { reason: 'full' },
  );
  assert.ok(accepted >= 500);
  const [first] = await one.owned();
  assert.deepEqual(await one.write(rows => rows.settle(first!)), [DONE]);
  assert.equal((await one.store.beat('{}')).instances[0]!.unsettled, accepted - 1);
  await assert.rejects(
    one.write(() => []),
    { reason: 'full' },
    'whether it has room for new ones is a question of its own',
  );
  await small.ask('CONFIG', 'SET', 'maxmemory', '100mb');
  assert.deepEqual(await one.write(() => []), []);
  assert.equal((await one.write(rows => rows.put(accepted)))[0], accepted + 1);
});

test('a server that does not answer for a while has done once what it was asked', needsRedis, async () => {
  const one = await joinedAs(await stand.open(newName()), 'a');
  stand.server.signal('SIGSTOP');
  const batch = one.batch(rows => rows.put(1));
  await assert.rejects(one.store.write(batch), { reason: 'unanswered' });
  stand.server.signal('SIGCONT');
  const { results } = await persist(() => one.store.write(batch));
  assert.deepEqual([...results], [1]);
});

test('functions that were removed are there again', needsRedis, async () => {
  const one = await joinedAs(await stand.open(newName()), 'a');
  await stand.server.ask('FUNCTION', 'FLUSH');
  await assert.rejects(one.store.look(), { reason: 'busy' });
  assert.deepEqual(await persist(() => one.write(rows => rows.put(1))), [1]);
});

test('sums are exact beyond what a double holds', needsRedis, async () => {
  const one = await joinedAs(await stand.open(newName()), 'a');
  let n = 0;
  while (n * CENTS_MAX < 2 ** 54) {
    const from = n;
    n += 1024;
    const numbers = Array.from({ length: 1024 }, (_, at) => from + at);
    const seqs = await one.write(rows => numbers.map(each => rows.put(each, { cents: CENTS_MAX })));
    const of = { ...(await one.payment(from)) };
    await one.write(rows => {
      for (const [at, seq] of seqs.entries())
        rows.settle({ ...of, seq, id: idOf(from + at) }, { requestedAtMs: from + at });
    });
  }
  for (const [from, to, count] of [
    [-Infinity, Infinity, n],
    [3, n - 4, n - 6],
    [100, 163, 64],
  ] as const) {
    const total = (await one.store.summary(from, to)).default;
    assert.deepEqual([total.count, totalCents(total)], [count, BigInt(CENTS_MAX) * BigInt(count)]);
  }
});

test('a person is shown the latest payments, what is held, and the story of one', needsRedis, async () => {
  const raw = await stand.open(newName());
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
  assert.deepEqual(numbers(await ask(reply => raw.latest(2, reply))), ['a3', 'a2']);
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

test('held payments are counted by why they are held now', needsRedis, async () => {
  const raw = await stand.open(newName());
  const one = await joinedAs(raw, 'a');
  await one.write(rows => [1, 2, 3].map(n => rows.put(n)));
  const [first, second, third] = await one.payments(1, 2, 3);
  const counts = (): Promise<HeldCounts> => promised(reply => raw.heldCounts(reply));
  await one.write(rows => {
    for (const each of [first!, second!, third!]) rows.hold(each, { held: HELD_REFUSED, retryAtMs: 9 });
  });
  await one.write(rows => {
    rows.hold(first!, { held: HELD_REFUSED, retryAtMs: 10 });
    rows.hold(second!, { held: HELD_AMOUNT, retryAtMs: 10 });
    rows.settle(third!, { requestedAtMs: 8 });
  });
  const { [HELD_REFUSED]: refused, [HELD_AMOUNT]: amount } = await counts();
  assert.deepEqual([refused, amount], [1, 1]);
  await one.write(rows => [first!, second!].map(each => rows.settle(each, { requestedAtMs: 8 })));
  assert.ok((await counts()).every(count => count === 0));
});

test(
  'settled payments come page by page in the order of their arrival, of whatever batches',
  needsRedis,
  async () => {
    const raw = await stand.open(newName());
    const one = await joinedAs(raw, 'a');
    // What arrives is listed by thirties: batches end within one, at its end, and behind several.
    const sizes = [1, 20, 9, 30, 7, 80];
    let n = 0;
    for (const size of sizes) await one.write(rows => Array.from({ length: size }, () => rows.put(++n)));
    const payments = await one.owned();
    await one.write(rows => payments.map(each => rows.settle(each, { requestedAtMs: 8 })));
    const found: number[] = [];
    for (let after = 0; ; ) {
      const page = await promised<SettledPage>(reply => raw.settled(after, 40, reply));
      found.push(...page.payments.map(({ correlationId }) => Number(`0x${correlationId.slice(-4)}`)));
      after = page.after;
      if (after === 0) break;
    }
    assert.deepEqual(
      found,
      Array.from({ length: n }, (_, index) => index + 1),
    );
  },
);

test('what stands in the way of a start is one line', needsRedis, async () => {
  await using forgetful = await RedisServer.start({
    program: stand.program,
    settings: { maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru', requirepass: 'secret' },
  });
  const at = (text: string) => parseRedisUrl(text)!;
  const cases = [
    [at(`redis://:secret@127.0.0.1:${forgetful.port}`), 'commit', /needs maxmemory-policy noeviction/],
    [at(`redis://:wrongsecret@127.0.0.1:${forgetful.port}`), 'commit', /WRONGPASS/],
    [at(`redis://127.0.0.1:${forgetful.port}`), 'commit', /NOAUTH/],
    [at('redis://127.0.0.1:1'), 'commit', /no Redis that takes writes: 127\.0\.0\.1:1: .*/],
  ] as const;
  for (const [url, ackAfter, says] of cases) {
    await assert.rejects(stand.open('x', { url, ackAfter }), (error: Error | StoreFault) => {
      const text = error instanceof StoreFault ? error.detail : error.message;
      assert.match(text, says);
      assert.doesNotMatch(text, /secret|\n/);
      return true;
    });
  }
  await using careless = await RedisServer.start({ program: stand.program, settings: { appendonly: 'yes' } });
  await assert.rejects(
    stand.open('x', { url: at(`redis://127.0.0.1:${careless.port}`), ackAfter: 'flush' }),
    /^StoreOpenError: ACK_AFTER=flush needs appendfsync always on the server: set it, or take ACK_AFTER=commit$/,
  );
});

for (const call of [2, 3]) {
  test(`what may be sent is found though it is adopted before page ${call}`, needsRedis, async () => {
    const name = newName();
    const one = await joinedAs(await stand.open(name), 'a');
    const other = await joinedAs(await stand.open(name), 'b');
    const numbers = Array.from({ length: 600 }, (_, at) => at + 1);
    await other.write(rows => {
      for (const n of numbers) rows.put(n, { state: SENT, processor: 0, requestedAtMs: 5, attempts: 1 });
    });
    await declareDead(one, 'b');
    const asking = (await stand.open(name)) as unknown as {
      read: RedisCall;
      pinnedTo: RedisStore['pinnedTo'];
    };
    const read = asking.read;
    let calls = 0;
    asking.read = async (asked, args) => {
      if (asked === 'unsettledPage' && ++calls === call) await one.store.adopt('b');
      return read(asked, args);
    };
    const found = await promised<StoredPayment[]>(reply => asking.pinnedTo(0, 1000, reply));
    assert.deepEqual(
      found.map(({ seq }) => seq),
      numbers,
    );
  });
}
