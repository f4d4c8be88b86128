/** What becomes of the payments of the dead. */
import assert from 'node:assert/strict';
import { SENT, type StoredPayment, WAITING } from '../../domain/payment.ts';
import { DONE, KNOWN } from '../ports.ts';
import { declareDead, instance, type MemberStore, promise, two, unsettled } from './engines.ts';

const numbersOf = (payments: readonly StoredPayment[]): number[] => payments.map(({ id }) => id[15]!);

/** 40 payments, in every share; those that are even are sent to default. */
async function fill(one: MemberStore, first = 1): Promise<number[]> {
  const numbers = Array.from({ length: 40 }, (_, index) => first + index);
  await one.write(rows => {
    for (const n of numbers) {
      if (n % 2) rows.put(n);
      else rows.put(n, { state: SENT, processor: 0, requestedAtMs: 70 + n, attempts: 1, tries: 1 });
    }
  });
  return numbers;
}

promise('all that a dead instance had to settle is adopted, as it was, and only then', async deployment => {
  const [one, other] = await two(deployment);
  const numbers = await fill(one);
  const [first, ...left] = await one.owned();
  await one.write(rows => rows.settle(first!, { requestedAtMs: 71 }));
  assert.equal(await other.store.adopt('a'), 0, 'it lives');
  assert.equal(await other.store.adopt('nobody'), 0);
  assert.deepEqual(await unsettled(one), { a: 39, b: 0 });
  await one.store.leave();
  assert.deepEqual(await other.owned(), []);
  assert.equal(await other.store.adopt('a'), 39);
  assert.equal(await other.store.adopt('a'), 0);
  assert.deepEqual(await other.owned(), left);
  assert.deepEqual(numbersOf(left), numbers.slice(1));
  assert.deepEqual(await unsettled(other), { a: 0, b: 39 });
});

promise('what was adopted is settled by its heir alone, however old it is', async deployment => {
  const [one, other] = await two(deployment);
  await fill(one);
  await deployment.index();
  await one.write(rows => rows.put(100));
  await deployment.index();
  await declareDead(other, 'a');
  const [late] = await one.owned();
  assert.equal(await other.store.adopt('a'), 41);
  const again = await instance(deployment, 'a');
  assert.deepEqual(await again.owned(), []);
  assert.deepEqual(await again.write(rows => [rows.settle(late!), rows.mark(late!)]), [KNOWN, KNOWN]);
  const all = await other.owned();
  assert.equal(all.length, 41);
  assert.deepEqual(
    await other.write(rows => all.map(payment => rows.settle(payment, { requestedAtMs: 5 }))),
    all.map(() => DONE),
  );
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(await other.owned(), []);
    assert.equal((await again.store.summary(5, 5)).default.count, 41);
    assert.deepEqual(await unsettled(other), { a: 0, b: 0 });
    await deployment.index();
  }
});

promise('of two that adopt one does', async deployment => {
  const [one, other] = await two(deployment);
  const third = await instance(deployment, 'c');
  await fill(one);
  await one.store.leave();
  const adopted = await Promise.all([other, third].map(({ store }) => store.adopt('a')));
  assert.deepEqual(adopted.toSorted(), [0, 40]);
  const owned = await Promise.all([other, third].map(each => each.owned()));
  assert.deepEqual(
    owned.map(({ length }) => length),
    adopted,
  );
});

promise('an instance that crashes again and again finds its own again', async deployment => {
  let numbers: number[] = [];
  let one = await instance(deployment, 'a');
  for (let crash = 0; crash < 3; crash++) {
    numbers = [...numbers, ...(await fill(one, 1 + crash * 40))];
    if (crash === 1) await deployment.index();
    one = await instance(deployment, 'a');
    assert.deepEqual(numbersOf(await one.owned()), numbers);
  }
  const all = await one.owned();
  assert.deepEqual(
    await one.write(rows => all.map(payment => rows.settle(payment))),
    all.map(() => DONE),
  );
  assert.deepEqual(await unsettled(one), { a: 0 });
});

promise('what a dead heir had adopted goes on to the next one', async deployment => {
  const [one, other] = await two(deployment);
  const third = await instance(deployment, 'c');
  const numbers = [...(await fill(one)), ...(await fill(other, 51))];
  await declareDead(other, 'a');
  assert.equal(await other.store.adopt('a'), 40);
  await deployment.index();
  await declareDead(third, 'b');
  assert.equal(await third.store.adopt('b'), 80);
  assert.deepEqual(numbersOf(await third.owned()), numbers);
  // Two crashes in a row, of the heir itself.
  await instance(deployment, 'c');
  const again = await instance(deployment, 'c');
  assert.deepEqual(numbersOf(await again.owned()), numbers);
  assert.deepEqual(await unsettled(again), { a: 0, b: 0, c: 80 });
  const [first] = await again.owned();
  assert.equal(first?.state, WAITING);
  assert.deepEqual(await again.write(rows => rows.mark(first!)), [DONE]);
});

promise('a restarted instance is not given what another one has adopted', async deployment => {
  const [one, other] = await two(deployment);
  const [first] = await fill(one);
  await declareDead(other, 'a');
  await other.store.adopt('a');
  const again = await instance(deployment, 'a');
  assert.deepEqual(await again.owned(), []);
  await fill(again, 51);
  assert.deepEqual(await unsettled(again), { a: 40, b: 40 });
  assert.equal((await other.owned())[0]!.id[15], first);
});
