import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Joined, StoreFault } from '../ports.ts';
import { MemoryState } from './state.ts';
import { MemoryStore } from './store.ts';

test('what a dead process had on its way when the store went back does not speak for the next one', () => {
  const state = new MemoryState();
  const onItsWay: (() => () => void)[] = [];
  const doubt = { asksMs: 1000, calmMs: 0, wallMs: () => 5 };
  const store = new MemoryStore(state, { schedule: carryOut => void onItsWay.push(carryOut), doubt });
  store.join('a', () => {});
  for (const carryOut of onItsWay.splice(0)) carryOut()();
  const copy = state.copy();
  store.beat('', () => assert.fail('it is dead'));
  state.goBackTo(copy);
  for (const carryOut of onItsWay) carryOut();
  const { term } = state;
  let joined: Joined | undefined;
  new MemoryStore(state, { schedule: carryOut => carryOut()(), doubt }).join('a', answer => {
    joined = answer as Joined;
  });
  assert.equal(joined?.term, term + 1);
});

test('what was asked before a loss was found is not carried out once the store was opened anew', async () => {
  const state = new MemoryState();
  const onItsWay: (() => () => void)[] = [];
  const store = new MemoryStore(state, { schedule: carryOut => void onItsWay.push(carryOut) });
  const deliver = (): void => onItsWay.shift()!()();
  const copy = state.copy();
  store.join('a', () => {});
  deliver();
  state.goBackTo(copy);
  // A term that another instance begins brings the epoch to what it was.
  state.instance('a').epoch = 1;
  const said: unknown[] = [];
  store.beat('', answer => said.push(answer));
  store.adopt('b', answer => said.push(answer));
  const beats = state.instance('a').beat;
  deliver();
  await store.reopen();
  store.join('a', () => {});
  deliver();
  assert.deepEqual(
    said.map(answer => answer instanceof StoreFault && answer.reason),
    ['lost', 'unanswered'],
  );
  assert.equal(state.instance('a').beat, beats);
});
