/**
 * The radix tree of time: why a summary takes as long over ten million payments as over ten.
 *
 * Level 0 has a bucket for each millisecond of `requestedAt`, level k one for each 64^k ms:
 *
 *     level 6   2.2 years   ...   level 2   4.1 s   level 1   64 ms   level 0   1 ms
 *
 * A settlement is added to one bucket of each level; a batch of settlements first adds up, since most of it
 * falls into the same buckets. A window is then the sum of at most 63 buckets of each level on either side,
 * and of a few at the top:
 *
 *     level 2                 [ 2 .. 2 ]
 *     level 1      [ 97 .. 127 ]      [ 192 .. 200 ]
 *     level 0   [ 6200 .. 6207 ]          [ 12864 .. 12866 ]
 */

import { addCents, addTotal, emptyTotal, type Total } from '../domain/money.ts';
import type { ProcessorIndex } from '../domain/payment.ts';

/** 64 buckets make one of the next level: a window then touches some 500 rows on average, all neighbours. */
export const RADIX = 64;
export const LEVELS = 7;

/** Told of the buckets `from` to `to`, both included, of `level`; the ends may be infinite at the top. */
export type EachRange = (level: number, from: number, to: number) => void;

/**
 * Cuts a window (whole ms, both ends inclusive, either may be infinite) into ranges of buckets that cover it
 * exactly. A window that ends before it starts has none.
 */
export function rangesOf(fromMs: number, toMs: number, each: EachRange): void {
  let from = Math.ceil(fromMs);
  let end = Math.floor(toMs) + 1;
  for (let level = 0; level < LEVELS - 1; level++) {
    if (from >= end) return;
    const firstWhole = Math.ceil(from / RADIX);
    const endWhole = Math.floor(end / RADIX);
    if (firstWhole >= endWhole && Number.isFinite(from) && Number.isFinite(end)) {
      each(level, from, end - 1);
      return;
    }
    if (Number.isFinite(from) && from < firstWhole * RADIX) each(level, from, firstWhole * RADIX - 1);
    if (Number.isFinite(end) && endWhole * RADIX < end) each(level, endWhole * RADIX, end - 1);
    from = firstWhole;
    end = endWhole;
  }
  if (from < end) each(LEVELS - 1, from, end - 1);
}

export type EachTotal = (
  level: number,
  bucket: number,
  processor: ProcessorIndex,
  total: Readonly<Total>,
) => void;

/** What a batch of settlements adds to the tree. */
export class TotalsSum {
  readonly #milliseconds: [Map<number, Total>, Map<number, Total>] = [new Map(), new Map()];

  /** Adds one settlement by the `requestedAt` that is in the processor's book. */
  add(processor: ProcessorIndex, requestedAtMs: number, cents: number): void {
    const buckets = this.#milliseconds[processor];
    const bucket = Math.floor(requestedAtMs);
    let total = buckets.get(bucket);
    if (total === undefined) {
      total = emptyTotal();
      buckets.set(bucket, total);
    }
    addCents(total, cents);
  }

  /** Calls `each` once for every bucket of every level that something was added to. */
  each(each: EachTotal): void {
    for (const processor of [0, 1] as const) {
      let buckets: Map<number, Total> = this.#milliseconds[processor];
      for (let level = 0; level < LEVELS && buckets.size > 0; level++) {
        for (const [bucket, total] of buckets) each(level, bucket, processor, total);
        buckets = coarser(buckets);
      }
    }
  }
}

/** The buckets of the next level. */
function coarser(buckets: Map<number, Total>): Map<number, Total> {
  const next = new Map<number, Total>();
  for (const [bucket, total] of buckets) {
    const parent = Math.floor(bucket / RADIX);
    const sum = next.get(parent);
    if (sum === undefined) next.set(parent, { ...total });
    else addTotal(sum, total);
  }
  return next;
}
