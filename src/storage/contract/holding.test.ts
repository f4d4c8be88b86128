/** Payments that are held, and what operators do by hand. */
import assert from 'node:assert/strict';
import {
  CLOSED,
  HELD_AMOUNT,
  HELD_REFUSED,
  HELD_URL,
  PINNED,
  SETTLED,
  WAITING,
} from '../../domain/payment.ts';
import { heldPauseMaxMs } from '../../domain/settlement.ts';
import { idOf } from '../../testing/stores.ts';
import type { Act } from '../acts.ts';
import { DONE, KNOWN } from '../ports.ts';
import { declareDead, instance, type MemberStore, promise, two, unsettled } from './engines.ts';

const act = (n: number, kind: Act['kind'], more: Partial<Act> = {}): Act => ({
  ...{ kind, id: idOf(n), processor: undefined, requestedAtMs: 0, atMs: 5000, who: 'ana', text: 'as agreed' },
  ...more,
});

const due = async ({ store }: MemberStore, dueMs: number): Promise<number[]> =>
  (await store.takeHeld(dueMs, 100)).map(({ seq }) => seq);

promise('a held payment waits apart, with its reason and its pin, for when it is due', async deployment => {
  const [one, other] = await two(deployment);
  await one.write(rows => [1, 2, 3, 4].map(n => rows.put(n)));
  const payments = await one.payments(1, 2, 3, 4);
  await one.write(rows => {
    rows.hold(payments[0]!, { held: HELD_REFUSED, retryAtMs: 3000 });
    rows.hold(payments[1]!, { held: HELD_AMOUNT, retryAtMs: 2000, state: PINNED, processor: 1 });
    rows.hold(payments[2]!, { held: HELD_URL, retryAtMs: Infinity, state: PINNED });
  });
  for (const isIndexed of [false, true]) {
    if (isIndexed) for (let twice = 0; twice < 2; twice++) await deployment.index();
    const { state, held, retryAtMs, settledAtMs, processor } = await other.payment(2);
    assert.deepEqual([state, held, retryAtMs, settledAtMs, processor], [PINNED, HELD_AMOUNT, 2000, 0, 1]);
    assert.equal((await other.payment(3)).retryAtMs, Infinity);
    assert.deepEqual(
      (await one.owned()).map(({ seq }) => seq),
      [4],
    );
    assert.deepEqual([await due(one, 1999), await due(one, 2000)], [[], [2]]);
    assert.deepEqual([await due(one, 1e15), await due(other, 1e15)], [[2, 1], []]);
    assert.deepEqual(
      (await one.store.takeHeld(1e15, 1)).map(({ seq }) => seq),
      [2],
    );
    assert.deepEqual(await unsettled(one), { a: 4, b: 0 });
  }
  const held = await one.payment(1);
  assert.deepEqual(await one.write(rows => rows.mark(held, { requestedAtMs: 7 })), [DONE]);
  assert.equal((await one.payment(1)).held, HELD_REFUSED, 'an attempt lifts no hold');
  assert.deepEqual(await due(one, 0), [1], 'and makes it due until it is held anew');
  await one.write(rows => rows.settle(held, { settledAtMs: 9 }));
  const { state, held: after, settledAtMs } = await other.payment(1);
  assert.deepEqual([state, after, settledAtMs], [SETTLED, 0, 9]);
  assert.deepEqual(await due(one, 1e15), [2], 'nor is it due any more');
  await one.write(rows =>
    rows.hold(payments[1]!, { held: HELD_AMOUNT, retryAtMs: 4000, state: PINNED, processor: 1 }),
  );
  assert.deepEqual([await due(one, 3999), await due(one, 4000)], [[], [2]], 'held anew, it is due later');
});

promise('a pause that is longer than any was begun by another clock: it is over', async deployment => {
  const [one] = await two(deployment);
  await one.write(rows => [rows.put(1), rows.put(2)]);
  const payments = await one.payments(1, 2);
  await one.write(rows => {
    rows.hold(payments[0]!, { held: HELD_REFUSED, retryAtMs: 5000 + heldPauseMaxMs });
    rows.hold(payments[1]!, { held: HELD_URL, retryAtMs: Infinity });
  });
  for (let twice = 0; twice < 2; twice++) {
    assert.deepEqual([await due(one, 4999), await due(one, 5000)], [[1], []]);
    await deployment.index();
  }
});

promise('who adopts a dead instance has its held payments', async deployment => {
  const [one, other] = await two(deployment);
  await one.write(rows => [1, 2].map(n => rows.put(n)));
  const payment = await one.payment(1);
  await one.write(rows => rows.hold(payment, { held: HELD_REFUSED, retryAtMs: 10 }));
  for (let twice = 0; twice < 2; twice++) await deployment.index();
  await declareDead(other, 'a');
  assert.equal(await other.store.adopt('a'), 2);
  assert.deepEqual(await due(other, 10), [1]);
});

promise(
  'an operator has a payment tried again, settles and closes; each act is kept, and none is done twice',
  async deployment => {
    const [one, other] = await two(deployment);
    assert.equal(await other.store.act(act(9, 'close')), 'no such payment');
    await one.write(rows => [1, 2, 3, 4].map(n => rows.put(n, { cents: 100 * n })));
    const payments = await one.payments(1, 2, 3, 4);
    await one.write(rows => {
      for (const payment of payments.slice(0, 3)) rows.hold(payment, { held: HELD_REFUSED, retryAtMs: 10 });
      rows.mark(payments[3]!, { requestedAtMs: 5 });
    });
    for (let twice = 0; twice < 2; twice++) await deployment.index();
    assert.equal(await other.store.act(act(4, 'close')), 'on its way');
    assert.equal(await other.store.act(act(4, 'take-in')), 'done', 'it is only kept');
    assert.equal(await other.store.act(act(1, 'retry')), 'done');
    assert.equal(await other.store.act(act(2, 'settle', { processor: 1, requestedAtMs: 777 })), 'done');
    const text = `${'ü'.repeat(248)}€`;
    assert.equal(await other.store.act(act(3, 'close', { text })), 'done');
    const check = async (): Promise<void> => {
      assert.deepEqual(
        (await one.owned()).map(({ seq }) => seq),
        [4],
      );
      const [first, second, third] = await other.payments(1, 2, 3);
      assert.deepEqual([first!.state, first!.held, first!.retryAtMs], [WAITING, HELD_REFUSED, 0]);
      assert.deepEqual(
        [second!.state, second!.processor, second!.requestedAtMs, second!.settledAtMs],
        [SETTLED, 1, 777, 5000],
      );
      assert.deepEqual([third!.state, third!.reason], [CLOSED, text]);
      const { fallback } = await one.store.summary(777, 777);
      assert.deepEqual([fallback.count, fallback.high + fallback.low], [1, 200]);
      assert.deepEqual(await unsettled(other), { a: 2, b: 0 });
      assert.deepEqual(await due(one, 0), [1]);
    };
    await check();
    await deployment.index();
    await check();
    await deployment.index();
    await check();
    assert.equal(await one.store.act(act(2, 'close')), 'settled');
    assert.equal(await one.store.act(act(3, 'settle', { processor: 0, requestedAtMs: 1 })), 'closed');
    assert.deepEqual(
      await one.write(rows => [2, 3].map(n => rows.mark(payments[n - 1]!, { requestedAtMs: 8 }))),
      [KNOWN, KNOWN],
    );
    assert.deepEqual(await one.write(rows => [rows.put(3, { cents: 300 })]), [KNOWN], 'its id stays refused');
  },
);

promise('a payment that a processor has already comes in pinned to it', async deployment => {
  const [one, other] = await two(deployment);
  const pinned = { state: PINNED, processor: 1, requestedAtMs: 5, attempts: 1 } as const;
  await one.write(rows => [rows.put(1, pinned)]);
  for (let twice = 0; twice < 2; twice++) {
    const { state, processor, requestedAtMs, attempts } = await other.payment(1);
    assert.deepEqual([state, processor, requestedAtMs, attempts], [PINNED, 1, 5, 1]);
    assert.equal((await other.store.pinnedTo(1, 10)).length, 1);
    await deployment.index();
  }
});

promise('what is settled by hand counts when its processor was asked for it', async deployment => {
  const [one, other] = await two(deployment);
  await one.write(rows => [rows.put(1)]);
  const [payment] = await one.payments(1);
  await one.write(rows => rows.hold(payment!, { held: HELD_REFUSED, retryAtMs: 9, requestedAtMs: 5 }));
  const settle = act(1, 'settle', { processor: 0, requestedAtMs: 5e7 });
  assert.equal(await other.store.act(settle), 'done');
  for (let twice = 0; twice < 2; twice++) {
    const windows = [
      [0, 4e7],
      [4e7, 6e7],
      [6e7, 9e7],
    ] as const;
    const counts = windows.map(async ([from, to]) => (await one.store.summary(from, to)).default.count);
    assert.deepEqual(await Promise.all(counts), [0, 1, 0]);
    await deployment.index();
  }
});

promise('an act on a settled payment is kept, and changes nothing', async deployment => {
  const [one, other] = await two(deployment);
  await one.write(rows => [1, 2].map(n => rows.put(n, { cents: 100 * n })));
  const payments = await one.payments(1, 2);
  assert.equal(await other.store.act(act(1, 'resend')), 'not settled');
  await one.write(rows => {
    for (const payment of payments) {
      rows.mark(payment, { requestedAtMs: 5 });
      rows.settle(payment, { requestedAtMs: 5, settledAtMs: 9 });
    }
  });
  const check = async (): Promise<void> => {
    assert.deepEqual(
      (await other.payments(1, 2)).map(({ state, settledAtMs }) => [state, settledAtMs]),
      [
        [SETTLED, 9],
        [SETTLED, 9],
      ],
    );
    const total = (await one.store.summary(-Infinity, Infinity)).default;
    assert.deepEqual([total.count, total.high + total.low], [2, 300]);
    assert.deepEqual(await unsettled(other), { a: 0, b: 0 });
  };
  await check();
  assert.equal(await other.store.act(act(1, 'resend', { processor: 0, requestedAtMs: 5 })), 'done');
  await check();
  for (let twice = 0; twice < 2; twice++) await deployment.index();
  await check();
  assert.equal(await other.store.act(act(2, 'resend', { processor: 0, requestedAtMs: 5 })), 'done');
  await check();
  await deployment.index();
  await check();
});

promise(
  'the addresses of the processors are remembered, and what one of them may have is found',
  async deployment => {
    const [one, other] = await two(deployment);
    assert.equal(await one.store.urls(), undefined);
    const urls = ['http://a', 'http://b/path'] as const;
    await other.store.rememberUrls(urls);
    await one.write(rows => [1, 2, 3, 4].map(n => rows.put(n)));
    const payments = await one.payments(1, 2, 3, 4);
    await one.write(rows => {
      rows.mark(payments[0]!, { processor: 1, requestedAtMs: 5 });
      rows.mark(payments[1]!, { processor: 0, requestedAtMs: 5 });
      rows.mark(payments[2]!, { processor: 0, requestedAtMs: 5 });
      rows.attempt(payments[2]!, { state: PINNED, requestedAtMs: 5 });
    });
    const pinnedTo = async (processor: 0 | 1): Promise<number[]> =>
      (await other.store.pinnedTo(processor, 100)).map(({ seq }) => seq).toSorted();
    for (let twice = 0; twice < 2; twice++) {
      assert.deepEqual([await pinnedTo(0), await pinnedTo(1)], [[2, 3], [1]]);
      await deployment.index();
    }
    assert.equal((await other.store.pinnedTo(0, 1)).length, 1);
    for (const n of [2, 3]) assert.equal(await other.store.act(act(n, 'hold')), 'done');
    assert.deepEqual(await pinnedTo(0), []);
    for (let twice = 0; twice < 2; twice++) {
      const { held, retryAtMs } = await one.payment(3);
      assert.deepEqual([held, retryAtMs], [HELD_URL, Infinity]);
      assert.deepEqual(await due(one, 1e15), []);
      await deployment.index();
    }
    assert.equal(await one.store.act(act(2, 'settle', { processor: 0, requestedAtMs: 7 })), 'done');
    assert.equal(await one.store.act(act(3, 'retry')), 'done');
    assert.deepEqual(await due(one, 0), [3]);
    assert.deepEqual(await one.store.urls(), urls);
    assert.deepEqual(await (await instance(deployment, 'c')).store.urls(), urls);
  },
);
