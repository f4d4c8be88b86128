import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../domain/clock.ts';
import { CircuitBreaker } from '../processors/circuit-breaker.ts';
import { Batch } from '../storage/batch.ts';
import { MemoryState } from '../storage/memory/state.ts';
import { MemoryStore } from '../storage/memory/store.ts';
import { asked, put } from '../testing/stores.ts';
import { Session, type SessionParts } from './session.ts';

test('a life that cannot read the logs of the others does nothing, and holds nothing open', async () => {
  const due: (() => void)[] = [];
  const clock: Clock = {
    monotonicMs: () => 0,
    wallMs: () => 0,
    after: (_delayMs, task) => {
      due.push(task);
      return { cancel: () => void due.splice(due.indexOf(task), 1) };
    },
    soon: task => void due.push(task),
  };
  const store = new MemoryStore(new MemoryState());
  const { epoch, generation } = await asked(store).join('a');
  const batch = new Batch(epoch, generation);
  put(batch, 1);
  await asked(store).write(batch);

  const closed: string[] = [];
  const unexpected = (): never => assert.fail('it has ended');
  const parts: SessionParts = {
    store,
    processors: { post: unexpected, find: unexpected, health: unexpected },
    breakers: [new CircuitBreaker(), new CircuitBreaker()],
    clock,
    chance: () => 0.5,
    policy: { defaultAttempts: 5, backoffMinMs: 1, backoffMaxMs: 2, fallbackAfterMs: 1000 },
    instance: 'a',
    openLog: () =>
      ({ removeEarlier() {}, write: () => true, close: () => closed.push('log') }) as unknown as ReturnType<
        SessionParts['openLog']
      >,
    follow: () =>
      ({
        poll() {
          throw Object.assign(new Error('EIO: i/o error, scandir'), { code: 'EIO' });
        },
        close: () => closed.push('follower'),
      }) as unknown as ReturnType<SessionParts['follow']>,
    queueCapacity: 16,
    concurrency: 4,
    events: {
      settled: unexpected,
      attempted: unexpected,
      faulty: unexpected,
      lostWrites: unexpected,
      fenced: unexpected,
      broken: unexpected,
      died: unexpected,
      adopted: unexpected,
      checking: unexpected,
      shared: unexpected,
      figures: () => '',
    },
  };
  await assert.rejects(Session.begin(parts), /EIO/);
  assert.deepEqual(closed, ['follower', 'log']);
  // Whatever it had begun would be sent now.
  for (let turn = 0; turn < 20; turn++) {
    for (const task of due.splice(0)) task();
    await new Promise(setImmediate);
  }
});
