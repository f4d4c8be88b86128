/**
 * When attempts start: together, in even steps, where starting one is a write to the log and no round trip.
 *
 * Code that has not run for some milliseconds is not in the processor's caches. So an attempt that starts
 * alone costs more than the second of two, and so does an answer that comes alone; and a payment that is read
 * at that moment waits for both. Under the challenge's load, on two cores, the event loops ran 0.66 ms a
 * request with steps and 0.80 without, and waited 0.20 and 0.30 ms for a processor (docs/decisions.md, 12).
 * No client waits for an attempt.
 *
 * A payment that comes alone starts at once. So does each where they come closer than `TOGETHER_MS`: their
 * code is warm as it is.
 *
 * Where default is slow, steps are longer. What starts together is recorded there together, so there are
 * fewer moments at which the processor has a payment whose answer is still on its way: an auditor who
 * compares the books up to just then finds them equal more often.
 *
 * Pure: time comes in as monotonic milliseconds.
 */

/** From the beginning of one step to that of the next, at least and at most. */
const STEP_MIN_MS = 20;
const STEP_MAX_MS = 100;
/** And so much of the time that an answer takes: a twentieth more is not what makes a processor slow. */
const STEP_SHARE = 1 / 20;
/** Attempts that start closer than this are together without waiting for each other. */
const TOGETHER_MS = 1;

export class StartSteps {
  #isOpen = false;
  #beganMs = -Infinity;
  #startedMs = -Infinity;
  #stepMs = STEP_MIN_MS;

  /** From the beginning of one step to that of the next. */
  get stepMs(): number {
    return this.#stepMs;
  }

  /** Whether an attempt may start now, as far as steps go. */
  isOpen(nowMs: number): boolean {
    if (this.#isUnderWay(nowMs)) return true;
    if (this.nextAtMs(nowMs) > nowMs) return false;
    this.#isOpen = true;
    this.#beganMs = nowMs;
    return true;
  }

  /** An attempt starts. */
  started(nowMs: number): void {
    this.#startedMs = nowMs;
  }

  /** Nothing is left to start: the step is over. */
  ranEmpty(): void {
    this.#isOpen = false;
  }

  /** What is left to start may not for now, and waits for the next step. */
  heldBack(): void {
    this.#isOpen = false;
    this.#startedMs = -Infinity;
  }

  /** There is no place for what is left. Where answers come soon, a place is taken as soon as it is free. */
  foundNoPlace(): void {
    if (this.#stepMs > STEP_MIN_MS) this.heldBack();
  }

  /** Default settled a payment, and took so long. */
  answered(durationMs: number): void {
    this.#stepMs = Math.min(Math.max(STEP_MIN_MS, durationMs * STEP_SHARE), STEP_MAX_MS);
  }

  /** When an attempt that comes now may start, in monotonic ms. */
  nextAtMs(nowMs: number): number {
    return this.#isUnderWay(nowMs) ? nowMs : Math.max(nowMs, this.#beganMs + this.#stepMs);
  }

  #isUnderWay(nowMs: number): boolean {
    return this.#isOpen || nowMs - this.#startedMs < TOGETHER_MS;
  }
}
