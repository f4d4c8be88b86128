import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idText } from '../domain/payment.ts';
import { chance } from '../domain/random.ts';
import { NONE, PaymentPool } from './payment-pool.ts';

test('a payment is found by its id until its slot is freed', () => {
  const pool = new PaymentPool(16);
  const slot = pool.add([1, 2, 3, 4], 1990, 1000, 5);
  assert.equal(pool.find([1, 2, 3, 4]), slot);
  assert.equal(pool.find([1, 2, 3, 5]), NONE);
  assert.equal(pool.textOf(slot), '00000001-0000-0002-0000-000300000004');
  pool.free(slot);
  assert.equal(pool.find([1, 2, 3, 4]), NONE);
  assert.equal(pool.size, 0);
});

test('a full queue takes nothing more, and takes again after one was freed', () => {
  const pool = new PaymentPool(4);
  const slots = [1, 2, 3, 4].map(word => pool.add([word, 0, 0, 0], 1, 0, 0));
  assert.equal(new Set(slots).size, 4);
  assert.equal(pool.add([5, 0, 0, 0], 1, 0, 0), NONE);
  pool.free(slots[2]!);
  assert.equal(pool.add([5, 0, 0, 0], 1, 0, 0), slots[2]);
});

test('a freed slot comes back with another version', () => {
  const pool = new PaymentPool(1);
  const slot = pool.add([1, 0, 0, 0], 1, 0, 0);
  const version = pool.version[slot];
  pool.free(slot);
  assert.equal(pool.add([2, 0, 0, 0], 1, 0, 0), slot);
  assert.notEqual(pool.version[slot], version);
});

test('the trace of a payment is gone with it', () => {
  const pool = new PaymentPool(1);
  const slot = pool.add([1, 0, 0, 0], 1, 0, 0);
  pool.traces.set(slot, [1, 2, 3, 4, 1]);
  assert.match(pool.traces.traceparent(slot, Math.random)!, /^00-00000001000000020000000300000004-.*-01$/);
  pool.free(slot);
  assert.equal(pool.add([2, 0, 0, 0], 1, 0, 0), slot);
  assert.equal(pool.traces.traceparent(slot, Math.random), undefined);
});

test('a retired payment is found no more, and its slot is freed once', () => {
  const pool = new PaymentPool(2);
  const slot = pool.add([1, 0, 0, 0], 1, 0, 0);
  pool.retire(slot);
  assert.equal(pool.find([1, 0, 0, 0]), NONE);
  assert.equal(pool.size, 1);
  pool.free(slot);
  assert.equal(pool.size, 0);
});

test('any order of adding and freeing agrees with a map (SEED=7)', () => {
  const pool = new PaymentPool(64);
  const model = new Map<string, number>();
  const random = chance(7);
  for (let step = 0; step < 20_000; step++) {
    // Few distinct ids, so that probes collide and gaps are closed again and again.
    const id = [Math.floor(random() * 4), 0, 0, Math.floor(random() * 64)];
    const key = id.join();
    const known = model.get(key);
    if (known !== undefined && random() < 0.7) {
      pool.free(known);
      model.delete(key);
    } else if (known === undefined) {
      const slot = pool.add(id, step, 0, 0);
      assert.equal(slot === NONE, model.size === 64);
      if (slot !== NONE) model.set(key, slot);
    }
    assert.equal(pool.size, model.size);
    assert.equal(pool.find(id), model.get(key) ?? NONE);
  }
  for (const [key, slot] of model) assert.equal(pool.find(key.split(',').map(Number)), slot);
});

test('the text of an id is canonical', () => {
  const bytes = Uint8Array.fromHex('4a7901b87d264d9daa194dc1c7cf60b3');
  assert.equal(idText(bytes), '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3');
});
