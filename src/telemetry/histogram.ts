/**
 * Durations in fixed buckets: counting one is a short search and two additions, and the counts of several
 * instances can be added.
 */

/** Upper bounds in ms for short durations: of answers and commits. */
export const MOMENTS_MS: readonly number[] = [
  0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000,
];
/** Upper bounds in ms for long durations: from an acceptance to its settlement. */
export const WHILES_MS: readonly number[] = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
];

/** A published histogram: the sum in ms, then the count of each bucket, without the zeros at the end. */
export type PackedHistogram = readonly number[];

export class Histogram {
  readonly #bounds: Float64Array;
  /** One more than there are bounds: the last one counts durations longer than all bounds. */
  readonly #counts: Float64Array;
  #sumMs = 0;

  constructor(boundsMs: readonly number[]) {
    this.#bounds = Float64Array.from(boundsMs);
    this.#counts = new Float64Array(boundsMs.length + 1);
  }

  add(durationMs: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && durationMs > bounds[bucket]!) bucket++;
    this.#counts[bucket]! += 1;
    this.#sumMs += durationMs;
  }

  pack(): PackedHistogram {
    let length = this.#counts.length;
    while (length > 0 && this.#counts[length - 1] === 0) length--;
    const packed: number[] = [Math.round(this.#sumMs * 1000) / 1000];
    for (let bucket = 0; bucket < length; bucket++) packed.push(this.#counts[bucket]!);
    return packed;
  }
}

/** Adds `times` the counts of `packed` to `counts`, which has one place more than there are bounds. */
export function addPacked(counts: Float64Array, packed: PackedHistogram, times = 1): void {
  for (let at = 1; at < packed.length && at <= counts.length; at++) counts[at - 1]! += packed[at]! * times;
}

/** The duration in ms that a share (0 to 1) of the counts does not exceed; undefined without counts. */
export function quantileMs(
  boundsMs: readonly number[],
  counts: ArrayLike<number>,
  share: number,
): number | undefined {
  let total = 0;
  for (let bucket = 0; bucket < counts.length; bucket++) total += counts[bucket]!;
  if (total <= 0) return undefined;
  let below = 0;
  for (let bucket = 0; bucket < counts.length; bucket++) {
    const count = counts[bucket]!;
    if (count > 0 && below + count >= share * total) {
      const upper = boundsMs[bucket];
      if (upper === undefined) break;
      const lower = bucket === 0 ? 0 : boundsMs[bucket - 1]!;
      return lower + (upper - lower) * Math.max(0, (share * total - below) / count);
    }
    below += count;
  }
  return boundsMs.at(-1);
}
