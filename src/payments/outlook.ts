/**
 * How many payments may wait for default and still have their turn in time, as far as can be seen.
 *
 * The n-th of those that wait has its turn after n / (what default delivers in a ms). That is what it has at
 * work / what an attempt takes (Little's law), and no more than a backlog may drain. Who cannot have a turn
 * within `fallbackAfterMs` need not wait to find that out.
 *
 * A default that delivers less than comes in has more and more waiting for it. It is never idle, so a longer
 * queue in front of it saves no fee: it only lets everyone wait longer. If that lasts, no more are left to
 * wait than keep it busy. Of a default that fails nothing can be said: when it is back, it may take all.
 *
 * Pure: time comes in as monotonic milliseconds.
 */

/** A default is outpaced once it has been for so long: bursts are waited for. */
const OUTPACED_MS = 5000;
/** What keeps an outpaced default busy until payments come in again. */
const BUSY_MS = 100;
/** Over about this time, acceptances count. */
const ACCEPTED_MEMORY_MS = 2000;
/** About this many answers count. */
const DURATION_MEMORY = 64;
/** It has to be seen to be full at least so often. */
const FULL_GAP_MS = 1000;

export class Outlook {
  readonly #fallbackAfterMs: number;
  #accepted = 0;
  #acceptedMs = 0;
  #durationMs = 0;
  #fullMs = -Infinity;
  #outpacedSinceMs = Infinity;

  constructor(fallbackAfterMs: number) {
    this.#fallbackAfterMs = fallbackAfterMs;
  }

  /** A payment came in. */
  accepted(nowMs: number): void {
    this.#forget(nowMs);
    this.#accepted += 1;
  }

  /** Default answered an attempt after `durationMs`. */
  answered(durationMs: number): void {
    const known = this.#durationMs;
    this.#durationMs = known === 0 ? durationMs : known + (durationMs - known) / DURATION_MEMORY;
  }

  /**
   * How many may wait while default has all of its places taken, `atWork`; Infinity where it has not
   * answered yet. `perMsMax`: no more attempts than these are begun in a ms.
   */
  turnsInTime(atWork: number, perMsMax: number, nowMs: number): number {
    if (this.#durationMs === 0) return Infinity;
    const perMs = Math.min(atWork / this.#durationMs, perMsMax);
    this.#forget(nowMs);
    const isOutpaced = this.#accepted / ACCEPTED_MEMORY_MS > perMs;
    if (!isOutpaced) this.#outpacedSinceMs = Infinity;
    else if (nowMs - this.#fullMs > FULL_GAP_MS) this.#outpacedSinceMs = nowMs;
    else this.#outpacedSinceMs = Math.min(this.#outpacedSinceMs, nowMs);
    this.#fullMs = nowMs;
    const patienceMs =
      nowMs - this.#outpacedSinceMs >= OUTPACED_MS
        ? Math.min(BUSY_MS, this.#fallbackAfterMs)
        : this.#fallbackAfterMs;
    return perMs * patienceMs;
  }

  #forget(nowMs: number): void {
    this.#accepted *= Math.exp((this.#acceptedMs - nowMs) / ACCEPTED_MEMORY_MS);
    this.#acceptedMs = nowMs;
  }
}
