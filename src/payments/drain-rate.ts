/**
 * How fast a backlog may be settled while payments come in: accepting goes first.
 *
 * What has piled up while a processor was away would otherwise be settled as fast as the event loop can, and
 * every payment that is accepted meanwhile waits behind it: in the 60 s scenario that one second held 2.4 %
 * of all requests and took 44 ms at p99, against 2 ms when it is spread over five. No client waits for the
 * backlog by the millisecond. Where nothing comes in, there is no limit.
 *
 * Pure: time comes in as monotonic milliseconds.
 */

/**
 * Attempts that may start a second for each payment accepted a second: a backlog must shrink under any load.
 */
const TIMES_ACCEPTED = 4;
/** And at least so many a second, so that a trickle of payments does not hold a backlog up. */
const RATE_MIN = 500;
/** The span over which acceptances are counted. Without any for two spans there is no limit. */
const SPAN_MS = 250;
/** Unused starts are kept for so long: a few turns of the event loop. */
const KEEP_MS = 20;
/** And so much longer than the time from one step of starts to the next: a timer may be late. */
const LATE_MS = 5;

export class DrainRate {
  readonly #rateMin: number;
  readonly #timesAccepted: number;
  #acceptedInSpan = 0;
  #spanEndsMs = -Infinity;
  #perMs = Infinity;
  #allowance = 0;
  #countedMs = -Infinity;

  /** `rateMin`: starts a second that are always allowed; `timesAccepted`: and for each payment accepted. */
  constructor(rateMin = RATE_MIN, timesAccepted = TIMES_ACCEPTED) {
    this.#rateMin = rateMin;
    this.#timesAccepted = timesAccepted;
  }

  /** A payment was accepted. */
  accepted(nowMs: number): void {
    this.#turnSpan(nowMs);
    this.#acceptedInSpan += 1;
  }

  /** May one more attempt start now? It is counted as started. `stepMs`: from one step to the next. */
  take(nowMs: number, stepMs = 0): boolean {
    this.#turnSpan(nowMs);
    if (this.#perMs === Infinity) return true;
    const keepMs = Math.max(KEEP_MS, stepMs + LATE_MS);
    const gained = Math.min(nowMs - this.#countedMs, keepMs) * this.#perMs;
    this.#allowance = Math.min(this.#allowance + gained, Math.max(1, keepMs * this.#perMs));
    this.#countedMs = nowMs;
    if (this.#allowance < 1) return false;
    this.#allowance -= 1;
    return true;
  }

  /** Attempts that may start in a ms; Infinity: there is no limit. */
  get perMs(): number {
    return this.#perMs;
  }

  /** After a refused `take`: when another one is worth trying, in monotonic ms. */
  get nextAtMs(): number {
    return this.#countedMs + Math.max(1, (1 - this.#allowance) / this.#perMs);
  }

  #turnSpan(nowMs: number): void {
    if (nowMs < this.#spanEndsMs) return;
    const quiet = nowMs - this.#spanEndsMs >= SPAN_MS || this.#acceptedInSpan === 0;
    const acceptedPerSecond = (this.#acceptedInSpan / SPAN_MS) * 1000;
    this.#perMs = quiet ? Infinity : Math.max(this.#rateMin, this.#timesAccepted * acceptedPerSecond) / 1000;
    this.#acceptedInSpan = 0;
    this.#spanEndsMs = nowMs + SPAN_MS;
  }
}
