/** What an archiver asks of a store on a server, whichever it is. Each call throws `StoreFault`. */
import type { ArchivedAct, ArchivedAttempt, ArchivedRow } from './archive-line.ts';

/** How long settled payments, and then their ids, are kept. */
export interface Retention {
  readonly keptMs: number;
  /** Infinity: for ever. */
  readonly idsKeptMs: number;
  /** Sums stay exact to the millisecond from here on (wall clock). */
  readonly exactFromMs: number;
}

export interface DuePayment {
  /** Its `seq` says nothing. */
  readonly row: ArchivedRow;
  readonly attempts: readonly ArchivedAttempt[];
  readonly acts: readonly ArchivedAct[];
}

export interface DuePage {
  readonly payments: readonly DuePayment[];
  /** What the store wants to know again when they go. */
  readonly place: unknown;
  /** What the next page is asked for with; undefined: there is none. */
  readonly next: DueFrom | undefined;
}

/**
 * `late`: those that stayed when others of their time went, behind a seq. `arrivals`: the oldest that are
 * there. A store that has both in one order is asked for all as `late`.
 */
export type DueFrom = { readonly is: 'late'; readonly after: string } | { readonly is: 'arrivals' };

/** A file of a day, as it was and as it is now. */
export interface GrownFile {
  readonly day: string;
  readonly part: number;
  /** With the keeper's before it. */
  readonly name: string;
  /** In bytes. */
  readonly before: number;
  readonly bytes: number;
}

/** Where the archive is kept, and how long ago that was (ms). */
export interface KeptElsewhere {
  readonly where: string;
  readonly agoMs: number;
}

export interface StoreArchive {
  /** Of the store. */
  id(): Promise<string>;
  /**
   * Has the archive `keeper` be that of this store; another one that was at work within ten minutes stays it.
   */
  keep(keeper: string, where: string): Promise<KeptElsewhere | undefined>;
  /** Settled payments that were requested and settled before. They stay until they are moved. */
  due(beforeMs: number, from: DueFrom): Promise<DuePage>;
  /**
   * Lets a page's payments go, which are in these files and on their disk, and notes how long those are.
   * False: nothing is changed, as something is not as it was.
   */
  move(keeper: string, page: DuePage, files: readonly GrownFile[], exactFromMs: number): Promise<boolean>;
  /**
   * Some of the archived ids that were requested before, from a position on; 0 is the first, and ends a
   * round.
   */
  forget(idsBeforeMs: number, from: number): Promise<{ readonly forgotten: number; readonly next: number }>;
  /** How long they are, or which is the last part of a day; 0: not known. */
  filesOf(names: readonly string[]): Promise<number[]>;
  /** Files that have grown since their checksum was written down. */
  grown(): Promise<{ readonly name: string; readonly bytes: number }[]>;
  summed(files: readonly { readonly name: string; readonly bytes: number }[]): Promise<void>;
}
