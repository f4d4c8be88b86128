/**
 * A pin belongs to a processor, not to the word `default`: where the address of one is another than when its
 * payments were sent, they must not go to the new one, which may not have them.
 */
import {
  idText,
  PROCESSORS,
  type Processor,
  type ProcessorIndex,
  type StoredPayment,
} from '../domain/payment.ts';
import type { Act, ActResult } from '../storage/acts.ts';
import { type ProcessorUrls, promised, type Store } from '../storage/ports.ts';

/** Payments may be processed by a processor that has another address now. Starting again does not help. */
export class PinnedElsewhere extends Error {
  override name = 'PinnedElsewhere';
  readonly processor: Processor;
  readonly before: string;
  readonly count: number;
  constructor(processor: Processor, before: string, count: number) {
    super(`${count} payments may be processed by ${before}`);
    this.processor = processor;
    this.before = before;
    this.count = count;
  }
}

/** Payments that are held with one question. */
const PAGE = 500;

export interface AddressParts {
  readonly store: Store;
  readonly urls: ProcessorUrls;
  /** Payments that are pinned to an earlier address are held; otherwise nobody starts. */
  readonly mayHold: boolean;
  /** Wall clock. */
  readonly nowMs: () => number;
}

/**
 * Compares the addresses with those that the store remembers, before anything leaves, and has it remember
 * these. Returns how many payments are held for that. Throws `PinnedElsewhere`, with nothing changed, and
 * `Unavailable`.
 */
export async function settleAddresses({ store, urls, mayHold, nowMs }: AddressParts): Promise<number> {
  const before = await promised<ProcessorUrls | undefined>(reply => store.urls(reply));
  const changed = ([0, 1] as const).filter(each => before !== undefined && before[each] !== urls[each]);
  if (!mayHold) for (const each of changed) await refusePins(store, each, before![each]);
  let held = 0;
  for (const each of changed) {
    for (;;) {
      const pinned = await pinnedTo(store, each);
      const text = `it may be processed by ${before![each]}, the address of ${PROCESSORS[each]} until then`;
      for (const { id } of pinned) await hold(store, { id, text, atMs: nowMs() });
      held += pinned.length;
      if (pinned.length < PAGE) break;
    }
  }
  if (before === undefined || changed.length > 0)
    await promised<true>(reply => store.rememberUrls(urls, reply));
  return held;
}

async function refusePins(store: Store, processor: ProcessorIndex, before: string): Promise<void> {
  const pinned = await pinnedTo(store, processor);
  if (pinned.length > 0) throw new PinnedElsewhere(PROCESSORS[processor], before, pinned.length);
}

const pinnedTo = (store: Store, processor: ProcessorIndex): Promise<StoredPayment[]> =>
  promised(reply => store.pinnedTo(processor, PAGE, reply));

async function hold(store: Store, { id, text, atMs }: Pick<Act, 'id' | 'text' | 'atMs'>): Promise<void> {
  const act: Act = {
    kind: 'hold',
    id,
    processor: undefined,
    requestedAtMs: 0,
    atMs,
    who: 'PROCESSOR_URL_CHANGED',
    text,
  };
  const result = await promised<ActResult>(reply => store.act(act, reply));
  // It may have ended meanwhile through an instance that was still at work.
  if (result !== 'done' && result !== 'settled' && result !== 'closed')
    throw new Error(`${idText(id)} cannot be held: ${result}`);
}
