/** Who is in: epochs, fences, beats, the checker's lease, and the terms that a loss begins. */
import assert from 'node:assert/strict';
import { PINNED, SENT, SETTLED, WAITING } from '../../domain/payment.ts';
import { asked, idOf } from '../../testing/stores.ts';
import { declareDead, instance, MemberStore, promise, promiseOfServers, two } from './engines.ts';

promise(
  'a join fences the earlier holder of the name, and takes what that had to settle',
  async deployment => {
    const one = await instance(deployment, 'a');
    await one.write(rows => [rows.put(1), rows.put(2)]);
    await one.write(async rows => rows.settle(await one.payment(1)));
    const again = await instance(deployment, 'a');
    assert.ok(again.joined.epoch > one.joined.epoch);
    await assert.rejects(
      one.write(rows => rows.put(3)),
      { reason: 'fenced' },
    );
    assert.deepEqual(
      (await again.owned()).map(({ id }) => id[15]),
      [1, 2],
    );
    assert.equal((await again.store.look()).instances.length, 1);
  },
);

promise('a fenced instance changes nothing', async deployment => {
  const [one, other] = await two(deployment);
  await one.write(rows => rows.put(1));
  const seen = (await other.store.look()).instances.find(each => each.name === 'a')!;
  await one.store.beat('{}');
  assert.equal(await other.store.fence('a', seen.epoch, seen.beat), false, 'it has beaten since');
  assert.equal(await other.store.fence('a', seen.epoch, seen.beat + 1), true);
  assert.equal(await other.store.fence('a', seen.epoch, seen.beat + 1), false, 'once is enough');
  const payment = await one.payment(1);
  const fenced = { reason: 'fenced' };
  await assert.rejects(
    one.write(rows => [rows.put(2), rows.settle(payment)]),
    fenced,
  );
  await assert.rejects(one.store.beat('{}'), fenced);
  await assert.rejects(one.store.adopt('b'), fenced);
  await assert.rejects(one.store.takeChecker(''), fenced);
  await assert.rejects(one.store.report(0, true, 1), fenced);
  await assert.rejects(one.store.purge(), fenced);
  await assert.rejects(one.store.fence('b', 1, 0), fenced);
  assert.equal(await other.store.find(idOf(2)), undefined);
  assert.deepEqual(await other.payment(1), payment);
});

promise('the intent of a fenced instance does not count, so it sends nothing', async deployment => {
  const [one, other] = await two(deployment);
  await one.write(rows => rows.put(1));
  const payment = await one.payment(1);
  await declareDead(other, 'a');
  await other.store.adopt('a');
  await assert.rejects(
    one.write(rows => rows.mark(payment)),
    { reason: 'fenced' },
  );
  assert.equal((await other.payment(1)).state, WAITING);
  assert.deepEqual(await other.write(rows => rows.mark(payment)), [1]);
});

promise('a beat is seen by all, with what the instance publishes', async deployment => {
  const [one, other] = await two(deployment);
  const before = (await other.store.look()).instances[0]!;
  const answer = await one.store.beat('{"depth":3}');
  assert.equal(answer.instances[0]!.beat, before.beat + 1);
  const now = (await other.store.look()).instances[0]!;
  assert.equal(now.beat, before.beat + 1);
  assert.deepEqual([now.name, now.alive, now.figures], ['a', true, '{"depth":3}']);
  await one.store.leave();
  assert.equal((await other.store.look()).instances[0]!.alive, false);
});

promise('one holds the lease of the checker, and only it reports', async deployment => {
  const [one, other] = await two(deployment);
  assert.equal(await one.store.report(0, true, 5), false);
  const taken = await Promise.all([one, other].map(each => each.store.takeChecker('')));
  assert.deepEqual(taken.toSorted(), [false, true]);
  const [holder, next] = taken[0] ? [one, other] : [other, one];
  const [name, nextName] = taken[0] ? ['a', 'b'] : ['b', 'a'];
  assert.equal(await holder.store.report(0, true, 5), true);
  assert.equal(await next.store.report(0, false, 0), false);
  assert.deepEqual((await next.store.look()).health[0], { failing: true, minResponseMs: 5, version: 1 });
  assert.equal(await next.store.takeChecker(name), true);
  assert.equal((await holder.store.look()).checker, nextName);
  await next.store.leave();
  assert.equal((await holder.store.look()).checker, '');
  assert.equal(await holder.store.takeChecker(''), true);
});

promise('who has left is answered with a fault', async deployment => {
  const [one, other] = await two(deployment);
  await other.write(rows => rows.put(1));
  assert.equal(await one.store.leave(), true);
  const lost = { reason: 'lost' };
  await assert.rejects(one.store.look(), lost);
  await assert.rejects(one.store.find(idOf(1)), lost);
  await assert.rejects(one.store.take(0, 1), lost);
  await assert.rejects(one.store.summary(0, 1), lost);
  await assert.rejects(
    one.write(rows => rows.put(2)),
    lost,
  );
});

promise('every question is answered once', async deployment => {
  const store = await deployment.open();
  const answers: string[] = [];
  const questions: Promise<void>[] = [];
  const ask = (name: string, call: (reply: () => void) => void): void => {
    questions.push(
      new Promise(done => {
        call(() => {
          answers.push(name);
          done();
        });
      }),
    );
  };
  ask('join', reply => store.join('a', reply));
  ask('look', reply => store.look(reply));
  ask('summary', reply => store.summary(0, 1, reply));
  ask('take', reply => store.take(0, 1, reply));
  ask('find', reply => store.find(idOf(1), reply));
  ask('purge', reply => store.purge(reply));
  await Promise.all(questions);
  await deployment.index();
  assert.deepEqual(answers.toSorted(), ['find', 'join', 'look', 'purge', 'summary', 'take']);
});

promise('what may have been sent before the machine started anew is pinned', async deployment => {
  const one = await instance(deployment, 'a');
  const to = { processor: 1, requestedAtMs: 120, attempts: 6, tries: 0 };
  await one.write(rows => [1, 2, 3, 4].map(n => rows.put(n, { acceptedAtMs: 100 })));
  const [, ended, sent, settled] = await one.payments(1, 2, 3, 4);
  await one.write(rows => rows.mark(ended!, to));
  await one.write(rows => {
    rows.attempt(ended!, { ...to, state: WAITING });
    rows.mark(sent!, { processor: 0, requestedAtMs: 120, attempts: 2, tries: 2 });
    rows.settle(settled!);
  });
  assert.deepEqual([one.joined.term, one.joined.pinned], [1, 0]);
  await deployment.index();

  const again = await instance(deployment, 'a', { boot: 2 });
  assert.equal(again.joined.term, 2);
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(
      (await again.owned()).map(each => [
        ...[each.state, each.processor, each.requestedAtMs],
        ...[each.attempts, each.tries],
      ]),
      [
        [PINNED, 0, 100, 1, 0],
        [PINNED, 1, 120, 6, 0],
        [SENT, 0, 120, 2, 2],
      ],
    );
    assert.equal((await again.payment(4)).state, SETTLED);
    await deployment.index();
  }
  const { joined } = await instance(deployment, 'c', { boot: 2 });
  assert.deepEqual([joined.term, joined.pinned], [2, 0], 'once');
});

promise('what waited for long is pinned too, before anything else is known of it', async deployment => {
  const one = await instance(deployment, 'a');
  await one.write(rows => rows.put(1));
  for (const n of [2, 3]) {
    await deployment.index();
    await one.write(rows => rows.put(n));
  }
  const again = await instance(deployment, 'a', { boot: 2 });
  assert.equal((await again.payment(1)).state, PINNED);
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(
      (await again.owned()).map(each => [each.state, each.processor, each.requestedAtMs, each.attempts]),
      [1, 2, 3].map(() => [PINNED, 0, 1000, 1]),
    );
    await deployment.index();
  }
  await again.write(rows => rows.put(4));
  assert.equal((await again.payment(4)).state, WAITING);
});

promise('a joining says how many payments it pinned', async deployment => {
  const one = await instance(deployment, 'a');
  await one.write(rows => [1, 2, 3].map(n => rows.put(n)));
  const again = await instance(deployment, 'a', { boot: 2 });
  assert.equal(again.joined.pinned, 3);
});

promise('nothing is pinned if all had left before the machine started anew', async deployment => {
  const one = await instance(deployment, 'a');
  await one.write(rows => rows.put(1));
  await one.store.leave();
  const again = await instance(deployment, 'a', { boot: 2 });
  assert.deepEqual([again.joined.term, again.joined.pinned], [1, 0]);
  assert.equal((await again.payment(1)).state, WAITING);
});

promise('nothing is pinned if all waited for their disk', async deployment => {
  const one = await instance(deployment, 'a', { isFlushing: true });
  await one.write(rows => rows.put(1));
  const other = await instance(deployment, 'b', { boot: 2 });
  assert.deepEqual([other.joined.term, other.joined.pinned], [1, 0]);
  const again = await instance(deployment, 'b', { boot: 3 });
  assert.deepEqual([again.joined.term, again.joined.pinned], [2, 1], 'b did not');
});

promise('what may have been sent before the disk was away is pinned', async deployment => {
  const one = await instance(deployment, 'a');
  await one.write(rows => rows.put(1));
  const again = await instance(deployment, 'a', { isDoubtful: true });
  assert.deepEqual([again.joined.term, again.joined.pinned], [2, 1]);
  assert.equal((await again.payment(1)).state, PINNED);
});

promise('of all that found the store lost the first one begins a term', async deployment => {
  const [one, other] = await two(deployment);
  await one.write(rows => rows.put(1));
  await Promise.all([one, other].map(({ raw }) => raw.reopen()));
  const first = new MemberStore(one.raw, await one.store.join('a'));
  assert.deepEqual([first.joined.term, first.joined.pinned], [2, 1]);
  await first.write(rows => rows.put(2));
  const { term, pinned } = await other.store.join('b');
  assert.deepEqual([term, pinned], [2, 0]);
  assert.deepEqual(
    (await first.payments(1, 2)).map(({ state }) => state),
    [PINNED, WAITING],
  );
});

promise(
  'a store that broke is used anew, and the one that uses it on sees the term rise',
  async deployment => {
    const [one, other] = await two(deployment);
    await one.write(rows => rows.put(1));
    await deployment.index();
    await one.raw.reopen();
    await assert.rejects(one.store.beat(''), { reason: 'fenced' }, 'it has yet to join');
    const again = new MemberStore(one.raw, await one.store.join('a'));
    assert.equal((await other.store.look()).term, 2);
    const [seq] = await again.write(rows => rows.put(2));
    assert.ok(seq! > 1);
    assert.equal((await asked(other.raw).find(idOf(2)))?.seq, seq);
  },
);

promiseOfServers(
  'where one has lost something all others join anew, and ask first, also for what comes later',
  async deployment => {
    const [one, other] = await two(deployment);
    await one.write(rows => [1, 2, 3].map(n => rows.put(n)));
    const [, sent, settled] = await one.payments(1, 2, 3);
    await one.write(rows => {
      rows.mark(sent!, { processor: 1, requestedAtMs: 120 });
      rows.settle(settled!);
    });
    await one.raw.reopen();
    const first = new MemberStore(one.raw, await one.store.join('a'));
    assert.deepEqual([first.joined.term, first.joined.pinned, first.joined.isCalm], [2, 1, false]);
    const fenced = { reason: 'fenced' };
    await assert.rejects(
      other.write(rows => rows.put(4)),
      fenced,
      'it may be sent what the other has lost',
    );
    await assert.rejects(other.store.beat(''), fenced);
    const second = new MemberStore(other.raw, await other.store.join('b'));
    assert.deepEqual([second.joined.term, second.joined.pinned, second.joined.isCalm], [2, 0, false]);
    for (const [now, before] of [
      [first, one],
      [second, other],
    ] as const) {
      assert.ok(now.joined.epoch > before.joined.epoch);
      assert.ok(now.joined.asksFirstUntilMs > Date.now());
    }
    await second.write(rows => [rows.put(4), rows.put(5, { acceptedAtMs: Date.now() + 7_200_000 })]);
    const all = await first.payments(1, 2, 3, 4, 5);
    assert.deepEqual(
      all.map(({ state, processor, isUncertain }) => [state, processor, isUncertain]),
      [
        [PINNED, 0, true],
        [SENT, 1, true],
        [SETTLED, 0, false],
        [WAITING, undefined, true],
        [WAITING, undefined, false],
      ],
    );
    await first.write(rows => {
      rows.hold(all[0]!, { state: ~PINNED });
      rows.mark(all[1]!, { processor: 1 });
    });
    assert.deepEqual(
      (await second.payments(1, 2)).map(({ state, isUncertain }) => [state, isUncertain]),
      [
        [PINNED, true],
        [SENT, false],
      ],
    );
  },
);

promise('who is declared dead, or leaves, lets go of the lease', async deployment => {
  const [one, other] = await two(deployment);
  assert.equal(await one.store.takeChecker(''), true);
  await declareDead(other, 'a');
  assert.equal((await other.store.look()).checker, '');
  assert.equal(await other.store.takeChecker(''), true);
  const third = await instance(deployment, 'c');
  assert.equal((await third.store.look()).checker, 'b');
  await other.store.leave();
  assert.equal((await third.store.look()).checker, '');
});
