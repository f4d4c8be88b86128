import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Joined } from '../storage/ports.ts';
import { Dice } from './dice.ts';
import { EventLoop, Process } from './event-loop.ts';
import { drawPlan, goingBack } from './plan.ts';
import { connect } from './watched-store.ts';
import { World } from './world.ts';

const gone = (seed: number): World => new World(seed, false, { plan: goingBack });

test('a process that joins anew knows nothing of what it knew before', async () => {
  const world = gone(1).memory;
  const eventLoop = new EventLoop();
  const process = new Process('backend-1', 1, 0);
  const store = connect(
    {
      ...{ world, eventLoop, boot: '1', durable: 'process', goesBack: true },
      ...{ delayMs: () => 1, fault: () => undefined, losesReply: () => false },
    },
    process,
  );
  const joined: Joined[] = [];
  for (const atMs of [10, 500]) {
    eventLoop.step(atMs);
    await store.reopen();
    store.join('backend-1', answer => joined.push(answer as Joined));
    while (eventLoop.step(atMs + 100));
    assert.equal(process.joiningAtMs, atMs + 1);
  }
  assert.equal(joined.length, 2);
});

test('from when a store goes back on, processors find what they recorded', () => {
  const { faultInjector, processors, eventLoop } = gone(1);
  for (const processor of processors) processor.faults = { ...processor.faults, lookupMissing: 1 };
  faultInjector.machine.goBack();
  const found = (): boolean => processors.every(({ faults }) => faults.lookupMissing === 0);
  assert.equal(found(), false);
  while (eventLoop.step(1000));
  assert.equal(found(), true);
});

test('a store on another machine is not replaced by a backup of one on a disk', () => {
  const drawn = Array.from({ length: 50 }, (_, seed) => drawPlan(new Dice(seed), seed));
  assert.ok(drawn.some(({ rates }) => rates.restoreOlder > 0));
  for (const plan of drawn) assert.equal(goingBack(plan).rates.restoreOlder, 0);
});
