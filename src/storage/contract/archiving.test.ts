/** What leaves the store for the archive, and what stays of it: ids that are refused, sums, a look-up. */
import assert from 'node:assert/strict';
import { totalCents } from '../../domain/money.ts';
import { idText, SETTLED, type Summary } from '../../domain/payment.ts';
import { seededBelow } from '../../domain/random.ts';
import { idOf, seed } from '../../testing/stores.ts';
import { DAY_MS, dayStart } from '../archive/archive-line.ts';
import type { Inspection, SettledPage } from '../inspection.ts';
import { KNOWN, OTHER_AMOUNT, promised } from '../ports.ts';
import { instance, type MemberStore, promiseOfArchive } from './engines.ts';

const NOON = Date.UTC(2026, 6, 10, 12);
const COUNT = 400;
const FOR_EVER = Number.NEGATIVE_INFINITY;

interface Paid {
  readonly n: number;
  readonly atMs: number;
  readonly cents: number;
  readonly processor: 0 | 1;
}

/** Accepts and settles them, in the order of time. */
async function settle(one: MemberStore, paid: readonly Paid[]): Promise<void> {
  for (let from = 0; from < paid.length; from += 50) {
    const some = paid.slice(from, from + 50);
    await one.write(rows => {
      for (const { n, cents, atMs } of some) rows.put(n, { cents, acceptedAtMs: atMs - 5 });
    });
    const all = await one.payments(...some.map(({ n }) => n));
    await one.write(rows => {
      for (const [at, { processor, atMs }] of some.entries())
        rows.settle(all[at]!, {
          processor,
          requestedAtMs: atMs,
          settledAtMs: atMs + 5,
          attempts: 1 + (at % 3),
        });
    });
  }
}

/** At random instants of four days, a few with amounts that fill a sum, a few in one millisecond. */
function paidIn(count: number, below: (bound: number) => number): Paid[] {
  const times = Array.from({ length: count }, () =>
    below(10) === 0 ? dayStart(NOON) + DAY_MS : NOON + below(4 * DAY_MS),
  );
  return times
    .sort((one, other) => one - other)
    .map((atMs, at) => ({
      ...{ n: at + 1, atMs, processor: below(4) === 0 ? 1 : 0 },
      cents: below(10) === 0 ? 999_999_999_999 : 1 + below(100_000),
    }));
}

function account(paid: readonly Paid[], fromMs: number, toMs: number, asOf: (it: Paid) => number): bigint[] {
  const sums = [0n, 0n, 0n, 0n];
  for (const it of paid) {
    const atMs = asOf(it);
    if (atMs < fromMs || atMs > toMs) continue;
    sums[it.processor]! += 1n;
    sums[it.processor + 2]! += BigInt(it.cents);
  }
  return sums;
}

const flat = ({ default: one, fallback: other }: Summary): bigint[] => [
  ...[BigInt(one.count), BigInt(other.count), totalCents(one), totalCents(other)],
];

promiseOfArchive(
  'what is old goes to files; sums stay, ids are refused, and a look-up answers',
  async (deployment, archive) => {
    const one = await instance(deployment, 'a');
    const below = seededBelow(seed);
    const paid = paidIn(COUNT, below);
    await settle(one, paid.slice(0, 45));
    // These stay whatever their age is.
    await one.write(rows => {
      for (const n of [5001, 5002, 5003]) rows.put(n, { acceptedAtMs: NOON });
    });
    const [held, closed] = await one.payments(5002, 5003);
    await one.write(rows => rows.hold(held!, { retryAtMs: Number.POSITIVE_INFINITY }));
    const act = { kind: 'close', id: closed!.id, processor: undefined, requestedAtMs: 0, atMs: 9 } as const;
    assert.equal(await one.store.act({ ...act, who: 'test', text: 'because' }), 'done');
    await settle(one, paid.slice(45));
    await deployment.index();

    const beforeMs = NOON + 2 * DAY_MS;
    const exactFromMs = dayStart(NOON) + DAY_MS + 7_777_777;
    const isDue = (it: Paid): boolean => it.atMs + 5 < beforeMs;
    for (let pass = 0; pass < 2; pass++) {
      await archive.pass([beforeMs, FOR_EVER, exactFromMs]);
      assert.deepEqual(
        archive.ids().toSorted(),
        paid
          .filter(isDue)
          .map(({ n }) => idText(idOf(n)))
          .toSorted(),
      );
      const asOf = (it: Paid): number => {
        if (!isDue(it)) return it.atMs;
        const start = dayStart(it.atMs);
        return it.atMs < exactFromMs ? start : Math.max(start, exactFromMs);
      };
      for (let window = 0; window < 150; window++) {
        let [from, to] = [NOON + below(5 * DAY_MS) - DAY_MS, NOON + below(5 * DAY_MS) - DAY_MS];
        if (window % 3 === 0) [from, to] = [dayStart(from), dayStart(to) - 1 + (window % 2)];
        if (window % 5 === 0) from = exactFromMs;
        if (window % 7 === 0) from = Number.NEGATIVE_INFINITY;
        if (window % 11 === 0) to = Number.POSITIVE_INFINITY;
        assert.deepEqual(
          flat(await one.store.summary(from, to)),
          account(paid, from, to, asOf),
          `${from} ${to}`,
        );
        if (from === exactFromMs || from === Number.NEGATIVE_INFINITY)
          if (to === Number.POSITIVE_INFINITY || to >= beforeMs)
            assert.deepEqual(
              flat(await one.store.summary(from, to)),
              account(paid, from, to, it => it.atMs),
            );
      }
    }
    for (const { n, cents, atMs, processor } of paid) {
      const found = await one.payment(n);
      assert.deepEqual(
        [found.state, found.cents, found.requestedAtMs, found.processor, found.acceptedAtMs, found.attempts],
        [SETTLED, cents, atMs, processor, atMs - 5, 1 + (((n - 1 < 45 ? n - 1 : n - 46) % 50) % 3)],
      );
    }
    const again = await one.write(rows => {
      for (const { n, cents } of paid) rows.put(n, { cents: n % 2 === 0 ? cents : cents + 1 });
    });
    assert.deepEqual(
      again,
      paid.map(({ n }) => (n % 2 === 0 ? KNOWN : OTHER_AMOUNT)),
    );
    const states = (await one.payments(5001, 5002, 5003)).map(({ state }) => state);
    assert.deepEqual(states, [0, 0, 4]);
    assert.deepEqual(
      (await one.owned()).map(({ id }) => idText(id)),
      [idText(idOf(5001))],
    );
  },
);

promiseOfArchive(
  'what was settled later goes later, and the pages of what is there have each once',
  async (deployment, archive) => {
    const one = await instance(deployment, 'a');
    const numbers = Array.from({ length: 100 }, (_, at) => at + 1);
    await one.write(rows => {
      for (const n of numbers) rows.put(n, { acceptedAtMs: 1000 });
    });
    const settleSome = async (isMeant: (n: number) => boolean, atMs: number): Promise<void> => {
      const payments = await one.payments(...numbers.filter(isMeant));
      await one.write(rows => {
        for (const each of payments) rows.settle(each, { requestedAtMs: atMs, settledAtMs: atMs });
      });
      await deployment.index();
    };
    const settledNow = async (): Promise<string[]> => {
      const found: string[] = [];
      for (let after = 0; ; ) {
        const page = await promised<SettledPage>(reply =>
          (one.raw as unknown as Inspection).settled(after, 7, reply),
        );
        found.push(...page.payments.map(({ correlationId }) => correlationId));
        after = page.after;
        if (after === 0) return found.toSorted();
      }
    };
    const idsOf = (isMeant: (n: number) => boolean): string[] =>
      numbers
        .filter(isMeant)
        .map(n => idText(idOf(n)))
        .toSorted();
    await settleSome(n => n % 3 === 0, 2000);
    await archive.pass([5000, FOR_EVER, 0]);
    assert.deepEqual(
      archive.ids().toSorted(),
      idsOf(n => n % 3 === 0),
    );
    await settleSome(n => n % 3 === 1, 6000);
    assert.deepEqual(
      await settledNow(),
      idsOf(n => n % 3 === 1),
    );
    await one.write(rows => rows.put(200, { acceptedAtMs: 9000 }));
    await archive.pass([5000, FOR_EVER, 0]);
    assert.deepEqual(archive.ids().length, 33);
    assert.deepEqual(
      await settledNow(),
      idsOf(n => n % 3 === 1),
    );
    await archive.pass([8000, FOR_EVER, 0]);
    assert.deepEqual(
      archive.ids().toSorted(),
      idsOf(n => n % 3 !== 2),
    );
    assert.deepEqual(await settledNow(), []);
    assert.equal((await one.owned()).length, 34);
  },
);

promiseOfArchive(
  'ids that are too old are forgotten, and the sums of theirs stay',
  async (deployment, archive) => {
    const one = await instance(deployment, 'a');
    const paid = paidIn(COUNT, seededBelow(seed + 1));
    await settle(one, paid);
    await deployment.index();
    const idsBeforeMs = NOON + DAY_MS;
    await archive.pass([NOON + 5 * DAY_MS, idsBeforeMs, 0]);
    for (const { n, atMs } of paid)
      assert.equal((await one.store.find(idOf(n))) === undefined, atMs < idsBeforeMs, `${n} at ${atMs}`);
    const all = flat(await one.store.summary(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY));
    assert.deepEqual(
      all,
      account(paid, FOR_EVER, Number.POSITIVE_INFINITY, it => it.atMs),
    );
    const [first] = await one.write(rows => rows.put(1, { cents: 5 }));
    assert.ok(first! > 0, 'it is a new payment');
  },
);

promiseOfArchive('a purge forgets what is archived, too', async (deployment, archive) => {
  const one = await instance(deployment, 'a');
  await settle(one, paidIn(100, seededBelow(seed + 2)));
  await deployment.index();
  await archive.pass([NOON + 5 * DAY_MS, FOR_EVER, 0]);
  await one.store.purge();
  assert.equal(await one.store.find(idOf(1)), undefined);
  assert.deepEqual(flat(await one.store.summary(FOR_EVER, Number.POSITIVE_INFINITY)), [0n, 0n, 0n, 0n]);
});
