/** What the tests of the stores behind a server share: how a loss is waited for, and how a store goes on. */
import assert from 'node:assert/strict';
import { PINNED, WAITING } from '../../domain/payment.ts';
import { idOf } from '../../testing/stores.ts';
import { until } from '../../testing/until.ts';
import { type Reopening, type Store, StoreFault } from '../ports.ts';
import { instance, type MemberStore } from './engines.ts';

export const joinedAs = (store: Store & Reopening, name: string): Promise<MemberStore> =>
  instance({ open: async () => store } as never, name);

/** Asks again what is sure not to have been done, and what may have been. */
export async function persist<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof StoreFault) || !['busy', 'unanswered'].includes(error.reason)) throw error;
      await new Promise(resolve => setTimeout(resolve, 10));
    }
  }
}

/** Until a call is answered with `lost`; what it says. */
export async function lossOf({ store }: MemberStore): Promise<string> {
  let detail = '';
  await until(
    () =>
      store.look().then(
        () => false,
        (fault: StoreFault) => {
          detail = fault.detail;
          return fault.reason === 'lost';
        },
      ),
    'the loss to be noticed',
  );
  return detail;
}

export async function joinedAgain(lost: MemberStore, name: string): Promise<MemberStore> {
  await lost.raw.reopen();
  return joinedAs(lost.raw, name);
}

/**
 * `first` found that payment 3 is missing, and joined anew: what waits is asked for, and what comes too.
 * `other` has lost nothing, and is to join anew all the same.
 */
export async function assertDoubt(first: MemberStore, other: MemberStore): Promise<void> {
  assert.deepEqual([first.joined.term, first.joined.pinned, first.joined.isCalm], [2, 2, false]);
  assert.ok(first.joined.asksFirstUntilMs > Date.now() + 3_000_000);
  const { state, isUncertain } = await first.payment(1);
  assert.deepEqual([state, isUncertain], [PINNED, true]);
  assert.equal(await first.store.find(idOf(3)), undefined);
  await first.write(rows => rows.put(3));
  const again = await first.payment(3);
  assert.deepEqual([again.state, again.isUncertain], [WAITING, true], 'it may have been here before');
  assert.equal((await other.store.look()).term, 2);
  await assert.rejects(
    other.write(rows => rows.put(5)),
    { reason: 'fenced' },
    'it may be sent what the first has lost',
  );
}
