/**
 * Chance against the contract: three instances do anything in any order, and the store answers as its model
 * does.
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { seededBelow } from '../domain/random.ts';
import { type Asked, asked, attemptRow, idOf, markRow, put, seed, settleRow } from '../testing/stores.ts';
import { Batch } from './batch.ts';
import { openSqliteStore } from './embedded/sqlite/thread-client.ts';
import { MemoryState } from './memory/state.ts';
import { MemoryStore } from './memory/store.ts';
import { type Shared, StoreFault } from './ports.ts';

const names = ['a', 'b', 'c'];
/** Few ids and few instants, so that everything meets everything. */
const ids = 60;
const instants = 90;

type Question = (store: Asked, name: string) => Promise<unknown>;

/** A batch of random rows; also of epochs and generations that have passed. */
function write(next: (bound: number) => number, seqs: number, generations: number): Question {
  const rows = Array.from(
    { length: next(12) },
    () => [next(5), next(ids), 1 + next(seqs + 1), next(3)] as const,
  );
  const numbers = rows.map(() => ({
    processor: next(2),
    requestedAtMs: next(instants),
    attempts: next(6),
    tries: next(5),
  }));
  const epochBack = next(8) === 0 ? 1 : 0;
  const generation = Math.max(1, generations - (next(10) === 0 ? 1 : 0));
  return async (store, name) => {
    const epoch = (await store.look()).instances.find(each => each.name === name)!.epoch - epochBack;
    const batch = new Batch(epoch, generation, 1);
    rows.forEach(([kind, id, seq, state], index) => {
      const fields = { seq, state, cents: 1990, acceptedAtMs: 5, ...numbers[index]! };
      if (kind < 2) put(batch, id, fields);
      else [markRow, settleRow, attemptRow][kind - 2]!(batch, fields);
    });
    return store.write(batch);
  };
}

function question(next: (bound: number) => number, seqs: number, generations: number): Question {
  const other = names[next(3)]!;
  const [one, two, three] = [next(ids), next(instants), next(2)];
  switch (next(30)) {
    case 0:
      return (store, name) => store.join(name);
    case 1:
      return store => store.beat(generations, `{"figure":${one}}`);
    case 2:
      return async store => {
        const seen = (await store.look()).instances.find(each => each.name === other);
        return seen && store.fence(other, seen.epoch, seen.beat - three);
      };
    case 3:
    case 4:
      return store =>
        store.adopt(other, 1 + (one % 10)).then(found => found.toSorted((a, b) => a.seq - b.seq));
    case 5:
      return store => store.takeChecker(three ? '' : other);
    case 6:
      return store => store.report(three as 0 | 1, one % 2 === 0, two);
    case 7:
      return store => store.take(one, 1 + (two % 10));
    case 8:
      return store => store.find(idOf(one));
    case 9:
    case 10:
      return store => store.summary(one, two);
    case 11:
      return store => store.ids(one, 1 + (two % 10));
    case 12:
      return store => store.look();
    case 13:
      return one < 6 ? store => store.purge() : store => store.look();
    default:
      return write(next, seqs, generations);
  }
}

async function answer(ask: Promise<unknown>): Promise<unknown> {
  try {
    return await ask;
  } catch (fault) {
    assert.ok(fault instanceof StoreFault, String(fault));
    return fault.reason;
  }
}

test(`the store answers as its model does (SEED=${seed})`, async t => {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-model-'));
  const world = new MemoryState();
  const next = seededBelow(seed);
  const real = await Promise.all(names.map(async () => asked(await openSqliteStore({ directory }))));
  t.after(async () => {
    await Promise.all(real.map(store => store.leave()));
    rmSync(directory, { recursive: true });
  });
  const model = names.map(() => asked(new MemoryStore(world)));
  for (let index = 0; index < 3; index++) {
    assert.deepEqual(await real[index]!.join(names[index]!), await model[index]!.join(names[index]!));
  }
  let settled = 0;
  for (let step = 0; step < 1500; step++) {
    const ask = question(next, world.lastSeq, world.generation);
    const which = next(3);
    const name = names[which]!;
    const [got, expected] = [await answer(ask(real[which]!, name)), await answer(ask(model[which]!, name))];
    assert.deepEqual(got, expected, `SEED=${seed} step ${step}`);
    if (step % 10 === 0) {
      const [one, other]: Shared[] = [await real[which]!.look(), await model[which]!.look()];
      assert.deepEqual(one, other, `SEED=${seed} step ${step}`);
      settled += (await model[which]!.summary(0, instants)).default.count;
    }
  }
  assert.ok(settled > 100, 'something has happened');
});
