/** What a batch does, and what it leaves as it is. */
import assert from 'node:assert/strict';
import type { StoredPayment } from '../../domain/payment.ts';
import { PINNED, SENT, SETTLED, WAITING } from '../../domain/payment.ts';
import { idOf } from '../../testing/stores.ts';
import { DONE, FORGOTTEN, KNOWN, OTHER_AMOUNT, StoreFault } from '../ports.ts';
import { declareDead, instance, promise, two, unsettled } from './engines.ts';

const at = 1_783_684_800_123;

promise('two instances accept one id once', async deployment => {
  const both = await two(deployment);
  const answers = await Promise.all(both.map(each => each.write(rows => rows.put(7))));
  const [lost, first] = answers.flat().toSorted((a, b) => a - b);
  assert.equal(lost, KNOWN);
  const [one, other] = both;
  const [second, ...known] = await one.write(rows => [rows.put(8), rows.put(8), rows.put(7)]);
  assert.deepEqual(known, [KNOWN, KNOWN]);
  await deployment.index();
  await deployment.index();
  const [seven, eight, third] = await other.write(rows => [rows.put(7), rows.put(8), rows.put(9)]);
  assert.deepEqual([seven, eight], [KNOWN, KNOWN]);
  // Of two that race, the one that loses may have used up a number.
  assert.ok(first! > 0 && second! > first! && third! > second!);
});

promise('of two amounts of one id exactly one is accepted', async deployment => {
  const [one, other] = await two(deployment);
  const answers = await Promise.all([
    one.write(rows => rows.put(7, { cents: 100 })),
    other.write(rows => rows.put(7, { cents: 200 })),
  ]);
  const [lost, seq] = answers.flat().toSorted((a, b) => a - b);
  assert.equal(lost, OTHER_AMOUNT);
  assert.ok(seq! > 0);
  const { cents } = await one.payment(7);
  assert.equal(cents, answers[0]![0]! > 0 ? 100 : 200);
  const amounts = async (): Promise<number[]> =>
    one.write(rows => [100, 200, 300].map(each => rows.put(7, { cents: each })));
  const expected = [100, 200, 300].map(each => (each === cents ? KNOWN : OTHER_AMOUNT));
  assert.deepEqual(await amounts(), expected);
  await deployment.index();
  await deployment.index();
  assert.deepEqual(await amounts(), expected, 'long ago');
});

promise('a payment comes back as it was accepted, sent, ended and settled', async deployment => {
  const [one, other] = await two(deployment);
  const cents = 999_999_999_999;
  await one.write(rows => rows.put(1, { cents, acceptedAtMs: at }));
  let expected: StoredPayment = await one.payment(1);
  assert.deepEqual(
    { ...expected, origin: 0 },
    {
      ...{ seq: 1, id: idOf(1), cents, acceptedAtMs: at, origin: 0, state: WAITING, processor: undefined },
      ...{
        requestedAtMs: 0,
        attempts: 0,
        tries: 0,
        settledAtMs: 0,
        held: 0,
        retryAtMs: 0,
        reason: '',
        isUncertain: false,
      },
    },
  );
  const check = async (changes: Partial<StoredPayment>): Promise<void> => {
    expected = { ...expected, ...changes };
    for (const each of [one, other]) assert.deepEqual(await each.payment(1), expected);
    assert.deepEqual(await one.owned(), expected.state === SETTLED ? [] : [expected]);
  };
  await check({});
  const sent = { requestedAtMs: at + 1, attempts: 1, tries: 1 };
  assert.deepEqual(await one.write(rows => rows.mark(expected, { processor: 0, ...sent })), [DONE]);
  await check({ state: SENT, processor: 0, ...sent });
  await deployment.index();
  await check({});
  const ended = { requestedAtMs: at + 1, attempts: 1, tries: 1 };
  assert.deepEqual(await one.write(rows => rows.attempt(expected, { state: WAITING, ...ended })), [DONE]);
  await check({ state: WAITING });
  const elsewhere = { processor: 1, requestedAtMs: at + 5, attempts: 2, tries: 0 } as const;
  await one.write(rows => rows.mark(expected, elsewhere));
  await check({ state: SENT, ...elsewhere });
  await one.write(rows => rows.attempt(expected, { state: PINNED, ...elsewhere }));
  await check({ state: PINNED });
  await deployment.index();
  await deployment.index();
  await check({});
  const booked = { processor: 1, requestedAtMs: at + 6, attempts: 3, settledAtMs: at + 9 } as const;
  assert.deepEqual(await one.write(rows => rows.settle(expected, booked)), [DONE]);
  await check({ state: SETTLED, ...booked });
  await deployment.index();
  await deployment.index();
  await check({});
  assert.equal(await one.store.find(idOf(3)), undefined);
});

promise('a payment is accepted and said to be sent in one batch', async deployment => {
  const [one, other] = await two(deployment);
  const sent = { state: SENT, processor: 0, requestedAtMs: at, attempts: 1, tries: 1 } as const;
  assert.deepEqual(await one.write(rows => [rows.put(1, sent), rows.put(2)]), [1, 2]);
  for (const each of [one, other]) {
    const found = await each.payment(1);
    assert.deepEqual({ ...found, ...sent }, found);
  }
  assert.deepEqual(await other.write(rows => rows.put(1, { ...sent, processor: 1 })), [KNOWN]);
  assert.equal((await one.payment(1)).processor, 0);
});

promise('an insert of a payment that is there changes nothing of it', async deployment => {
  const [one] = await two(deployment);
  await one.write(rows => [rows.put(1), rows.put(2, { state: SENT, processor: 1, attempts: 1 })]);
  for (let round = 0; round < 3; round++) {
    const before = await one.payments(1, 2);
    const sent = { state: SENT, processor: 0, attempts: 1, tries: 1, requestedAtMs: 7 };
    const again = await one.write(rows => [rows.put(1, sent), rows.put(2, { ...sent, cents: 5 })]);
    assert.deepEqual(again, [KNOWN, OTHER_AMOUNT]);
    assert.deepEqual(await one.payments(1, 2), before);
    await deployment.index();
  }
});

promise('a payment is found by all when the reply to its write comes', async deployment => {
  const [one, other] = await two(deployment);
  const batch = one.batch(rows => rows.put(1));
  const found = await new Promise<StoredPayment | StoreFault | undefined>(done => {
    one.raw.write(batch, () => other.raw.find(idOf(1), done));
  });
  assert.ok(found !== undefined && !(found instanceof StoreFault));
  assert.equal(found.seq, 1);
});

promise('a settlement is booked once, and only by the owner', async deployment => {
  const [one, other] = await two(deployment);
  await one.write(rows => [rows.put(1), rows.put(2)]);
  const [first, second] = await one.payments(1, 2);
  assert.ok(first !== undefined && second !== undefined);
  const once = { requestedAtMs: 5000 };
  assert.deepEqual(await other.write(rows => rows.settle(first, once)), [KNOWN]);
  assert.deepEqual(await other.write(rows => rows.mark(first)), [KNOWN]);
  const answers = await one.write(rows => [rows.settle(first, once), rows.settle(first, once)]);
  assert.deepEqual(answers, [DONE, KNOWN]);
  assert.deepEqual(await one.write(rows => rows.settle(first, once)), [KNOWN]);
  assert.deepEqual(await one.write(rows => rows.mark(first)), [KNOWN]);
  assert.deepEqual(await one.write(rows => rows.attempt(first)), [KNOWN]);
  assert.deepEqual(await other.store.summary(5000, 5000), {
    default: { count: 1, high: 0, low: 1990 },
    fallback: { count: 0, high: 0, low: 0 },
  });
  assert.deepEqual(await unsettled(one), { a: 1, b: 0 });
});

promise('a settled payment stays so, however long ago that was', async deployment => {
  const [one] = await two(deployment);
  await one.write(rows => rows.put(1));
  const payment = await one.payment(1);
  await one.write(rows => rows.settle(payment, { requestedAtMs: 5000 }));
  let last = payment.seq;
  for (const n of [2, 3, 4]) {
    await deployment.index();
    assert.deepEqual(await one.write(rows => rows.settle(payment, { requestedAtMs: 6000 })), [KNOWN]);
    assert.deepEqual(await one.write(rows => rows.mark(payment)), [KNOWN]);
    assert.deepEqual(await one.write(rows => rows.attempt(payment)), [KNOWN]);
    const [seq] = await one.write(rows => rows.put(n));
    assert.ok(seq! > last);
    last = seq!;
  }
  assert.equal((await one.payment(1)).state, SETTLED);
  assert.equal((await one.store.summary(-Infinity, Infinity)).default.count, 1);
  assert.deepEqual(await unsettled(one), { a: 3, b: 0 });
});

promise('nothing becomes of a payment that nobody accepted', async deployment => {
  const [one] = await two(deployment);
  await one.write(rows => rows.put(1));
  const nobody = { ...(await one.payment(1)), seq: 99, id: idOf(99) };
  for (const each of ['mark', 'attempt', 'settle'] as const) {
    assert.deepEqual(await one.write(rows => rows[each](nobody)), [KNOWN]);
  }
  assert.equal(await one.store.find(idOf(99)), undefined);
  assert.equal((await one.store.summary(-Infinity, Infinity)).default.count, 0);
});

promise('a batch that is refused changes nothing, whole as it is', async deployment => {
  const [one, other] = await two(deployment);
  await one.write(rows => [rows.put(1), rows.put(2)]);
  const [first, second] = await one.payments(1, 2);
  assert.ok(first !== undefined && second !== undefined);
  await declareDead(other, 'a');
  const late = one.write(rows => {
    rows.put(3);
    rows.put(4, { state: SENT, processor: 0, attempts: 1 });
    rows.mark(first);
    rows.settle(second);
    rows.attempt(first);
  });
  await assert.rejects(late, { reason: 'fenced' });
  assert.deepEqual(await other.payments(1, 2), [first, second]);
  for (const n of [3, 4]) assert.equal(await other.store.find(idOf(n)), undefined);
  assert.deepEqual(await unsettled(other), { a: 2, b: 0 });
});

promise(
  'a batch of an epoch that has passed changes nothing, from the same connection too',
  async deployment => {
    const one = await instance(deployment, 'a');
    const late = one.batch(rows => rows.put(1));
    await one.store.join('a');
    await assert.rejects(one.store.write(late), { reason: 'fenced' });
    assert.equal(await one.store.find(idOf(1)), undefined);
  },
);

promise('own unsettled payments are taken page by page, in order', async deployment => {
  const [one, other] = await two(deployment);
  const numbers = Array.from({ length: 30 }, (_, n) => n);
  for (const n of numbers) {
    await (n % 3 ? one : other).write(rows => rows.put(n));
    if (n === 20) await deployment.index();
  }
  const settled = await one.payments(1, 2, 4, 5, 7, 8, 10, 11, 25);
  // Of the first page all but nothing is left, which an index may not know yet.
  await one.write(rows => settled.map(payment => rows.settle(payment)));
  const left = numbers.filter(n => n % 3 > 0 && !settled.some(({ id }) => id[15] === n));
  for (let round = 0; round < 3; round++) {
    const pages: StoredPayment[][] = [];
    for (let after = 0; ; after = pages.at(-1)!.at(-1)!.seq) {
      const page = await one.store.take(after, 4);
      if (page.length === 0) break;
      pages.push(page);
    }
    assert.deepEqual(
      pages.flat().map(({ id }) => id[15]),
      left,
    );
    await deployment.index();
  }
});

promise('a batch that is written again changes nothing, and gets its first results', async deployment => {
  const [one, other] = await two(deployment);
  await one.write(rows => [rows.put(1), rows.put(2)]);
  await other.write(rows => rows.put(3));
  const [first, second] = await one.payments(1, 2);
  const sent = { processor: 0, requestedAtMs: at, attempts: 1, tries: 1 } as const;
  const batch = one.batch(rows => {
    rows.put(4);
    rows.put(3, { cents: 5 });
    rows.mark(first!, sent);
    rows.settle(second!, { ...sent, settledAtMs: at + 9 });
    rows.put(3);
  });
  const written = async (): Promise<number[]> => [...(await one.store.write(batch)).results];
  const expected = await written();
  assert.ok(expected[0]! > second!.seq);
  assert.deepEqual(expected.slice(1), [OTHER_AMOUNT, DONE, DONE, KNOWN]);
  const state = async (): Promise<unknown> => [
    await one.payments(1, 2, 3, 4),
    await unsettled(one),
    await one.store.summary(0, Infinity),
  ];
  await other.write(rows => rows.put(5));
  const after = await state();
  assert.deepEqual(await written(), expected);
  await one.store.beat('');
  await deployment.index();
  await deployment.index();
  assert.deepEqual(await written(), expected);
  assert.deepEqual(await state(), after);
  assert.equal((await one.payment(4)).seq, expected[0], 'nothing was counted twice');
});

promise('a batch that is written again by an instance that was fenced since is fenced', async deployment => {
  const [one, other] = await two(deployment);
  const batch = one.batch(rows => rows.put(1));
  await one.store.write(batch);
  await declareDead(other, 'a');
  await assert.rejects(one.store.write(batch), { reason: 'fenced' });
});

promise('a batch that is written again after a purge is forgotten', async deployment => {
  const [one, other] = await two(deployment);
  const batch = one.batch(rows => rows.put(1));
  await one.store.write(batch);
  const generation = await other.store.purge();
  const again = await one.store.write(batch);
  assert.deepEqual([again.generation, ...again.results], [generation, FORGOTTEN]);
  assert.equal(await one.store.find(idOf(1)), undefined);
});

promise('another session’s batch of the same number is another batch', async deployment => {
  const one = await instance(deployment, 'a');
  const [first] = await one.write(rows => rows.put(1));
  const again = await instance(deployment, 'a');
  const other = await instance(deployment, 'b');
  const [second] = await again.write(rows => rows.put(2));
  const [third] = await other.write(rows => rows.put(3));
  assert.ok(first! > 0 && second! > first! && third! > second!);
});
