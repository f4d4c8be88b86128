/**
 * How fast something leaves, and so how long a client may wait before it asks again.
 *
 * Pure: time comes in as monotonic milliseconds.
 */

/** The span over which is counted. A gap of two spans says nothing of now: it is not counted over. */
const SPAN_MS = 1000;
/** Nobody is sent away for longer: what is in the way may go faster than it did. */
const WAIT_SECONDS_MAX = 60;

export class FallRate {
  #total = 0;
  #sinceMs = -Infinity;
  /** Undefined: not known yet. */
  #perSecond: number | undefined;

  /** `total`: how much has left since the beginning, at `nowMs`. */
  at(nowMs: number, total: number): void {
    const spanMs = nowMs - this.#sinceMs;
    if (spanMs < SPAN_MS) return;
    this.#perSecond = spanMs > 2 * SPAN_MS ? undefined : ((total - this.#total) / spanMs) * 1000;
    this.#total = total;
    this.#sinceMs = nowMs;
  }

  /** Whole seconds until so much has left: 1 to 60; 1 as long as nothing is known. */
  secondsFor(amount: number): number {
    if (this.#perSecond === undefined) return 1;
    if (this.#perSecond <= 0) return WAIT_SECONDS_MAX;
    return Math.max(1, Math.min(WAIT_SECONDS_MAX, Math.ceil(amount / this.#perSecond)));
  }
}
