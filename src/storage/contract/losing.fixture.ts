/** What the tests of the stores behind a server share: how a loss is waited for, and how a store goes on. */
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
