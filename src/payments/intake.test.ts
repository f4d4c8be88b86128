import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StoreFault } from '../storage/ports.ts';
import { acceptStand, paymentId, turnOf } from '../testing/accept-stand.ts';
import { ACCEPTED, OVER_CAPACITY, UNAVAILABLE } from './api.ts';
import { Intake } from './intake.ts';

test('a queue is refused at seven eighths and taken again at six', () => {
  const pool = { size: 0, capacity: 800 };
  const intake = new Intake(pool);
  const takes = [699, 700, 699, 601, 600, 699, 700].map(size => {
    pool.size = size;
    return intake.takes(0);
  });
  assert.deepEqual(takes, [true, false, false, false, true, true, false]);
  assert.deepEqual(intake.reasons(0), ['the queue is full']);
  pool.size = 600;
  assert.deepEqual(intake.reasons(0), [], 'it is looked at anew');
});

test('the wait of a full queue is by how fast payments leave, though as many come in', () => {
  const pool = { size: 690, capacity: 800 };
  const intake = new Intake(pool);
  // 20 come in each second, and 20 leave.
  for (let ms = 0; ms <= 2000; ms += 50) {
    assert.equal(intake.takes(ms), true);
    intake.took();
  }
  pool.size = 700;
  assert.equal(intake.takes(2000), false);
  assert.equal(intake.waitSeconds, 5, '100 at 20 a second');
  pool.size = 640;
  assert.equal(intake.takes(3000), false);
  assert.equal(intake.waitSeconds, 1);
  assert.equal(intake.takes(4000), false);
  assert.equal(intake.waitSeconds, 60, 'nothing leaves any more');
});

/** An instance that has joined, on a disk with so much room; the base is 1000 bytes. */
async function standOnDisk(free: number) {
  const disk = { free };
  const look = () => ({ free: disk.free, total: 100_000 });
  const change = <Parts>(parts: Parts): Parts => ({ ...parts, disk: { look, baseBytes: 1000 } });
  const stand = await acceptStand({ storeMs: 0, change, queueCapacity: 64 });
  return { disk, stand };
}

test('while the disk has too little room nothing new is taken, and what was accepted goes on', async () => {
  const { disk, stand } = await standOnDisk(100_000);
  const { instance } = stand;
  assert.equal(turnOf(stand, [1, 1990]), true);
  await stand.pass(10);
  disk.free = 999;
  await stand.pass(200);
  assert.equal(instance.accept(paymentId(2), 1990), OVER_CAPACITY);
  assert.equal(instance.accept(paymentId(1), 1990), ACCEPTED, 'known all the same');
  assert.equal(instance.commit(1), true);
  assert.equal(stand.sent.length, 1);
  assert.match(instance.readiness().reasons.join(), /the disk of the store has/);
  assert.equal((await instance.summary(-Infinity, Infinity)).default.count, 0);
  // By the writes of what was accepted, which the store takes, nothing is taken again.
  await stand.pass(5000);
  assert.equal(instance.accept(paymentId(2), 1990), OVER_CAPACITY);
  disk.free = 100_000;
  await stand.pass(200);
  assert.deepEqual(instance.readiness().reasons, []);
  assert.equal(turnOf(stand, [2, 1990]), true);
});

test('trouble of the store is not an overload', async () => {
  const { stand } = await standOnDisk(100_000);
  stand.fault = call => (call === 'write' ? new StoreFault('full', 'x') : undefined);
  turnOf(stand, [1, 1990]);
  await stand.pass(10);
  assert.equal(stand.instance.accept(paymentId(2), 1990), UNAVAILABLE);
});
