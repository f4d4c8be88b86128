/**
 * The store: the shared memory of all backends of one deployment, and what is left after a crash.
 *
 * Everything is asked in batches and answered by callback, in the order in which it was asked: so the same
 * callers run on a worker thread's messages in production and on a virtual clock in the simulation, where
 * a promise's micro-task would hide what happens when. A call answers exactly once, with its result or with a
 * `StoreFault`.
 *
 * Fencing. An instance that joins gets a new `epoch`. Every write is done in a transaction that first
 * compares the epoch: an instance that was declared dead (`fence`) while it was only paused gets the fault
 * `fenced` and changes nothing. Owners are compared with the same care: `adopt` takes only from the dead.
 *
 * Terms. Where writes may have been lost, by a machine that lost its power, say, what the store holds of a
 * payment may be older than what became of it. Then a new `term` begins: see `Joined`.
 *
 * Purging. A purge raises the `generation`. A write of an older generation changes nothing (`FORGOTTEN` for
 * each of its operations) and its answer names the new generation, so its writer learns what to forget.
 */

import type { ProcessorIndex, StoredPayment, Summary } from '../domain/payment.ts';
import { Unavailable } from '../domain/unavailable.ts';
import type { Act, ActResult } from './acts.ts';
import type { Batch } from './batch.ts';

export type Reply<T> = (answer: T | StoreFault) => void;

/**
 * Why the store did not do what it was asked, or may not have.
 *
 * `fenced`, `full` and `busy` are certain: nothing was changed. `full` and `busy` pass; the same may be asked
 * again.
 *
 * `unanswered`: it is not known whether it was done. A batch has to be written again as it was, with its
 * number, until there is another answer: it takes effect once, and its first results come back. What a fault
 * says of such a repetition, it does not say of the batch. Anything else is done at most once more by asking
 * again, which does no harm.
 *
 * `lost`: what was written may be gone. The store has to be opened anew (`Reopening`), and a term begins.
 */
export class StoreFault {
  readonly reason: 'fenced' | 'full' | 'busy' | 'unanswered' | 'lost';
  readonly detail: string;
  constructor(reason: StoreFault['reason'], detail: string) {
    this.reason = reason;
    this.detail = detail;
  }
}

/**
 * A put that was inserted answers with its seq (above 0); MARK, SETTLE, ATTEMPT and PUT_ON_HOLD that took
 * effect with DONE.
 */
export const DONE = 1;
/**
 * PUT: the store has a payment of this id already, whichever instance owns it. The
 * others: it is settled or closed, or not ours.
 */
export const KNOWN = -1;
/** INSERT: the store has a payment of this id with another amount. */
export const OTHER_AMOUNT = -3;
/** The operation belongs to an older generation: it was purged. */
export const FORGOTTEN = -2;

/** Any other error is a bug. What keeps the store from being opened is said again by `reopen`. */
export function faultIn(error: unknown): StoreFault {
  if (error instanceof StoreFault) return error;
  if (error instanceof StoreOpenError) return new StoreFault('lost', error.message);
  throw error;
}

/** One line for people. */
export const describeFault = ({ reason, detail }: StoreFault): string =>
  `the store ${reason === 'unanswered' ? 'does not answer' : `is ${reason}`}: ${detail}`;

/** A store's answer as a promise; a fault rejects with `Unavailable`, whose `cause` it is. */
export function promised<T>(call: (reply: Reply<T>) => void): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  call(answer => {
    if (answer instanceof StoreFault) reject(new Unavailable(describeFault(answer), { cause: answer }));
    else resolve(answer);
  });
  return promise;
}

export interface Written {
  readonly generation: number;
  /** One result an operation, in order: a seq, DONE, KNOWN or FORGOTTEN. */
  readonly results: Float64Array;
}

export interface Joined {
  readonly epoch: number;
  readonly generation: number;
  /**
   * Rises when an instance that joins finds that writes may have been lost since the last one joined: an
   * instance that does not wait for its disk used the store on a machine that has started anew since, or the
   * store was lost under its users. Every payment that waits may then have been sent since it was last
   * written, to the processor that its last written attempt went to (to default if there was none): it is
   * made PINNED there. A batch that changes a payment's processor is flushed, so it can be nowhere else.
   */
  readonly term: number;
  /** Payments that this joining pinned. */
  readonly pinned: number;
  /**
   * Payments that are accepted before this instant (wall clock, ms since 1970; 0: none) are uncertain
   * (`StoredPayment`): what the store may have forgotten may come again.
   */
  readonly asksFirstUntilMs: number;
  /** What was sent before the store became doubtful can be expected to be recorded by now. */
  readonly isCalm: boolean;
}

export interface HealthReport {
  readonly failing: boolean;
  readonly minResponseMs: number;
  /** Rises with every report, so that a reader knows an old one from a new one. 0: never asked. */
  readonly version: number;
}

export interface InstanceView {
  readonly name: string;
  readonly epoch: number;
  /** Rises while the instance lives; another that sees it stand still, by its own clock, may fence it. */
  readonly beat: number;
  /** False once fenced or left. */
  readonly alive: boolean;
  /** The generation that the instance has taken notice of. */
  readonly generation: number;
  /** Unsettled payments that it owns (exact; cheap to count, or kept as a count). */
  readonly unsettled: number;
  /** What the instance last published of itself (JSON), for /metrics and the dashboard. */
  readonly figures: string;
}

/** What all instances share besides payments. */
export interface Shared {
  readonly generation: number;
  /**
   * Of `Joined`; it may rise while an instance lives, when another one found that writes may have been lost.
   */
  readonly term: number;
  readonly instances: readonly InstanceView[];
  /** Health of the processors, by ProcessorIndex. */
  readonly health: readonly [HealthReport, HealthReport];
  /** The name of the instance that asks the processors' health, '' when none does. */
  readonly checker: string;
}

/**
 * A store that cannot be opened; the message is one line that says what to do. Starting again will not help.
 */
export class StoreOpenError extends Error {
  override name = 'StoreOpenError';
}

/** Another process holds the name: it lives, so it is not waited for. */
export class NameTakenError extends StoreOpenError {
  override name = 'NameTakenError';
  constructor(instance: string, store: string) {
    super(
      `INSTANCE ${instance} is in use by another process on the store ${store}: ` +
        'end that one, or give this one another INSTANCE or STORE_URL',
    );
  }
}

/** Of a disk, in bytes. */
export interface DiskSpace {
  /** For those who are not root. */
  readonly free: number;
  readonly total: number;
}

export interface Reopening {
  /**
   * Opens the store anew when it was lost. What was asked before is answered with a fault, and the next
   * instance that joins begins a term. Rejects with `StoreOpenError` while it is not there; may be asked
   * again then, unless it was `NameTakenError`.
   */
  reopen(): Promise<void>;
}

/** By ProcessorIndex, as `ProcessorUrl.identity`. */
export type ProcessorUrls = readonly [string, string];

export interface Store {
  /**
   * A batch costs a round trip and more: under load one may wait so long, in ms from the one before, for more
   * rows, and settlements twice as long (`payments/batch-pace.ts`). Left out: none waits.
   */
  readonly gathersMs?: number;
  /**
   * Joins as `instance`, alive, with a new epoch that fences an earlier holder of that name. Payments it
   * owned before stay its own.
   */
  join(instance: string, reply: Reply<Joined>): void;
  /**
   * The whole batch, in order; all of it or nothing, and known to all instances when this replies, which may
   * be before it returns. The batch belongs to the store until the reply. One with `isFlushed` is safe from a
   * power loss when this replies, and all before it.
   *
   * The batch that an instance wrote last may be written again, known by its epoch and its number: it changes
   * nothing more, and gets its first results. An epoch that has ended meanwhile is `fenced` all the same, and
   * what was purged meanwhile is `FORGOTTEN`.
   *
   * One without rows asks whether there is room for new payments: it is `full` where they would be.
   */
  write(batch: Batch, reply: Reply<Written>): void;
  /** Own unsettled payments that are not held, with a seq above `afterSeq`, ascending, at most `limit`. */
  take(afterSeq: number, limit: number, reply: Reply<StoredPayment[]>): void;
  /**
   * Own held payments that are due at `dueMs` (see `isHeldDue`), those first that are due first, at most
   * `limit`.
   * One that was attempted is due until it is held again.
   */
  takeHeld(dueMs: number, limit: number, reply: Reply<StoredPayment[]>): void;
  /** Makes the unsettled payments of a dead instance our own, to be taken; replies with how many they are. */
  adopt(instance: string, reply: Reply<number>): void;
  find(id: Uint8Array, reply: Reply<StoredPayment | undefined>): void;
  /**
   * An operator's act, through any instance that has joined, whoever owns the payment. A retry makes a held
   * one due; a settlement is booked as if the processor had
   * answered; a close ends it. Known to all instances and safe from a power loss when this replies.
   */
  act(act: Act, reply: Reply<ActResult>): void;
  /** The processors' addresses that `rememberUrls` was called with last; undefined: never. */
  urls(reply: Reply<ProcessorUrls | undefined>): void;
  /** Safe from a power loss when this replies. */
  rememberUrls(urls: ProcessorUrls, reply: Reply<true>): void;
  /**
   * Unsettled payments of all instances that a processor may have, but for those that are held for its
   * address; at most `limit`.
   */
  pinnedTo(processor: ProcessorIndex, limit: number, reply: Reply<StoredPayment[]>): void;
  /**
   * Settled payments by the `requestedAt` that was booked, inclusive bounds in ms, +-Infinity for an open
   * end.
   */
  summary(fromMs: number, toMs: number, reply: Reply<Summary>): void;
  /** Reads what is shared. Cheap where nothing has changed. */
  look(reply: Reply<Shared>): void;
  /**
   * `changed` is called when another instance may have changed what is shared; undefined: no more. A store
   * that has no way to learn of that leaves this out, and is looked at often.
   */
  watch?(changed: (() => void) | undefined): void;
  /** Beats: our beat + 1, and our figures. Fault `fenced` when we were declared dead. */
  beat(figures: string, reply: Reply<Shared>): void;
  /**
   * Declares an instance dead if its epoch and beat are still those seen (epoch + 1); frees its checker's
   * lease.
   */
  fence(instance: string, epoch: number, beat: number, reply: Reply<boolean>): void;
  /** Takes the checker's lease if its holder is still `holder` ('' for none). */
  takeChecker(holder: string, reply: Reply<boolean>): void;
  /** Publishes a processor's health (version + 1). Only the holder of the checker's lease may: else false. */
  report(processor: ProcessorIndex, failing: boolean, minResponseMs: number, reply: Reply<boolean>): void;
  /**
   * Generation + 1, every payment and total deleted, replies with the new generation. Health and instances
   * stay. Safe from a power loss when this replies.
   */
  purge(reply: Reply<number>): void;
  /** A graceful leave: not alive, lease freed; then everything is closed. */
  leave(reply: Reply<true>): void;
}
