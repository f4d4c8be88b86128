import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Unavailable } from '../domain/unavailable.ts';
import { MemoryState } from '../storage/memory/state.ts';
import { StoreFault } from '../storage/ports.ts';
import { type InstanceStand, instanceStand } from '../testing/fakes.ts';
import { ACCEPTED, CONFLICT, UNAVAILABLE } from './api.ts';

const id = (number: number): Int32Array => Int32Array.of(number, 0, 0, 7);
const bytes = (number: number): Uint8Array => {
  const found = new Uint8Array(16);
  new DataView(found.buffer).setInt32(0, number);
  new DataView(found.buffer).setInt32(12, 7);
  return found;
};

async function started(stand: InstanceStand): Promise<InstanceStand> {
  const start = stand.instance.start();
  await stand.pass(50);
  await start;
  return stand;
}

test('what is accepted is settled once', async () => {
  const stand = await started(instanceStand());
  assert.equal(stand.instance.accept(id(1), 1990), ACCEPTED);
  assert.equal(stand.instance.accept(id(1), 1990), ACCEPTED);
  assert.equal(stand.instance.accept(id(1), 1991), CONFLICT);
  assert.equal(stand.instance.commit(), true);
  assert.deepEqual(stand.logs[0]!.written, [1990]);
  await stand.pass(100);
  assert.equal(stand.sent.length, 1);
  const found = stand.instance.find(bytes(1));
  await stand.pass(50);
  assert.equal((await found)!.status, 'settled');
  assert.deepEqual(stand.states, ['joining', 'live']);
});

test('before it has joined, an instance accepts and answers nothing', async () => {
  const { instance } = instanceStand();
  assert.equal(instance.accept(id(1), 1990), UNAVAILABLE);
  await assert.rejects(instance.find(bytes(1)), Unavailable);
  await assert.rejects(instance.summary(-Infinity, Infinity), Unavailable);
  await assert.rejects(instance.purge(), Unavailable);
  assert.equal(instance.readiness().ready, false);
});

test('a fenced instance joins anew with another epoch, and goes on', async () => {
  const stand = await started(instanceStand());
  const view = stand.state.instance('backend-1');
  view.epoch += 1;
  view.alive = false;
  await stand.pass(700);
  assert.deepEqual(stand.states, ['joining', 'live', 'fenced', 'live']);
  assert.equal(stand.logs[0]!.isClosed, true);
  assert.equal(stand.logs.length, 2);
  assert.equal(stand.instance.accept(id(1), 1990), ACCEPTED);
});

test('what was accepted in this turn is refused if the session ends before the commit', async () => {
  const stand = await started(instanceStand());
  assert.equal(stand.instance.accept(id(1), 1990), ACCEPTED);
  const view = stand.state.instance('backend-1');
  view.epoch += 1;
  await stand.pass(700);
  assert.equal(stand.states.at(-1), 'live');
  assert.equal(stand.instance.commit(), false);
});

test('an id that was asked of the store in one session is not accepted by the next', async () => {
  let answer = (): void => assert.fail('the store was not asked');
  const stand = instanceStand({
    change: parts => {
      const { store } = parts;
      const find = store.find.bind(store);
      store.find = (asked, reply) =>
        find(asked, found => {
          answer = () => reply(found);
        });
      return parts;
    },
  });
  // As long as the ids are not loaded, each is asked of the store.
  stand.fault = call => (call === 'ids' ? new StoreFault('busy', 'held') : undefined);
  await started(stand);
  const acceptance = stand.instance.accept(id(1), 1990);
  stand.state.instance('backend-1').epoch += 1;
  await stand.pass(1000);
  assert.deepEqual(stand.states, ['joining', 'live', 'fenced', 'live']);
  answer();
  assert.equal(await acceptance, UNAVAILABLE);
  assert.equal(stand.instance.session!.pool.size, 0);
});

test('a purge ends the session, and is answered when all instances have joined anew', async () => {
  const state = new MemoryState();
  const one = await started(instanceStand({ state }));
  const other = await started(instanceStand({ state, loop: one.loop, name: 'backend-2' }));
  assert.equal(other.instance.accept(id(1), 1990), ACCEPTED);
  assert.equal(other.instance.commit(), true);
  await one.pass(100);
  let isDone = false;
  const purge = one.instance.purge().then(() => {
    isDone = true;
  });
  await one.pass(1);
  assert.equal(isDone, false);
  await one.pass(1000);
  await purge;
  assert.deepEqual(one.states, ['joining', 'live', 'purged', 'live']);
  assert.deepEqual(other.states, ['joining', 'live', 'purged', 'live']);
  assert.equal(other.instance.session!.generation, 2);
  const found = other.instance.find(bytes(1));
  await one.pass(50);
  assert.equal(await found, undefined);
});

test('a broken store is opened anew before the instance joins', async () => {
  let reopened = 0;
  const stand = instanceStand({
    change: parts => {
      const { store } = parts;
      const reopen = store.reopen.bind(store);
      store.reopen = () => {
        reopened += 1;
        return reopen();
      };
      return parts;
    },
  });
  await started(stand);
  stand.fault = () => new StoreFault('broken', 'the disk is gone');
  await stand.pass(1500);
  assert.deepEqual(stand.states.slice(0, 3), ['joining', 'live', 'store broken']);
  assert.match(stand.instance.readiness().reasons.join(), /the store is broken: the disk is gone/);
  assert.ok(reopened >= 1);
  stand.fault = () => undefined;
  await stand.pass(1500);
  assert.equal(stand.states.at(-1), 'live');
  assert.deepEqual(stand.instance.readiness().reasons, []);
});

test('a bug while joining anew ends the process, and is not tried again', async () => {
  let joins = 0;
  const stand = instanceStand({
    change: parts => ({
      ...parts,
      openLog: joined => {
        joins += 1;
        if (joins > 1) return (undefined as unknown as { x: () => never }).x();
        return parts.openLog(joined);
      },
    }),
  });
  await started(stand);
  stand.state.instance('backend-1').epoch += 1;
  await stand.pass(3000);
  assert.equal(joins, 2);
  assert.equal(stand.failures.length, 1);
  assert.ok(stand.failures[0] instanceof TypeError);
});

test('a log that cannot be opened for want of space is waited for, and the session that failed holds nothing', async () => {
  let isFull = true;
  const feeds: { isClosed: boolean }[] = [];
  const stand = instanceStand({
    change: parts => ({
      ...parts,
      openFeed: events => {
        const feed = parts.openFeed(events);
        feeds.push(feed as unknown as { isClosed: boolean });
        return {
          ...feed,
          poll() {
            if (feeds.length > 1 && isFull)
              throw Object.assign(new Error('EIO: i/o error, scandir'), { code: 'EIO', syscall: 'scandir' });
          },
          close: () => feed.close(),
        };
      },
    }),
  });
  await started(stand);
  stand.state.instance('backend-1').epoch += 1;
  await stand.pass(1100);
  assert.equal(stand.states.at(-1), 'store broken');
  assert.deepEqual(stand.failures, []);
  const failed = stand.logs.length;
  assert.ok(failed >= 2);
  assert.ok(stand.logs.every(({ isClosed }) => isClosed));
  assert.ok(feeds.every(({ isClosed }) => isClosed));
  isFull = false;
  await stand.pass(1100);
  assert.equal(stand.states.at(-1), 'live');
});

test('an instance that stops lets what is at work end, and leaves', async () => {
  const stand = await started(instanceStand());
  stand.instance.accept(id(1), 1990);
  stand.instance.commit();
  const stopped = stand.instance.stop();
  assert.deepEqual(stand.instance.readiness().reasons, ['this instance is stopping']);
  await stand.pass(3000);
  await stopped;
  assert.equal(stand.state.instance('backend-1').alive, false);
  assert.equal(stand.instance.accept(id(2), 1990), UNAVAILABLE);
});

test('an instance that is fenced while it stops does not join anew', async () => {
  const stand = await started(instanceStand({ post: () => undefined }));
  stand.instance.accept(id(1), 1990);
  stand.instance.commit();
  await stand.pass(50);
  const stopped = stand.instance.stop();
  stand.state.instance('backend-1').epoch += 1;
  await stand.pass(5000);
  await stopped;
  assert.equal(stand.logs.length, 1);
  assert.equal(stand.states.includes('fenced'), false);
});
