/**
 * How many attempts may be at work on one processor at once: as many as make it faster, found by trying.
 *
 * A processor that takes its time (100 ms of delay) settles more with more attempts at work, and each takes
 * as long as before: the limit grows. One that is busy, or an event loop that is, only makes each take
 * longer: the limit shrinks. So the time an attempt takes is compared with the shortest seen lately.
 *
 * Pure: time comes in as monotonic milliseconds.
 */
import assert from 'node:assert/strict';

/** Enough for 300 payments a second at 100 ms each, before anything is learned. */
export const LIMIT_MIN = 32;
/** An attempt that takes this many times the shortest one was waiting somewhere. */
const SLOWER = 2;
/** Below this an attempt is quick whatever the shortest took: the event loop's turns are about as long. */
const QUICK_MS = 5;
/** The shortest time is learned anew this often, since a processor may have become slower for good. */
const WINDOW_MS = 2000;

export class AdaptiveLimit {
  readonly #max: number;
  readonly #min: number;
  #value: number;
  #shortestMs = Infinity;
  #shortestInWindowMs = Infinity;
  #windowEndsMs = -Infinity;

  constructor(max: number) {
    assert(max >= 1);
    this.#max = max;
    this.#min = Math.min(LIMIT_MIN, max);
    this.#value = this.#min;
  }

  /** Attempts that may be at work at once. */
  get value(): number {
    return Math.floor(this.#value);
  }

  /** An attempt was answered after `durationMs`, when `atWork` were at work, itself included. */
  answered(durationMs: number, atWork: number, nowMs: number): void {
    if (nowMs >= this.#windowEndsMs) {
      this.#shortestMs = this.#shortestInWindowMs;
      this.#shortestInWindowMs = Infinity;
      this.#windowEndsMs = nowMs + WINDOW_MS;
    }
    this.#shortestInWindowMs = Math.min(this.#shortestInWindowMs, durationMs);
    this.#shortestMs = Math.min(this.#shortestMs, durationMs);
    if (durationMs > Math.max(this.#shortestMs * SLOWER, QUICK_MS)) {
      // One slow answer is chance; a limit's worth of them halves it.
      this.#value = Math.max(this.#min, this.#value - 0.5);
    } else if (atWork * 2 > this.#value) {
      this.#value = Math.min(this.#max, this.#value + 0.5);
    }
  }
}
