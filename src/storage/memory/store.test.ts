import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Batch, INSERT } from '../batch.ts';
import { type Joined, StoreFault, type Written } from '../ports.ts';
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

test('what a process that has ended had yet to ask of an older store is not carried out', () => {
  const state = new MemoryState();
  const onItsWay: (() => () => void)[] = [];
  let isOver = false;
  const schedule = (carryOut: () => () => void): void => void onItsWay.push(carryOut);
  const store = new MemoryStore(state, { schedule, isOver: () => isOver });
  const copy = state.copy();
  store.join('a', () => {});
  onItsWay.shift()!()();
  state.goBackTo(copy);
  store.beat('', () => assert.fail('it has ended'));
  isOver = true;
  let next: Joined | undefined;
  new MemoryStore(state, { schedule: carryOut => carryOut()() }).join('a', answer => {
    next = answer as Joined;
  });
  assert.equal(next?.epoch, 1, 'as the process had that has ended');
  const { beat } = state.instance('a');
  onItsWay.shift()!();
  assert.equal(state.instance('a').beat, beat);
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

test('until all that live have said what they had when the store went back, nothing new is taken', async () => {
  const state = new MemoryState();
  const doubt = { asksMs: 1000, calmMs: 0, wallMs: () => 5 };
  const opened = () => new MemoryStore(state, { schedule: carryOut => carryOut()(), doubt });
  const ask = <T>(call: (reply: (answer: T | StoreFault) => void) => void): T | StoreFault => {
    let said: T | StoreFault | undefined;
    call(answer => {
      said = answer;
    });
    return said!;
  };
  const [one, other] = [opened(), opened()];
  const join = (store: MemoryStore, name: string) => ask<Joined>(reply => store.join(name, reply)) as Joined;
  join(one, 'a');
  const { epoch, generation } = join(other, 'b');
  const write = (by: Pick<Joined, 'epoch' | 'generation'>) => {
    const batch = new Batch(by.epoch, by.generation);
    batch.add(INSERT);
    return ask<Written>(reply => other.write(batch, reply));
  };
  state.goBackTo(state.copy());
  assert.equal((write({ epoch, generation }) as StoreFault).reason, 'busy');
  const { beat } = state.instance('a');
  const fenced = ask<boolean>(reply => other.fence('a', 1, beat, reply));
  assert.equal((fenced as StoreFault).reason, 'lost', 'it died without a word');
  await other.reopen();
  const again = join(other, 'b');
  assert.deepEqual([again.term, again.asksFirstUntilMs], [2, 1005]);
  assert.equal((write(again) as Written).results[0], 1);
  assert.equal([...state.payments.values()][0]!.isUncertain, true);
});
