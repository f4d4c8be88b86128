/** What a purge forgets, and what comes of it afterwards. */
import assert from 'node:assert/strict';
import { emptyTotal } from '../../domain/money.ts';
import { SENT } from '../../domain/payment.ts';
import { idOf } from '../../testing/stores.ts';
import { FORGOTTEN } from '../ports.ts';
import { type Deployment, instance, type MemberStore, promise, two, unsettled } from './engines.ts';

const NOTHING = { default: emptyTotal(), fallback: emptyTotal() };

/** Three payments, of which the first is settled and the second sent; what of that is indexed differs. */
async function begun(deployment: Deployment, isIndexed: boolean): Promise<[MemberStore, MemberStore]> {
  const [one, other] = await two(deployment);
  await one.write(rows => [rows.put(1), rows.put(2), rows.put(3)]);
  const [first, second] = await one.payments(1, 2);
  if (isIndexed) await deployment.index();
  await one.write(rows => [rows.settle(first!, { requestedAtMs: 9 }), rows.mark(second!)]);
  if (isIndexed) await deployment.index();
  return [one, other];
}

for (const isIndexed of [false, true]) {
  const where = isIndexed ? 'indexed' : 'not indexed yet';

  promise(`a purge forgets what was, ${where}`, async deployment => {
    const [one, other] = await begun(deployment, isIndexed);
    await other.store.takeChecker('');
    await other.store.report(1, true, 40);
    assert.equal(await other.store.purge(), 2);
    for (let round = 0; round < 3; round++) {
      for (const each of [one, other]) {
        assert.deepEqual(await each.store.summary(-Infinity, Infinity), NOTHING);
        for (const n of [1, 2, 3]) assert.equal(await each.store.find(idOf(n)), undefined);
        assert.deepEqual(await each.owned(), []);
        assert.deepEqual(await unsettled(each), { a: 0, b: 0 });
      }
      const shared = await one.store.look();
      assert.equal(shared.generation, 2);
      assert.equal(shared.checker, 'b');
      assert.equal(shared.health[1].minResponseMs, 40);
      await deployment.index();
    }
  });

  promise(`what comes of a payment that was purged is forgotten, ${where}`, async deployment => {
    const [one, other] = await begun(deployment, isIndexed);
    const [, second] = await one.payments(1, 2);
    await other.store.purge();
    const late = one.batch(rows => {
      rows.put(4);
      rows.settle(second!);
      rows.mark(second!);
      rows.attempt(second!);
    }, 1);
    const { generation, results } = await one.store.write(late);
    assert.deepEqual([generation, ...results], [2, FORGOTTEN, FORGOTTEN, FORGOTTEN, FORGOTTEN]);
    assert.equal(await one.store.find(idOf(4)), undefined);
    assert.deepEqual(await one.store.summary(-Infinity, Infinity), NOTHING);
  });

  promise(`what was purged is accepted anew, with another amount too, ${where}`, async deployment => {
    const [one, other] = await begun(deployment, isIndexed);
    assert.equal(await other.store.purge(), 2);
    const sent = { cents: 5, state: SENT, processor: 1, attempts: 1 };
    const [seq, next] = await one.write(rows => [rows.put(1, sent), rows.put(3)], 2);
    assert.ok(seq! > 3 && next! > seq!, 'no seq is given twice');
    for (let round = 0; round < 3; round++) {
      const found = await other.payment(1);
      assert.deepEqual([found.cents, found.state, found.processor], [5, SENT, 1]);
      assert.deepEqual(await unsettled(other), { a: 2, b: 0 });
      await deployment.index();
    }
    await one.write(async rows => rows.put(9), 2);
    const [first] = await one.payments(1);
    await one.write(rows => rows.settle(first!, { processor: 1, requestedAtMs: 9 }), 2);
    assert.equal((await other.store.summary(9, 9)).fallback.low, 5);
  });
}

promise(
  'each purge raises the generation, and its writers learn it from their next write',
  async deployment => {
    const [one, other] = await two(deployment);
    assert.equal(await one.store.purge(), 2);
    assert.equal(await other.store.purge(), 3);
    await deployment.index();
    assert.equal(await one.store.purge(), 4);
    const { generation, results } = await other.store.write(other.batch(rows => rows.put(1), 3));
    assert.deepEqual([generation, ...results], [4, FORGOTTEN]);
    assert.deepEqual(await other.write(rows => rows.put(1), 4), [1]);
    const generationOfOther = async (): Promise<number | undefined> =>
      (await one.store.look()).instances.find(({ name }) => name === 'b')?.generation;
    await other.store.beat('{}');
    assert.equal(await generationOfOther(), 1, 'what it holds may still be of the first');
    await other.store.join('b');
    assert.equal(await generationOfOther(), 4);
  },
);

promise(
  'an instance that joins behind a purge is of the new generation, and all see that',
  async deployment => {
    const [one] = await two(deployment);
    await one.write(rows => rows.put(1));
    await one.store.purge();
    const { joined, store } = await instance(deployment, 'c');
    assert.equal(joined.generation, 2);
    await one.store.join('a');
    const { instances } = await store.look();
    assert.deepEqual(
      instances.map(({ name, generation }) => [name, generation]),
      [
        ['a', 2],
        ['b', 1],
        ['c', 2],
      ],
    );
  },
);

promise('what the dead had was purged with the rest', async deployment => {
  const [one, other] = await begun(deployment, true);
  await one.store.leave();
  await other.store.purge();
  assert.equal(await other.store.adopt('a'), 0);
  assert.deepEqual(await (await instance(deployment, 'a')).owned(), []);
});
