/** What every store promises, asked of each of them in the same words. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { totalCents } from '../domain/money.ts';
import { idWords } from '../domain/payment.ts';
import { seededBelow } from '../domain/random.ts';
import { type Asked, asked, attemptRow, idOf, markRow, put, seed, settleRow } from '../testing/stores.ts';
import { Batch } from './batch.ts';
import {
  encodeHeader,
  encodeRecord,
  HEADER_BYTES,
  RECORD_BYTES,
  segmentName,
} from './embedded/log-format.ts';
import { openSqliteStore } from './embedded/sqlite/thread-client.ts';
import { MemoryState } from './memory/state.ts';
import { type LoggedPayment, MemoryStore } from './memory/store.ts';
import { DONE, FORGOTTEN, type Joined, KNOWN, type Reopening, type Store } from './ports.ts';

interface Deployment {
  /** A connection of an instance that has yet to join. */
  open(how?: { boot?: string; brokenTerm?: number; durable?: 'power' }): Promise<Store & Reopening>;
  /** Makes payments be in the log of an instance. */
  log(instance: string, payments: LoggedPayment[]): void;
}

const root = mkdtempSync(join(tmpdir(), 'soquete-contract-'));
const opened: Store[] = [];
after(async () => {
  await Promise.all(opened.map(store => new Promise(closed => store.leave(closed))));
  rmSync(root, { recursive: true });
});

function sqlite(): Deployment {
  const directory = mkdtempSync(join(root, 'store-'));
  let segments = 0;
  return {
    open: how => openSqliteStore({ directory, boot: 'first', ...how }),
    log(instance, payments) {
      const bytes = new Uint8Array(HEADER_BYTES + payments.length * RECORD_BYTES);
      bytes.set(encodeHeader(payments[0]!));
      payments.forEach(({ id, cents, acceptedAtMs }, index) => {
        encodeRecord(bytes, HEADER_BYTES + index * RECORD_BYTES, idWords(id), 0, cents, acceptedAtMs);
      });
      segments += 1;
      mkdirSync(join(directory, 'log'), { recursive: true });
      writeFileSync(join(directory, 'log', segmentName(instance, segments)), bytes);
    },
  };
}

function memory(): Deployment {
  const world = new MemoryState();
  const logs = new Map<string, LoggedPayment[]>();
  return {
    open: async how =>
      new MemoryStore(world, { logged: instance => logs.get(instance) ?? [], boot: 'first', ...how }),
    log: (instance, payments) => logs.set(instance, [...(logs.get(instance) ?? []), ...payments]),
  };
}

/** A joined instance and what it writes with. */
class Instance {
  readonly store: Asked;
  readonly joined: Joined;
  constructor(store: Asked, joined: Joined) {
    this.store = store;
    this.joined = joined;
  }

  /** Writes what `fill` adds to a batch; returns the results. */
  async write(fill: (batch: Batch) => void, generation = this.joined.generation): Promise<number[]> {
    const batch = new Batch(this.joined.epoch, generation, 1);
    fill(batch);
    const { count } = batch;
    const { results } = await this.store.write(batch);
    assert.equal(batch.count, count);
    return [...results];
  }
}

async function instance(
  deployment: Deployment,
  name: string,
  how?: Parameters<Deployment['open']>[0],
): Promise<Instance> {
  const store = await deployment.open(how);
  opened.push(store);
  return new Instance(asked(store), await asked(store).join(name));
}

for (const [name, deploy] of [
  ['sqlite', sqlite],
  ['memory', memory],
] as const) {
  const promise = (sentence: string, check: (deployment: Deployment) => Promise<void>): void => {
    test(`${name}: ${sentence}`, () => check(deploy()));
  };

  promise('two instances accept one id once', async deployment => {
    const [one, two] = [await instance(deployment, 'a'), await instance(deployment, 'b')];
    const answers = await Promise.all([one, two].map(each => each.write(batch => put(batch, 7))));
    assert.deepEqual(answers.flat().toSorted(), [KNOWN, 1]);
    assert.deepEqual(await one.write(batch => [put(batch, 8), put(batch, 8), put(batch, 7)]), [
      2,
      KNOWN,
      KNOWN,
    ]);
  });

  promise('a payment comes back as it was put, marked and settled', async deployment => {
    const one = await instance(deployment, 'a');
    const { store } = one;
    const cents = 999_999_999_999;
    const at = 1_783_684_800_123;
    await one.write(batch =>
      put(batch, 1, {
        cents,
        acceptedAtMs: at,
        state: 1,
        processor: 0,
        requestedAtMs: at + 1,
        attempts: 1,
        tries: 1,
      }),
    );
    const sent = {
      seq: 1,
      id: idOf(1),
      cents,
      acceptedAtMs: at,
      state: 1,
      processor: 0,
      requestedAtMs: at + 1,
      attempts: 1,
      tries: 1,
      settledAtMs: 0,
    };
    assert.deepEqual(await store.find(idOf(1)), sent);
    await one.write(batch =>
      markRow(batch, { seq: 1, state: 2, processor: 1, requestedAtMs: at + 5, attempts: 3, tries: 0 }),
    );
    const pinned = { ...sent, state: 2, processor: 1, requestedAtMs: at + 5, attempts: 3, tries: 0 };
    assert.deepEqual(await store.take(0, 10), [pinned]);
    await one.write(batch =>
      settleRow(batch, { seq: 1, processor: 1, requestedAtMs: at + 6, cents, settledAtMs: at + 9 }),
    );
    const settled = { ...pinned, state: 3, requestedAtMs: at + 6, settledAtMs: at + 9 };
    assert.deepEqual(await store.find(idOf(1)), settled);
    assert.deepEqual(await store.take(0, 10), []);
    await one.write(batch => put(batch, 2));
    assert.equal((await store.find(idOf(2)))?.processor, undefined);
    assert.equal(await store.find(idOf(3)), undefined);
  });

  promise('a settlement is booked once, and only by the owner', async deployment => {
    const [one, two] = [await instance(deployment, 'a'), await instance(deployment, 'b')];
    await one.write(batch => put(batch, 1));
    const once = (batch: Batch) => settleRow(batch, { seq: 1, requestedAtMs: 5000 });
    assert.deepEqual(await two.write(once), [KNOWN]);
    assert.deepEqual(await one.write(batch => [once(batch), once(batch)]), [DONE, KNOWN]);
    assert.deepEqual(await one.write(once), [KNOWN]);
    assert.deepEqual(await one.write(batch => markRow(batch, { seq: 1 })), [KNOWN]);
    assert.deepEqual(await one.write(batch => settleRow(batch, { seq: 99 })), [KNOWN]);
    assert.deepEqual(await one.write(batch => attemptRow(batch, { seq: 1, cents: 12.5, attempts: 1 })), [
      DONE,
    ]);
    const booked = { count: 1, high: 0, low: 1990 };
    assert.deepEqual(await two.store.summary(5000, 5000), {
      default: booked,
      fallback: { count: 0, high: 0, low: 0 },
    });
  });

  promise('totals are exact on any window', async deployment => {
    const one = await instance(deployment, 'a');
    const next = seededBelow(seed);
    const start = 1_783_684_800_000;
    const booked: { at: number; processor: 0 | 1; cents: number }[] = [];
    for (let round = 0; round < 6; round++) {
      const spread = [100, 5_000, 300_000, 86_400_000, 3e10, 1][round]!;
      const cents = Array.from({ length: 200 }, () => 1 + next(999_999_999_999));
      await one.write(batch => {
        for (let n = 0; n < 200; n++) put(batch, round * 200 + n, { cents: cents[n]! });
      });
      await one.write(batch => {
        for (let n = 0; n < 200; n++) {
          const at = start + next(spread);
          const processor = next(2) as 0 | 1;
          booked.push({ at, processor, cents: cents[n]! });
          settleRow(batch, { seq: round * 200 + n + 1, requestedAtMs: at, processor, cents: cents[n]! });
        }
      });
    }
    const edges = [-Infinity, Infinity, 0, start - 1, ...booked.map(({ at }) => at)];
    for (let check = 0; check < 400; check++) {
      const from = edges[next(edges.length)]! - next(2);
      const to = edges[next(edges.length)]! + next(2);
      const summary = await one.store.summary(from, to);
      for (const processor of [0, 1] as const) {
        const within = booked.filter(
          each => each.processor === processor && each.at >= from && each.at <= to,
        );
        const total = processor === 0 ? summary.default : summary.fallback;
        const sum = within.reduce((cents, each) => cents + BigInt(each.cents), 0n);
        assert.equal(total.count, within.length, `SEED=${seed} from ${from} to ${to}`);
        assert.equal(totalCents(total), sum, `SEED=${seed} from ${from} to ${to}`);
      }
    }
  });

  promise('a fenced writer changes nothing', async deployment => {
    const [one, two] = [await instance(deployment, 'a'), await instance(deployment, 'b')];
    await one.write(batch => put(batch, 1));
    const seen = (await two.store.look()).instances.find(each => each.name === 'a')!;
    await one.store.beat(1, '{}');
    assert.equal(await two.store.fence('a', seen.epoch, seen.beat), false, 'it has beaten since');
    assert.equal(await two.store.fence('a', seen.epoch, seen.beat + 1), true);
    assert.equal(await two.store.fence('a', seen.epoch, seen.beat + 1), false, 'once is enough');
    const fenced = { reason: 'fenced' };
    await assert.rejects(
      one.write(batch => [put(batch, 2), settleRow(batch, { seq: 1 })]),
      fenced,
    );
    await assert.rejects(one.store.beat(1, '{}'), fenced);
    await assert.rejects(one.store.adopt('b', 1), fenced);
    await assert.rejects(one.store.takeChecker(''), fenced);
    await assert.rejects(one.store.report(0, true, 1), fenced);
    await assert.rejects(one.store.purge(), fenced);
    await assert.rejects(one.store.fence('b', 1, 0), fenced);
    await assert.rejects(one.store.replay('a'), fenced);
    assert.equal(await two.store.find(idOf(2)), undefined);
    assert.equal((await two.store.find(idOf(1)))?.state, 0);
    const again = await instance(deployment, 'a');
    assert.ok(again.joined.epoch > one.joined.epoch);
    assert.equal((await again.store.take(0, 9)).length, 1, 'what it owned is still its own');
    await assert.rejects(
      one.write(batch => put(batch, 3)),
      fenced,
    );
  });

  promise('payments are adopted from the dead only', async deployment => {
    const [one, two] = [await instance(deployment, 'a'), await instance(deployment, 'b')];
    await one.write(batch => {
      for (let n = 1; n <= 5; n++) put(batch, n, { state: 1, processor: 0, requestedAtMs: 70 + n });
    });
    await one.write(batch => settleRow(batch, { seq: 1, requestedAtMs: 71 }));
    assert.deepEqual(await two.store.adopt('a', 10), []);
    assert.deepEqual(await two.store.adopt('nobody', 10), []);
    const owned = async () => (await two.store.look()).instances.map(each => each.unsettled);
    assert.deepEqual(await owned(), [4, 0]);
    await one.store.leave();
    const adopted = await two.store.adopt('a', 3);
    assert.deepEqual(adopted.map(each => each.seq).toSorted(), [2, 3, 4]);
    assert.equal(adopted[0]?.state, 1);
    assert.deepEqual(await owned(), [1, 3]);
    assert.equal((await two.store.adopt('a', 3)).length, 1);
    assert.deepEqual(await two.store.adopt('a', 3), []);
    const again = await instance(deployment, 'a');
    assert.deepEqual(await again.write(batch => settleRow(batch, { seq: 2 })), [KNOWN]);
    assert.deepEqual(await two.write(batch => settleRow(batch, { seq: 2 })), [DONE]);
    assert.deepEqual(await owned(), [0, 3]);
  });

  promise('a purge forgets what was, and what still comes of it', async deployment => {
    const [one, two] = [await instance(deployment, 'a'), await instance(deployment, 'b')];
    await one.write(batch => [put(batch, 1), put(batch, 2)]);
    await one.write(batch => settleRow(batch, { seq: 1, requestedAtMs: 9 }));
    await two.store.takeChecker('');
    await two.store.report(1, true, 40);
    assert.equal(await two.store.purge(), 2);
    assert.deepEqual(await one.store.summary(-Infinity, Infinity), {
      default: { count: 0, high: 0, low: 0 },
      fallback: { count: 0, high: 0, low: 0 },
    });
    const late = new Batch(one.joined.epoch, 1);
    put(late, 3);
    settleRow(late, { seq: 2 });
    const { generation, results } = await one.store.write(late);
    assert.deepEqual([generation, ...results], [2, FORGOTTEN, FORGOTTEN]);
    assert.equal(await one.store.find(idOf(3)), undefined);
    const [seq] = await one.write(batch => put(batch, 1), 2);
    assert.ok(seq! > 2, 'no seq is given twice');
    const shared = await one.store.look();
    assert.equal(shared.checker, 'b');
    assert.equal(shared.health[1].minResponseMs, 40);
    assert.deepEqual(
      shared.instances.map(each => each.unsettled),
      [1, 0],
    );
  });

  promise('own unsettled payments are taken page by page, in order', async deployment => {
    const [one, two] = [await instance(deployment, 'a'), await instance(deployment, 'b')];
    for (let n = 0; n < 30; n++) await (n % 3 ? one : two).write(batch => put(batch, n));
    await one.write(batch => settleRow(batch, { seq: 2 }));
    const pages: number[][] = [];
    let after = 0;
    for (;;) {
      const page = (await one.store.take(after, 8)).map(each => each.seq);
      if (page.length === 0) break;
      pages.push(page);
      after = page.at(-1)!;
    }
    assert.deepEqual(
      pages.map(page => page.length),
      [8, 8, 3],
    );
    assert.deepEqual(
      pages.flat(),
      pages.flat().toSorted((a, b) => a - b),
    );
  });

  promise('all ids are told page by page', async deployment => {
    const [one, two] = [await instance(deployment, 'a'), await instance(deployment, 'b')];
    await one.write(batch => [put(batch, 1), put(batch, 2)]);
    await two.write(batch => put(batch, 3));
    const first = await two.store.ids(0, 2);
    assert.deepEqual([...first.ids], [...idOf(1), ...idOf(2)]);
    const rest = await two.store.ids(first.lastSeq, 2);
    assert.deepEqual([...rest.ids], [...idOf(3)]);
    assert.deepEqual(await two.store.ids(rest.lastSeq, 2), { ids: new Uint8Array(0), lastSeq: rest.lastSeq });
  });

  promise('one holds the lease of the checker, and only it reports', async deployment => {
    const [one, two] = [await instance(deployment, 'a'), await instance(deployment, 'b')];
    assert.equal(await one.store.report(0, true, 5), false);
    const taken = await Promise.all([one, two].map(each => each.store.takeChecker('')));
    assert.deepEqual(taken.toSorted(), [false, true]);
    const [holder, other] = taken[0] ? [one, two] : [two, one];
    const [name, otherName] = taken[0] ? ['a', 'b'] : ['b', 'a'];
    assert.equal(await holder.store.report(0, true, 5), true);
    assert.equal(await other.store.report(0, false, 0), false);
    assert.deepEqual((await other.store.look()).health[0], { failing: true, minResponseMs: 5, version: 1 });
    assert.equal(await other.store.takeChecker(name), true);
    assert.equal((await holder.store.look()).checker, otherName);
    await other.store.leave();
    assert.equal((await holder.store.look()).checker, '');
    assert.equal(await holder.store.takeChecker(''), true);
  });

  promise('a beat is seen by all, with what the instance publishes', async deployment => {
    const [one, two] = [await instance(deployment, 'a'), await instance(deployment, 'b')];
    const before = (await two.store.look()).instances[0]!;
    await one.store.beat(1, '{"depth":3}');
    const now = (await two.store.look()).instances[0]!;
    assert.equal(now.beat, before.beat + 1);
    assert.deepEqual([now.name, now.alive, now.figures], ['a', true, '{"depth":3}']);
    await one.store.leave();
    assert.equal((await two.store.look()).instances[0]!.alive, false);
  });

  promise('a log is replayed once, and not while its instance lives', async deployment => {
    const [one, two] = [await instance(deployment, 'a'), await instance(deployment, 'b')];
    await one.write(batch => put(batch, 1, { state: 1, processor: 0, requestedAtMs: 5 }));
    const logged = [1, 2, 3].map(n => ({
      generation: 1,
      term: 1,
      id: idOf(n),
      cents: n,
      acceptedAtMs: 100 + n,
    }));
    deployment.log('a', logged.slice(0, 2));
    deployment.log('a', logged.slice(2));
    deployment.log('a', [{ generation: 7, term: 1, id: idOf(4), cents: 4, acceptedAtMs: 104 }]);
    assert.equal(await two.store.replay('a'), 0);
    await one.store.leave();
    assert.equal(await two.store.replay('a'), 2);
    assert.equal(await two.store.replay('a'), 0);
    assert.equal((await two.store.find(idOf(1)))?.state, 1, 'what is there already stays as it is');
    assert.deepEqual(
      (await two.store.adopt('a', 9)).map(each => [each.cents, each.acceptedAtMs, each.state]).toSorted(),
      [
        [1990, 1000, 1],
        [2, 102, 0],
        [3, 103, 0],
      ],
    );
    const again = await instance(deployment, 'a');
    assert.equal(await again.store.replay('a'), 0);
  });

  promise('what may have been sent before the machine started anew is pinned', async deployment => {
    const one = await instance(deployment, 'a');
    const to = { acceptedAtMs: 100, requestedAtMs: 120 };
    await one.write(batch => {
      put(batch, 1, { acceptedAtMs: 100 });
      put(batch, 2, { ...to, state: 0, processor: 1, attempts: 6, tries: 0 });
      put(batch, 3, { ...to, state: 1, processor: 0, attempts: 2, tries: 2 });
      put(batch, 4);
    });
    await one.write(batch => settleRow(batch, { seq: 4 }));
    assert.deepEqual([one.joined.term, one.joined.pinned], [1, 0]);

    const again = await instance(deployment, 'b', { boot: 'second' });
    assert.deepEqual([again.joined.term, again.joined.pinned], [2, 2]);
    const [first, second, third] = await one.store.take(0, 10);
    assert.deepEqual(
      [first, second, third].map(each => [
        ...[each?.state, each?.processor, each?.requestedAtMs],
        ...[each?.attempts, each?.tries],
      ]),
      [
        [2, 0, 100, 1, 0],
        [2, 1, 120, 6, 0],
        [1, 0, 120, 2, 2],
      ],
    );
    assert.equal((await one.store.find(idOf(4)))?.state, 3);
    const { joined } = await instance(deployment, 'c', { boot: 'second' });
    assert.deepEqual([joined.term, joined.pinned], [2, 0], 'once');
  });

  promise('what was logged before the machine started anew is put as pinned', async deployment => {
    const logged = [1, 2].map(n => ({
      generation: 1,
      term: n,
      id: idOf(n),
      cents: n,
      acceptedAtMs: 100 + n,
    }));
    await instance(deployment, 'a');
    for (const payment of logged) deployment.log('a', [payment]);
    const again = await instance(deployment, 'a', { boot: 'second' });
    assert.equal(await again.store.replay('a'), 2);
    assert.deepEqual(
      (await again.store.take(0, 9)).map(each => [each.state, each.processor, each.requestedAtMs]),
      [
        [2, 0, 101],
        [0, undefined, 0],
      ],
    );
  });

  promise('nothing is pinned if all had left before the machine started anew', async deployment => {
    const one = await instance(deployment, 'a');
    await one.write(batch => put(batch, 1));
    await one.store.leave();
    const { joined } = await instance(deployment, 'a', { boot: 'second' });
    assert.deepEqual([joined.term, joined.pinned], [1, 0]);
  });

  promise('nothing is pinned if all waited for their disk', async deployment => {
    const one = await instance(deployment, 'a', { durable: 'power' });
    await one.write(batch => put(batch, 1));
    const { joined } = await instance(deployment, 'b', { boot: 'second' });
    assert.deepEqual([joined.term, joined.pinned], [1, 0]);
    const again = await instance(deployment, 'b', { boot: 'third' });
    assert.deepEqual([again.joined.term, again.joined.pinned], [2, 1], 'b did not');
  });

  promise('what may have been sent before the store broke is pinned, once', async deployment => {
    const one = await instance(deployment, 'a');
    await one.write(batch => put(batch, 1));
    const joined = [];
    for (const name of ['a', 'b']) joined.push((await instance(deployment, name, { brokenTerm: 1 })).joined);
    assert.deepEqual(
      joined.map(({ term, pinned }) => [term, pinned]),
      [
        [2, 1],
        [2, 0],
      ],
    );
  });

  promise('what broke in a term that another one began is found to have', async deployment => {
    const store = await deployment.open();
    opened.push(store);
    const one = asked(store);
    await one.join('a');
    const other = await instance(deployment, 'b', { brokenTerm: 1 });
    assert.deepEqual([other.joined.term, other.joined.pinned], [2, 0]);
    await other.write(batch => put(batch, 1));
    assert.equal((await one.look()).term, 2);

    await store.reopen();
    const { term, pinned } = await one.join('a');
    assert.deepEqual([term, pinned], [3, 1]);
  });

  promise('a term that was lost itself is no reason to pin nothing', async deployment => {
    const one = await instance(deployment, 'a');
    await one.write(batch => put(batch, 1));
    const { joined } = await instance(deployment, 'a', { brokenTerm: 2 });
    assert.deepEqual([joined.term, joined.pinned], [2, 1]);
  });

  promise('answers come in the order of the questions, each once', async deployment => {
    const store = await deployment.open();
    opened.push(store);
    const order: string[] = [];
    await new Promise<void>(done => {
      store.join('a', () => order.push('join'));
      store.look(() => order.push('look'));
      store.summary(0, 1, () => order.push('summary'));
      store.sync(() => order.push('sync'));
      store.take(0, 1, () => done());
      assert.deepEqual(order, [], 'never within the call');
    });
    assert.deepEqual(order, ['join', 'look', 'summary', 'sync']);
  });

  promise('who has left is told so', async deployment => {
    const one = await instance(deployment, 'a');
    const answers = [one.store.leave(), one.store.look()];
    assert.equal(await answers[0], true);
    await assert.rejects(answers[1]!, { reason: 'broken' });
    await assert.rejects(one.store.look(), { reason: 'broken' });
  });
}
