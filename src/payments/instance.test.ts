import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SETTLED } from '../domain/payment.ts';
import { Unavailable } from '../domain/unavailable.ts';
import { MemoryState } from '../storage/memory/state.ts';
import { NameTakenError, StoreFault } from '../storage/ports.ts';
import { decisions, paymentId } from '../testing/accept-stand.ts';
import { type InstanceStand, instanceStand } from '../testing/fakes.ts';
import { ACCEPTED, CONFLICT, type Kept, UNAVAILABLE } from './api.ts';

const bytes = (number: number): Uint8Array => {
  const found = new Uint8Array(16);
  new DataView(found.buffer).setInt32(0, number);
  new DataView(found.buffer).setInt32(12, 7);
  return found;
};

/** Accepts and commits one payment. */
function accepted({ instance }: InstanceStand, number: number): Kept | Promise<Kept> {
  assert.equal(instance.accept(paymentId(number), 1990), ACCEPTED);
  return instance.commit(1);
}

async function started(stand: InstanceStand): Promise<InstanceStand> {
  const start = stand.instance.start();
  await stand.pass(50);
  await start;
  return stand;
}

test('what is accepted is settled once', async () => {
  const stand = await started(instanceStand());
  assert.equal(stand.instance.accept(paymentId(1), 1990), ACCEPTED);
  assert.equal(stand.instance.accept(paymentId(1), 1990), ACCEPTED);
  assert.equal(stand.instance.accept(paymentId(1), 1991), ACCEPTED, 'the store has not decided yet');
  const kept = stand.instance.commit(3);
  await stand.pass(100);
  assert.deepEqual(decisions(await kept, 3), [ACCEPTED, ACCEPTED, CONFLICT]);
  assert.equal(stand.sent.length, 1);
  const found = stand.instance.find(bytes(1));
  await stand.pass(50);
  assert.equal((await found)!.status, 'settled');
  assert.deepEqual(stand.states, ['joining', 'live']);
});

test('before it has joined, an instance accepts and answers nothing', async () => {
  const { instance } = instanceStand();
  assert.equal(instance.accept(paymentId(1), 1990), UNAVAILABLE);
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
  assert.equal(stand.state.instance('backend-1').epoch, 3);
  const kept = accepted(stand, 1);
  await stand.pass(10);
  assert.equal(await kept, true);
});

test('what was accepted in this turn is refused if the session ends before the commit', async () => {
  const stand = await started(instanceStand());
  assert.equal(stand.instance.accept(paymentId(1), 1990), ACCEPTED);
  assert.equal(stand.instance.accept(paymentId(2), 1990), ACCEPTED);
  stand.fault = call => (call === 'write' ? new StoreFault('fenced', 'it is') : undefined);
  await stand.pass(0.2);
  stand.fault = () => undefined;
  await stand.pass(700);
  assert.deepEqual(stand.states, ['joining', 'live', 'fenced', 'live']);
  const kept = await stand.instance.commit(2);
  assert.deepEqual(decisions(kept, 2), [UNAVAILABLE, UNAVAILABLE]);
  await stand.pass(100);
  assert.deepEqual([stand.sent.length, stand.state.payments.size], [0, 0]);
});

test('a purge ends the session, and is answered when all instances have joined anew', async () => {
  const state = new MemoryState();
  const one = await started(instanceStand({ state }));
  const other = await started(instanceStand({ state, loop: one.loop, name: 'backend-2' }));
  const kept = accepted(other, 1);
  await one.pass(100);
  assert.equal(await kept, true);
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

test('a lost store is opened anew before the instance joins', async () => {
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
  stand.fault = () => new StoreFault('lost', 'the disk is gone');
  await stand.pass(1500);
  assert.deepEqual(stand.states.slice(0, 3), ['joining', 'live', 'store lost']);
  assert.match(stand.instance.readiness().reasons.join(), /the store is lost: the disk is gone/);
  assert.ok(reopened >= 1);
  stand.fault = () => undefined;
  await stand.pass(1500);
  assert.equal(stand.states.at(-1), 'live');
  assert.deepEqual(stand.instance.readiness().reasons, []);
});

test('a name that another process took meanwhile ends the process, and is not waited for', async () => {
  const taken = new NameTakenError('backend-1', './data');
  const stand = instanceStand({
    change: parts => {
      parts.store.reopen = () => Promise.reject(taken);
      return parts;
    },
  });
  await started(stand);
  stand.fault = () => new StoreFault('lost', 'the disk is gone');
  await stand.pass(3000);
  assert.deepEqual(stand.failures, [taken]);
});

test('a bug while joining anew ends the process, and is not tried again', async () => {
  let joins = 0;
  const stand = instanceStand({
    change: parts => {
      const { store } = parts;
      const join = store.join.bind(store);
      store.join = (instance, reply) => {
        joins += 1;
        if (joins > 1) (undefined as unknown as { x: () => never }).x();
        join(instance, reply);
      };
      return parts;
    },
  });
  await started(stand);
  stand.state.instance('backend-1').epoch += 1;
  await stand.pass(3000);
  assert.equal(joins, 2);
  assert.equal(stand.failures.length, 1);
  assert.ok(stand.failures[0] instanceof TypeError);
});

test('a store that cannot be joined for want of the disk is opened anew, and waited for', async () => {
  let isAway = false;
  const stand = instanceStand({
    change: parts => {
      const { store } = parts;
      const reopen = store.reopen.bind(store);
      store.reopen = () =>
        isAway
          ? Promise.reject(Object.assign(new Error('EIO: i/o error, open'), { code: 'EIO', syscall: 'open' }))
          : reopen();
      return parts;
    },
  });
  await started(stand);
  isAway = true;
  stand.fault = () => new StoreFault('lost', 'the disk is gone');
  await stand.pass(2000);
  assert.equal(stand.states.at(-1), 'store lost');
  assert.match(stand.instance.readiness().reasons.join(), /EIO/);
  assert.deepEqual(stand.failures, []);
  isAway = false;
  stand.fault = () => undefined;
  await stand.pass(1100);
  assert.equal(stand.states.at(-1), 'live');
});

test('what is unsettled when a session begins is settled by it, as what may have been sent', async () => {
  const stand = await started(instanceStand({ post: () => undefined }));
  const kept = accepted(stand, 1);
  await stand.pass(50);
  assert.equal(await kept, true);
  assert.equal(stand.sent.length, 1);
  stand.state.instance('backend-1').epoch += 1;
  await stand.pass(1000);
  assert.deepEqual(stand.states, ['joining', 'live', 'fenced', 'live']);
  const [first, second] = stand.sent;
  assert.equal(second?.to, first!.to);
  assert.equal(second?.request.requestedAtMs, first!.request.requestedAtMs);
});

test('an instance that stops lets what is at work end, and leaves', async () => {
  const stand = await started(instanceStand());
  const kept = accepted(stand, 1);
  const stopped = stand.instance.stop();
  assert.deepEqual(stand.instance.readiness().reasons, ['this instance is stopping']);
  await stand.pass(3000);
  await stopped;
  assert.equal(await kept, true);
  assert.equal([...stand.state.payments.values()][0]!.state, SETTLED);
  assert.equal(stand.state.instance('backend-1').alive, false);
  assert.equal(stand.instance.accept(paymentId(2), 1990), UNAVAILABLE);
});

test('an instance that is fenced while it stops does not join anew', async () => {
  const stand = await started(instanceStand({ post: () => undefined }));
  accepted(stand, 1);
  await stand.pass(50);
  const stopped = stand.instance.stop();
  stand.state.instance('backend-1').epoch += 1;
  await stand.pass(5000);
  await stopped;
  assert.deepEqual(new Set(stand.states.slice(2)), new Set(['stopping']));
  assert.equal(stand.state.instance('backend-1').epoch, 2);
});
