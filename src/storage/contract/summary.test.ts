/** Totals: exact at every moment, wherever an engine is with its index. */

import assert from 'node:assert/strict';
import { emptyTotal, totalCents } from '../../domain/money.ts';
import { seededBelow } from '../../domain/random.ts';
import { seed } from '../../testing/stores.ts';
import { type MemberStore, promise, two } from './engines.ts';

const START = 1_783_684_800_000;

interface Booked {
  readonly at: number;
  readonly processor: 0 | 1;
  readonly cents: number;
}

/** Accepts and settles so many payments with random amounts within `spread` ms. */
async function book(
  one: MemberStore,
  below: (bound: number) => number,
  first: number,
  count: number,
  spread: number,
): Promise<Booked[]> {
  const numbers = Array.from({ length: count }, (_, index) => first + index);
  await one.write(rows => numbers.map(n => rows.put(n, { cents: 1 + below(999_999_999_999) })));
  const payments = await one.payments(...numbers);
  const booked = payments.map(({ cents }) => {
    return { at: START + below(spread), processor: below(2) as 0 | 1, cents };
  });
  await one.write(rows =>
    payments.forEach((payment, index) => {
      const { at, processor } = booked[index]!;
      rows.settle(payment, { requestedAtMs: at, processor });
    }),
  );
  return booked;
}

async function assertExact(
  one: MemberStore,
  booked: readonly Booked[],
  from = -Infinity,
  to = Infinity,
): Promise<void> {
  const summary = await one.store.summary(from, to);
  for (const processor of [0, 1] as const) {
    const within = booked.filter(each => each.processor === processor && each.at >= from && each.at <= to);
    const total = processor === 0 ? summary.default : summary.fallback;
    const sum = within.reduce((cents, each) => cents + BigInt(each.cents), 0n);
    assert.equal(total.count, within.length, `SEED=${seed} from ${from} to ${to}`);
    assert.equal(totalCents(total), sum, `SEED=${seed} from ${from} to ${to}`);
  }
}

promise('totals are exact on any window', async deployment => {
  const [one, other] = await two(deployment);
  const below = seededBelow(seed);
  const booked: Booked[] = [];
  for (const [round, spread] of [100, 5_000, 300_000, 86_400_000, 3e10, 1].entries()) {
    booked.push(...(await book(round % 2 ? one : other, below, 1 + round * 60, 60, spread)));
    // The last two are in no index yet.
    if (round < 4) await deployment.index();
  }
  const edges = [-Infinity, Infinity, 0, START - 1, ...booked.map(({ at }) => at)];
  for (let check = 0; check < 300; check++) {
    const from = edges[below(edges.length)]! - below(2);
    const to = edges[below(edges.length)]! + below(2);
    await assertExact(check % 2 ? one : other, booked, from, to);
  }
  await deployment.index();
  for (let check = 0; check < 50; check++) {
    await assertExact(one, booked, edges[below(edges.length)]!, edges[below(edges.length)]!);
  }
});

promise('a settlement is in the summary of all when the reply to its write comes', async deployment => {
  const [one, other] = await two(deployment);
  for (let n = 1; n <= 4; n++) {
    await one.write(rows => rows.put(n));
    const payment = await one.payment(n);
    const batch = one.batch(rows => rows.settle(payment, { requestedAtMs: 5 }));
    const counts = await new Promise<number[]>(done => {
      one.raw.write(batch, () => {
        const found: number[] = [];
        for (const { raw } of [one, other]) {
          raw.summary(5, 5, answer => {
            if ('default' in answer && found.push(answer.default.count) === 2) done(found);
          });
        }
      });
    });
    assert.deepEqual(counts, [n, n]);
    if (n % 2 === 0) await deployment.index();
  }
});

promise('a summary is exact while the index moves', async deployment => {
  const [one, other] = await two(deployment);
  const below = seededBelow(seed);
  const booked: Booked[] = [];
  for (let round = 0; round < 12; round++) {
    booked.push(...(await book(one, below, 1 + round * 10, 10, 1000)));
    const before = [...booked];
    deployment.beginIndex();
    const questions = [one, other, one, other].map(each => assertExact(each, before));
    if (round % 3 === 0) deployment.beginIndex();
    await Promise.all(questions);
  }
});

promise('a window that ends before it begins has nothing', async deployment => {
  const [one] = await two(deployment);
  await book(one, seededBelow(seed), 1, 10, 100);
  const nothing = { default: emptyTotal(), fallback: emptyTotal() };
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(await one.store.summary(START + 50, START + 49), nothing);
    assert.deepEqual(await one.store.summary(Infinity, -Infinity), nothing);
    await deployment.index();
  }
});
