/**
 * The snapshot that an instance publishes with each beat, so that any instance can answer for all. Compact,
 * since it goes through the store twice a second. Counters count from the start of the process.
 */
import type { PackedHistogram } from './histogram.ts';

export interface InstanceSnapshot {
  /** The version of this shape; snapshots of another version are ignored. */
  readonly version: typeof PUBLISHED_VERSION;
  /** When the snapshot was taken, on the wall clock. */
  readonly atMs: number;
  /** Connections of clients or of the proxy. */
  readonly connections: number;
  /** Answers by method, route and status. */
  readonly answers: readonly (readonly [
    method: string,
    route: string,
    status: number,
    took: PackedHistogram,
  ])[];
  readonly refusals: Readonly<Record<string, number>>;
  readonly accepted: number;
  /** By processor, like every pair below. */
  readonly settled: readonly [number, number];
  readonly cents: readonly [number, number];
  readonly settling: PackedHistogram;
  /** Counts by outcome, in snake case. */
  readonly attempts: readonly [Readonly<Record<string, number>>, Readonly<Record<string, number>>];
  readonly queue: QueueFigures;
  readonly processors: readonly [ProcessorFigures, ProcessorFigures];
  readonly commits: PackedHistogram;
  readonly storeBytes: number;
  /** Missing where the store is on other machines, or nothing is kept free. */
  readonly disk?: DiskReserveFigures;
  /** Damaged or lost parts of the store's log that this instance found; missing in older snapshots. */
  readonly logDamaged?: number;
  readonly runtime: ProcessFigures;
  /** Only of the instance that compares the books. */
  readonly books?: ReconciledBooks;
  /** Why this instance does not take payments; empty when it does. */
  readonly reasons: readonly string[];
}

export const PUBLISHED_VERSION = 1;

export interface QueueFigures {
  /** Payments in memory, of at most `capacity`. */
  readonly length: number;
  readonly capacity: number;
  readonly pinned: number;
  readonly oldestMs: number;
  readonly atWork: number;
}

/** Of the store's disk. */
export interface DiskReserveFigures {
  readonly freeBytes: number;
  /** With less than this no new payment is taken. */
  readonly reserveBytes: number;
}

export interface ProcessorFigures {
  readonly circuit: 'closed' | 'open' | 'half-open';
  /** The probe of a half-open circuit is on its way. */
  readonly probing: boolean;
  /** When the next probe may leave, on the wall clock; 0 when it may now, or waits for another event. */
  readonly probeAtMs: number;
  /** When its last health report arrived, on the wall clock; 0 when there was none. */
  readonly healthAtMs: number;
}

/** Of the process: memory in bytes, times in seconds. */
export interface ProcessFigures {
  readonly pid: number;
  readonly node: string;
  readonly soquete: string;
  readonly startSeconds: number;
  readonly cpuUserSeconds: number;
  readonly cpuSystemSeconds: number;
  readonly residentBytes: number;
  readonly heapTotalBytes: number;
  readonly heapUsedBytes: number;
  readonly externalBytes: number;
  readonly openFds: number;
  readonly maxFds: number;
  readonly activeResources: number;
  /** Share of the time in which the event loop was busy, 0 to 1, over the last seconds. */
  readonly busy: number;
  /**
   * The event loop's delay over the last seconds: min, max, mean, standard deviation, 50th, 90th, 99th
   * percentile.
   */
  readonly lagSeconds: readonly number[];
  /** Collections by kind: how many, and the seconds they took. */
  readonly gc: Readonly<Record<string, readonly [count: number, seconds: number]>>;
}

/** soquete's books and the processors' own, over a closed window; in cents. */
export interface ReconciledBooks {
  readonly fromMs: number;
  readonly toMs: number;
  /** When the books were compared. */
  readonly atMs: number;
  readonly sides: readonly [BooksSide, BooksSide];
}

export interface BooksSide {
  readonly count: number;
  readonly cents: number;
  /** Of the processor; null when it did not answer. */
  readonly theirs: { readonly count: number; readonly cents: number; readonly feeShare: number } | null;
  /** Theirs less ours, where it cannot be a payment on its way between the two. */
  readonly differenceCents: number;
  readonly differenceCount: number;
}

/** One instance as the others see it. */
export interface InstanceSeen {
  readonly name: string;
  readonly alive: boolean;
  /** Unsettled payments that it owns, those that only the store holds included. */
  readonly unsettled: number;
  /** Undefined when it has published nothing yet. */
  readonly figures: InstanceSnapshot | undefined;
}

/** The processors' health and the instance that asks for it: the same for all instances. */
export interface SharedHealth {
  readonly health: readonly { readonly failing: boolean; readonly minResponseMs: number }[];
  readonly checker: string;
}

/**
 * One second; rates in payments a second, durations in ms as [median, 99th percentile], null where there were
 * none.
 */
export interface Sample {
  readonly atMs: number;
  readonly accepted: number;
  readonly default: number;
  readonly fallback: number;
  readonly waiting: number;
  readonly pinned: number;
  readonly answerMs: readonly (number | null)[];
  readonly settleMs: readonly (number | null)[];
}

/** The snapshot in `text`; undefined when there is none, or one of another version. */
export function readPublished(text: string): InstanceSnapshot | undefined {
  if (text === '') return undefined;
  try {
    const figures = JSON.parse(text) as Partial<InstanceSnapshot>;
    return figures.version === PUBLISHED_VERSION ? (figures as InstanceSnapshot) : undefined;
  } catch {
    return undefined;
  }
}
