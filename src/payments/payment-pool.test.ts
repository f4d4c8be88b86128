import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idText } from '../domain/payment.ts';
import { chance } from '../domain/random.ts';
import { NONE, Queue } from './payment-pool.ts';

test('a payment is found by its id until its slot is freed', () => {
  const queue = new Queue(16);
  const slot = queue.add([1, 2, 3, 4], 1990, 1000, 5);
  assert.equal(queue.find([1, 2, 3, 4]), slot);
  assert.equal(queue.find([1, 2, 3, 5]), NONE);
  assert.equal(queue.textOf(slot), '00000001-0000-0002-0000-000300000004');
  queue.free(slot);
  assert.equal(queue.find([1, 2, 3, 4]), NONE);
  assert.equal(queue.size, 0);
});

test('a full queue takes nothing more, and takes again after one was freed', () => {
  const queue = new Queue(4);
  const slots = [1, 2, 3, 4].map(word => queue.add([word, 0, 0, 0], 1, 0, 0));
  assert.equal(new Set(slots).size, 4);
  assert.equal(queue.add([5, 0, 0, 0], 1, 0, 0), NONE);
  queue.free(slots[2]!);
  assert.equal(queue.add([5, 0, 0, 0], 1, 0, 0), slots[2]);
});

test('a freed slot comes back with another version', () => {
  const queue = new Queue(1);
  const slot = queue.add([1, 0, 0, 0], 1, 0, 0);
  const version = queue.version[slot];
  queue.free(slot);
  assert.equal(queue.add([2, 0, 0, 0], 1, 0, 0), slot);
  assert.notEqual(queue.version[slot], version);
});

test('the trace of a payment is gone with it', () => {
  const queue = new Queue(1);
  const slot = queue.add([1, 0, 0, 0], 1, 0, 0);
  queue.traces.set(slot, [1, 2, 3, 4, 1]);
  assert.match(queue.traces.traceparent(slot, Math.random)!, /^00-00000001000000020000000300000004-.*-01$/);
  for (const end of [() => queue.free(slot), () => queue.clear()]) {
    end();
    assert.equal(queue.add([2, 0, 0, 0], 1, 0, 0), slot);
    assert.equal(queue.traces.traceparent(slot, Math.random), undefined);
    queue.traces.set(slot, [1, 2, 3, 4, 1]);
  }
});

test('a retired payment is found no more, and its slot is freed once', () => {
  const queue = new Queue(2);
  const slot = queue.add([1, 0, 0, 0], 1, 0, 0);
  queue.retire(slot);
  assert.equal(queue.find([1, 0, 0, 0]), NONE);
  assert.equal(queue.size, 1);
  queue.free(slot);
  assert.equal(queue.size, 0);
});

test('clearing forgets everything and leaves every slot free', () => {
  const queue = new Queue(8);
  for (let word = 0; word < 8; word++) queue.add([word, 0, 0, 0], 1, 0, 0);
  queue.clear();
  assert.equal(queue.size, 0);
  for (let word = 0; word < 8; word++) assert.equal(queue.find([word, 0, 0, 0]), NONE);
  for (let word = 0; word < 8; word++) assert.notEqual(queue.add([word, 1, 0, 0], 1, 0, 0), NONE);
});

test('any order of adding and freeing agrees with a map (SEED=7)', () => {
  const queue = new Queue(64);
  const model = new Map<string, number>();
  const random = chance(7);
  for (let step = 0; step < 20_000; step++) {
    // Few distinct ids, so that probes collide and gaps are closed again and again.
    const id = [Math.floor(random() * 4), 0, 0, Math.floor(random() * 64)];
    const key = id.join();
    const known = model.get(key);
    if (known !== undefined && random() < 0.7) {
      queue.free(known);
      model.delete(key);
    } else if (known === undefined) {
      const slot = queue.add(id, step, 0, 0);
      assert.equal(slot === NONE, model.size === 64);
      if (slot !== NONE) model.set(key, slot);
    }
    assert.equal(queue.size, model.size);
    assert.equal(queue.find(id), model.get(key) ?? NONE);
  }
  for (const [key, slot] of model) assert.equal(queue.find(key.split(',').map(Number)), slot);
});

test('the text of an id is canonical', () => {
  const bytes = Uint8Array.fromHex('4a7901b87d264d9daa194dc1c7cf60b3');
  assert.equal(idText(bytes), '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3');
});
