import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cents } from '../domain/money.ts';
import { DEFAULT, idBytes, SENT } from '../domain/payment.ts';
import { MemoryState, untouched } from '../storage/memory/state.ts';
import type { Joined } from '../storage/ports.ts';
import { Dice } from './dice.ts';
import { EventLoop, Process } from './event-loop.ts';
import { drawPlan, goingBack } from './plan.ts';
import { type Attempt, TrackedPayment } from './tracked-payment.ts';
import { connect } from './watched-store.ts';
import { World } from './world.ts';

const ID = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';

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

test('both processors have to be asked where the owner lacks what it knew of, not where it writes it again', () => {
  for (const isBehind of [false, true]) {
    const store = new MemoryState();
    const row = { ...untouched, id: idBytes(ID)!, cents: 5 as Cents, acceptedAtMs: 1, owner: 'a' };
    store.put(row);
    store.steps.set('a', 1);
    store.acknowledged.set('a', isBehind ? 2 : 1);
    const payment = new TrackedPayment(ID, 0);
    payment.open = 1;
    payment.last = { payment } as Attempt;
    payment.wentBack({ ...store.payments.get(ID)!, state: SENT, processor: DEFAULT }, store, 5);
    assert.equal(payment.mustAsk, isBehind);
    assert.equal(payment.open, isBehind ? 0 : 1, 'what is on its way is not forgotten');
  }
});
