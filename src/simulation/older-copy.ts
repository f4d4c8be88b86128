/** Backups of the world's store, and what a restore makes of one. */
import { HELD_AMOUNT, type ProcessorIndex, SETTLED } from '../domain/payment.ts';
import { makeNewStore } from '../storage/embedded/restoring.ts';
import type { Dice } from './dice.ts';
import { WALL_START_MS } from './event-loop.ts';
import { LOG_DIRECTORY } from './index-disk.ts';
import type { Invariants } from './invariants.ts';
import type { Surroundings } from './surroundings.ts';

/** A store as a backup has it: the index, and the log behind it. */
export interface StoreCopy {
  readonly index: Uint8Array;
  readonly files: ReadonlyMap<string, Uint8Array>;
}

/** Undefined: there is nothing yet, or no disk. */
export function copyOfStore({ disk, index, trace }: Surroundings): StoreCopy | undefined {
  const files = disk.copy();
  if (disk.isOut || files.size === 0) return undefined;
  trace.say(undefined, 'world', () => 'makes a backup');
  return { index: index.copy(), files };
}

/** Puts a copy in the place of the store, which nobody uses now. */
export function restoreCopy(
  { disk, index, archive, eventLoop, observer, invariants }: Surroundings,
  copy: StoreCopy,
  asksFirstUntilMs: number,
  dice: Dice,
): void {
  index.replace(copy.index);
  archive.takeAway();
  disk.replace(copy.files);
  makeNewStore({
    database: index.database,
    files: disk.filesOf(undefined, eventLoop),
    directory: LOG_DIRECTORY,
    store: Uint8Array.from({ length: 8 }, () => dice.whole(0, 255)),
    asksFirstUntilMs,
    wallMs: () => WALL_START_MS + eventLoop.nowMs,
  });
  index.sync();
  observer.rebuild();
  invariants.restored();
}

/** The log was damaged: nobody knows any more what was unsettled and is on its way. */
export function forgetWhatIsOpen({ payments, memory }: Invariants): void {
  for (const payment of payments.values()) {
    if (memory.payments.get(payment.id)?.state === SETTLED) continue;
    payment.open = 0;
    payment.last = undefined;
  }
}

/**
 * What processors have of payments that a restore lost and nobody sent again, or whose client sent another
 * amount: such a one is held.
 */
export function lostInBooks({ invariants, addresses }: Pick<Surroundings, 'invariants' | 'addresses'>): {
  from: ProcessorIndex;
  requestedAtMs: number;
  cents: number;
}[] {
  return [...invariants.payments.values()].flatMap(({ isLost, recordedBy, id }) => {
    const row = invariants.memory.payments.get(id);
    const isHeld = row?.held === HELD_AMOUNT && invariants.isHeldForGood(row);
    if (recordedBy === undefined || !(isLost || isHeld)) return [];
    return { from: recordedBy, ...addresses.entry(recordedBy, id)! };
  });
}
