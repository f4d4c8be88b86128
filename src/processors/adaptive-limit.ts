/**
 * How many attempts may be at work on one processor at once: as many as make it settle more.
 *
 * By Little's law what is at work is what is delivered in a second times the seconds that an attempt takes. A
 * processor that takes 2 s for each delivers as much more as more are at work; one that is busy, or an event
 * loop that is, only takes longer. Both are slow, so time alone says nothing: what counts is what is
 * delivered, at work / time, at one limit and at another.
 *
 *      trying more ── delivered more ──> kept, and more is tried ──> ... up to `max`
 *        ^    └────── delivered no more ──> back to what there was, for a while
 *        │
 *      holding ── attempts take another time than when this limit was found ──> trying less
 *        ^                                                                        │  │
 *        └────────────── delivered less ──> back to what there was ───────────────┘  │
 *                        delivered as much ──> kept, and less is tried <─────────────┘
 *
 * A limit is judged by a round: as many answers as it allows attempts, all of attempts that began under it.
 * Only rounds count in which it was in the way. A processor that refuses for having too many halves it.
 *
 * Pure: time comes in as monotonic milliseconds.
 */
import assert from 'node:assert/strict';

/** Enough for 300 payments a second at 100 ms each, before anything is learned. */
export const LIMIT_MIN = 32;
/** A trial has this many times as many at work, or so many times fewer. */
const STEP = 2;
/** Of what more at work could deliver in addition, this share makes it worth having. */
const WORTHWHILE = 0.5;
/** Attempts take another time if one is this many times the other: what they take varies by chance, too. */
const OTHER_TIME = 1.4;
/** No round has fewer answers, nor takes less time: a stalled turn of the event loop is no finding. */
const ROUND_ANSWERS_MIN = 8;
const ROUND_MIN_MS = 10;
/**
 * After a trial that failed, and after a refusal, the next one waits so long, and so many answers' time; each
 * time twice as long, up to so many times.
 */
const HOLD_MIN_MS = 500;
const HOLD_ANSWERS = 4;
const HOLD_TIMES_MAX = 16;

/** What a round has shown. */
interface Found {
  readonly limit: number;
  readonly durationMs: number;
}

export class AdaptiveLimit {
  readonly #max: number;
  readonly #min: number;
  #value: number;
  #trial: 'none' | 'more' | 'less' = 'none';
  /** What the trial is compared with. */
  #before: Found | undefined;
  /** What an attempt took when the present limit was found to be right; 0: it is yet to be. */
  #heldDurationMs = 0;
  #nextTrialMs = -Infinity;
  #holdTimes = 1;
  /** The round. */
  #beganMs = -Infinity;
  #wasInTheWay = false;
  #answers = 0;
  #durationSumMs = 0;

  constructor(max: number) {
    assert(max >= 1);
    this.#max = max;
    this.#min = Math.min(LIMIT_MIN, max);
    this.#value = this.#min;
  }

  /** Attempts that may be at work at once. */
  get value(): number {
    return this.#value;
  }

  /** All places are taken, and an attempt waits for one. */
  inTheWay(): void {
    this.#wasInTheWay = true;
  }

  /** An attempt was processed after `durationMs`. */
  answered(durationMs: number, nowMs: number): void {
    if (nowMs - durationMs < this.#beganMs) return;
    this.#answers += 1;
    this.#durationSumMs += durationMs;
    const isWhole = this.#answers >= Math.max(this.#value, ROUND_ANSWERS_MIN);
    if (isWhole && nowMs - this.#beganMs >= ROUND_MIN_MS) this.#endRound(nowMs);
  }

  /** The processor refused an attempt, `durationMs` after it left, because it has too many. */
  refused(durationMs: number, nowMs: number): void {
    // The others of this round left before this refusal was known.
    if (nowMs - durationMs < this.#beganMs) return;
    this.#hold({ limit: Math.max(1, Math.floor(this.#value / STEP)), durationMs: 0 }, durationMs, nowMs);
  }

  #endRound(nowMs: number): void {
    const found = { limit: this.#value, durationMs: this.#durationSumMs / this.#answers };
    const before = this.#before;
    if (!this.#wasInTheWay) {
      this.#trial = 'none';
      this.#before = undefined;
      this.#begin(before?.limit ?? found.limit, nowMs);
    } else if (before === undefined) {
      this.#tryFrom(found, nowMs);
    } else if (this.#trial === 'more') {
      if (isWorth(found, before)) {
        this.#holdTimes = 1;
        this.#tryMore(found, nowMs);
      } else this.#hold(before, found.durationMs, nowMs);
    } else if (isWorth(before, found)) {
      this.#hold(before, before.durationMs, nowMs);
    } else {
      this.#tryLess(found, nowMs);
    }
  }

  #tryFrom(found: Found, nowMs: number): void {
    const held = this.#heldDurationMs;
    const [shorter, longer] = held < found.durationMs ? [held, found.durationMs] : [found.durationMs, held];
    const isOther = held > 0 && longer > shorter * OTHER_TIME;
    if (isOther && found.limit > this.#min) this.#tryLess(found, nowMs);
    else if (isOther || nowMs >= this.#nextTrialMs) this.#tryMore(found, nowMs);
    else this.#begin(found.limit, nowMs);
  }

  /** `found` is worth having, and more may be worth more. */
  #tryMore(found: Found, nowMs: number): void {
    if (found.limit >= this.#max) {
      this.#hold(found, found.durationMs, nowMs);
      return;
    }
    this.#trial = 'more';
    this.#before = found;
    this.#begin(Math.min(this.#max, found.limit * STEP), nowMs);
  }

  /** Fewer may deliver as much as `found`. */
  #tryLess(found: Found, nowMs: number): void {
    if (found.limit <= this.#min) {
      this.#hold(found, found.durationMs, nowMs);
      return;
    }
    this.#trial = 'less';
    this.#before = found;
    this.#begin(Math.max(this.#min, Math.floor(found.limit / STEP)), nowMs);
  }

  /** Keeps a limit for a while. */
  #hold({ limit, durationMs }: Found, lastDurationMs: number, nowMs: number): void {
    this.#trial = 'none';
    this.#before = undefined;
    this.#heldDurationMs = durationMs;
    this.#nextTrialMs = nowMs + this.#holdTimes * Math.max(HOLD_MIN_MS, HOLD_ANSWERS * lastDurationMs);
    this.#holdTimes = Math.min(HOLD_TIMES_MAX, this.#holdTimes * 2);
    this.#begin(limit, nowMs);
  }

  #begin(limit: number, nowMs: number): void {
    this.#value = limit;
    this.#beganMs = nowMs;
    this.#wasInTheWay = false;
    this.#answers = 0;
    this.#durationSumMs = 0;
  }
}

/** Whether the larger of two limits delivers as much more as makes it worth having. */
function isWorth(larger: Found, smaller: Found): boolean {
  const more = larger.limit / smaller.limit;
  // Delivered in a ms: limit / durationMs, by Little's law.
  return more * smaller.durationMs >= (1 + (more - 1) * WORTHWHILE) * larger.durationMs;
}
