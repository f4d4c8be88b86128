/**
 * The two limits of a processor: how many requests are at work at once, and how often its health may be
 * asked. Both let a few wait in line and refuse the rest.
 */
import { Queue } from 'mnemonist';

export const AT_WORK_MAX = 800;
export const WAITING_MAX = 500;

/** Up to 800 at work; 500 more wait, first come, first served. */
export class Admission {
  #atWork = 0;
  readonly #waiting = new Queue<() => void>();

  get atWork(): number {
    return this.#atWork;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Runs `work` now or as soon as there is a slot, which it gives back by `leave()`; false when refused. */
  enter(work: () => void): boolean {
    if (this.#atWork < AT_WORK_MAX) {
      this.#atWork += 1;
      work();
      return true;
    }
    if (this.#waiting.size >= WAITING_MAX) return false;
    this.#waiting.enqueue(work);
    return true;
  }

  /** Gives a slot back; the longest waiting, if any, takes it over. */
  leave(): void {
    const next = this.#waiting.dequeue();
    if (next === undefined) this.#atWork -= 1;
    else next();
  }
}

const HEALTH_WINDOW_MS = 5000;
const HEALTH_WAITING_MAX = 2;

/**
 * One question in each window of 5 s; two more wait, each for a window of its own, so up to 10 s. The windows
 * follow one another from `startMs` on, whoever asks when.
 */
export class HealthWindow {
  readonly #startMs: number;
  #lastServed = -1;
  readonly #waiting = new Queue<() => void>();

  /** `startMs` on the same monotonic clock as every `nowMs` below. */
  constructor(startMs: number) {
    this.#startMs = startMs;
  }

  /**
   * 'now': answer at once. A number: refused, in so many milliseconds there may be room. 'later': `serve` is
   * called by a `tick`, of which the caller must provide one at the end of the present window.
   */
  ask(nowMs: number, serve: () => void): 'now' | 'later' | number {
    const window = this.#windowAt(nowMs);
    if (this.#waiting.size === 0 && this.#lastServed < window) {
      this.#lastServed = window;
      return 'now';
    }
    if (this.#waiting.size >= HEALTH_WAITING_MAX) return this.untilNextMs(nowMs);
    this.#waiting.enqueue(serve);
    return 'later';
  }

  /** Serves the first in line if this window is still free. Whether more are waiting, for a next tick. */
  tick(nowMs: number): boolean {
    const window = this.#windowAt(nowMs);
    if (this.#lastServed < window) {
      const serve = this.#waiting.dequeue();
      if (serve !== undefined) {
        this.#lastServed = window;
        serve();
      }
    }
    return this.#waiting.size > 0;
  }

  /** Milliseconds to the beginning of the next window, more than 0. */
  untilNextMs(nowMs: number): number {
    return (this.#windowAt(nowMs) + 1) * HEALTH_WINDOW_MS + this.#startMs - nowMs;
  }

  #windowAt(nowMs: number): number {
    return Math.floor((nowMs - this.#startMs) / HEALTH_WINDOW_MS);
  }
}
