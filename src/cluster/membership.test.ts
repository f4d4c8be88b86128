import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../domain/clock.ts';
import { MemoryState } from '../storage/memory/state.ts';
import { MemoryStore } from '../storage/memory/store.ts';
import { Membership } from './membership.ts';

const clock: Clock = {
  monotonicMs: () => 0,
  wallMs: () => 0,
  after: () => ({ cancel() {} }),
  soon: () => {},
};

/** Of two instances, the other of which notices nothing. */
function membership(): Membership {
  const world = new MemoryState();
  const turn: (() => void)[] = [];
  const schedule = (carryOut: () => () => void): void => void turn.push(carryOut());
  const store = new MemoryStore(world, { schedule });
  store.join('backend-1', () => {});
  new MemoryStore(world, { schedule }).join('backend-2', () => {});
  const made = new Membership(store, clock, 'backend-1', 1, {
    shared() {},
    purged() {},
    fenced() {},
    broken() {},
    died() {},
    adopted() {},
    checking() {},
    room: () => 0,
    figures: () => '',
  });
  made.start();
  for (let task = turn.shift(); task !== undefined; task = turn.shift()) task();
  return made;
}

test('who waits for the others to notice a purge is told when nobody will tell', () => {
  const heard: boolean[] = [];
  const ours = membership();
  ours.notice(2);
  ours.whenNoticed(2, isNoticed => heard.push(isNoticed));
  assert.equal(heard.length, 0);
  ours.close();
  ours.whenNoticed(2, isNoticed => heard.push(isNoticed));
  assert.deepEqual(heard, [false, false]);
});
