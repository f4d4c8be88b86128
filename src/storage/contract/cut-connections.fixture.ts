/** What a store behind a server does where its connection is cut: the same of each. */
import assert from 'node:assert/strict';
import type { TcpProxy } from '../../testing/tcp-proxy.ts';
import type { Store, Written } from '../ports.ts';
import type { MemberStore } from './engines.ts';
import { persist } from './losing.fixture.ts';

/**
 * Writes batches through `proxy`, which cuts the connection a few bytes later each time: each is carried out
 * once. `watcher` is another connection to the same store.
 */
export async function assertOnceWhereverCut(
  proxy: TcpProxy,
  direction: 'toServer' | 'toClient',
  one: MemberStore,
  watcher: Store,
): Promise<void> {
  let n = 0;
  const batchOf = () => {
    n += 2;
    return one.batch(rows => [rows.put(n), rows.put(n + 1), rows.put(n)]);
  };
  const before = proxy.passed[direction];
  const first = await one.store.write(batchOf());
  const bytes = proxy.passed[direction] - before;
  const step = Math.max(1, Math.floor(bytes / 24));
  let last = first.results[1]!;
  let answers = 0;
  for (let at = 0; at < bytes; at += step) {
    const batch = batchOf();
    proxy.cutAfter(direction, at);
    const { results }: Written = await persist(() => one.store.write(batch));
    answers += 1;
    assert.ok(
      results[0]! > last && results[1]! > results[0]! && results[2] === -1,
      `cut at ${at}: ${[...results]}`,
    );
    last = results[1]!;
  }
  assert.ok(answers >= 20);
  const shared = await new Promise<unknown>(reply => watcher.look(reply));
  assert.equal((shared as { instances: { unsettled: number }[] }).instances[0]!.unsettled, 2 * (answers + 1));
}

/** Loses an answer of the server: the batch has none, and gets its results when it is written again. */
export async function assertAskedAgain(proxy: TcpProxy, one: MemberStore): Promise<void> {
  const batch = one.batch(rows => rows.put(1));
  proxy.drop('toClient');
  await assert.rejects(one.store.write(batch), { reason: 'unanswered' });
  proxy.heal();
  const { results } = await persist(() => one.store.write(batch));
  assert.deepEqual([...results], [1]);
}
