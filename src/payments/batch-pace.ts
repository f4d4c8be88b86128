/**
 * When a batch leaves for a store that is a round trip away. Each batch costs such a store as much as ten
 * rows do, and its answers come so fast, while the store has time, that batches would stay small under any
 * load (natural batches grow only once the store is slow). So under load batches leave in even steps.
 *
 * A step is as long as it takes for a good batch to come together, at most `longestMs`. Where fewer rows come
 * than are worth waiting for, nothing waits; nor once no more rows come: clients that all wait for their
 * answers send nothing.
 *
 * Nobody waits for a settlement. As a batch of its own, at once, each would cost as much as an acceptance,
 * and the next client would wait for that; in the client's batch it makes that one longer. So they gather for
 * two of the longest steps and leave together, with what else leaves then.
 */

/** A batch of so many rows need not wait for more. */
const GOOD_ROWS = 32;
/** Fewer rows than this in the longest step: they leave at once. */
const ROWS_MIN = 8;
/** Without another row for so long, a batch leaves. */
const QUIET_MS = 1;
const SETTLED_STEPS = 2;
/** How long rows are counted before that says how many come: a burst is no load. */
const COUNTED_MS = 250;

export class BatchPace {
  readonly #longestMs: number;
  #rows = 0;
  #countedFromMs = 0;
  #rowsPerMs = 0;
  #sentAtMs = -Infinity;
  #seen = 0;
  #grewAtMs = -Infinity;

  constructor(longestMs: number) {
    this.#longestMs = longestMs;
  }

  /** In how many ms to ask again whether a batch that has `rows` by now is to leave; 0: it leaves. */
  waitMs(nowMs: number, rows: number): number {
    this.#count(nowMs);
    if (rows !== this.#seen) this.#grewAtMs = nowMs;
    this.#seen = rows;
    if (rows >= GOOD_ROWS) return 0;
    if (this.#rowsPerMs * this.#longestMs < ROWS_MIN) return 0;
    const stepMs = Math.min(this.#longestMs, GOOD_ROWS / this.#rowsPerMs);
    return Math.max(0, Math.min(this.#sentAtMs + stepMs, this.#grewAtMs + QUIET_MS) - nowMs);
  }

  /** In how many ms settlements are due, of which there are `count` and the first has waited; 0: they are. */
  settledWaitMs(waitedMs: number, count: number): number {
    return count >= GOOD_ROWS ? 0 : Math.max(0, SETTLED_STEPS * this.#longestMs - waitedMs);
  }

  sent(nowMs: number, rows: number): void {
    this.#sentAtMs = nowMs;
    this.#rows += rows;
    this.#seen = 0;
  }

  #count(nowMs: number): void {
    const passedMs = nowMs - this.#countedFromMs;
    if (passedMs < COUNTED_MS) return;
    this.#rowsPerMs = this.#rows / passedMs;
    this.#rows = 0;
    this.#countedFromMs = nowMs;
  }
}
