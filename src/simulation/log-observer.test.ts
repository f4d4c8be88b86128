import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEFAULT, idText, SETTLED } from '../domain/payment.ts';
import { EngineStand } from '../storage/embedded/engine.fixture.ts';
import { idOf } from '../testing/stores.ts';
import { LogObserver } from './log-observer.ts';
import { World } from './world.ts';

test('what an operator settled is settled for the observer, too, where its acceptance is damaged', async () => {
  const stand = new EngineStand();
  const a = await (await stand.open()).join('a');
  const from = stand.segment().length;
  await a.accept(1);
  const given = { processor: DEFAULT, requestedAtMs: 5, atMs: 9, who: 'ana', text: 'as agreed' } as const;
  const acted = a.store.act({ ...given, id: idOf(1), kind: 'settle' });
  stand.files.endSyncs();
  assert.equal(await acted, 'done');
  stand.segment()[from + 60]! ^= 4;

  // The world has its log in another directory.
  const files = new Proxy(stand.files, {
    get: (target, name) => {
      const method = Reflect.get(target, name);
      return (first: unknown, ...rest: unknown[]) =>
        method.call(target, typeof first === 'string' ? join('/store', first) : first, ...rest);
    },
  });
  const { memory, invariants } = new World(1);
  new LogObserver(stand, files, memory, invariants).rebuild();
  assert.equal(memory.payments.get(idText(idOf(1)))?.state, SETTLED);
  const b = await (await stand.open()).join('b');
  assert.equal((await b.payment(1))?.state, SETTLED);
});
