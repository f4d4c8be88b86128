import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SENT, SETTLED } from '../../domain/payment.ts';
import { KNOWN } from '../ports.ts';
import { type Engine, EngineStand } from './engine.fixture.ts';

const HOUR_MS = 60 * 60 * 1000;

async function leave(stand: EngineStand, engine: Engine): Promise<void> {
  const left = engine.store.leave();
  stand.files.endSyncs();
  await left;
}

test('a name that has been dead for a day and owns nothing is forgotten, by all, and may come back', async () => {
  const stand = new EngineStand();
  const [a, b] = [await (await stand.open()).join('a'), await (await stand.open()).join('b')];
  const names = async (): Promise<string[]> => (await b.store.look()).instances.map(({ name }) => name);
  await a.store.beat('{}');
  await leave(stand, a);
  stand.rest(300);
  await b.store.beat('{}');
  stand.pass(23 * HOUR_MS);
  assert.deepEqual(await names(), ['a', 'b']);
  stand.pass(2 * HOUR_MS);
  assert.deepEqual(await names(), ['b']);
  assert.deepEqual(stand.forgotten, ['a']);
  // Who starts now has never heard of it.
  const late = await stand.open();
  assert.deepEqual(
    (await late.store.look()).instances.map(({ name }) => name),
    ['b'],
  );
  const again = await late.join('a');
  assert.ok(again.joined!.epoch > 2);
  assert.deepEqual(await names(), ['a', 'b']);
});

test('a name is kept for as long as anything that it accepted is unsettled, whoever owns that', async () => {
  const stand = new EngineStand();
  const [a, b] = [await (await stand.open()).join('a'), await (await stand.open()).join('b')];
  await a.accept(1);
  await leave(stand, a);
  assert.equal(await b.store.adopt('a'), 1);
  // It has the lease of the indexer from here on.
  await b.store.beat('{}');
  stand.pass(25 * HOUR_MS);
  const names = async (): Promise<string[]> => (await b.store.look()).instances.map(({ name }) => name);
  assert.deepEqual(await names(), ['a', 'b']);
  const [payment] = await b.store.take(0, 10);
  await b.settle(payment!);
  stand.pass(HOUR_MS);
  assert.deepEqual(await names(), ['b']);
});

test('an estate that was in doubt is looked at until it is empty', async () => {
  const stand = new EngineStand();
  const a = await (await stand.open()).join('a');
  await a.accept(1);
  const at = stand.segment().length;
  await a.accept(2);
  await a.accept(3);
  stand.segment()[at + 60]! ^= 1;
  const b = await (await stand.open()).join('b');
  const owed = async (): Promise<number> =>
    (await b.store.look()).instances.find(({ name }) => name === 'b')!.unsettled;
  // One more than is known of, as nobody knows.
  assert.equal(await owed(), 3);
  // Nothing of it is let go of while the log's tail has it, nor when only the index has.
  stand.pass(HOUR_MS);
  const taken = await b.store.take(0, 10);
  assert.equal(taken.length, 2);
  for (const n of [10, 11, 12]) {
    await b.accept(n);
    stand.pass(60_000);
  }
  assert.equal((await b.store.take(0, 10)).length, 5);
  for (const payment of taken) {
    assert.notEqual(payment.state, SENT);
    await b.settle(payment);
  }
  assert.equal(await owed(), 4);
  stand.pass(HOUR_MS);
  assert.equal(await owed(), 3);
});

test('an estate that was in doubt is not let go of before the index has what was settled of it', async () => {
  const stand = new EngineStand();
  const a = await (await stand.open()).join('a');
  const at = stand.segment().length;
  await a.accept(1);
  await a.settle((await a.payment(1))!);
  stand.segment()[at + 60]! ^= 1;
  const b = await (await stand.open()).join('b');
  stand.database.exec(
    `CREATE TRIGGER refuses BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'refused'); END`,
  );
  stand.pass(HOUR_MS);
  assert.notDeepEqual(stand.notIndexed, []);
  assert.deepEqual(await b.accept(1), [KNOWN]);
  stand.database.exec('DROP TRIGGER refuses');
  for (let round = 0; round < 3; round++) {
    stand.index();
    assert.deepEqual(await b.accept(1), [KNOWN]);
    assert.equal((await b.payment(1))!.state, SETTLED);
  }
  stand.pass(HOUR_MS);
  const { unsettled } = (await b.store.look()).instances.find(({ name }) => name === 'b')!;
  assert.equal(unsettled, 0);
});
