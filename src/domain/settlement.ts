/**
 * The rules of settling one payment exactly once.
 *
 *                    +--------------- not processed ---------------+
 *                    v                                             |
 *      accepted -> WAITING --- intent stored, request leaves --> SENT --- processed --> SETTLED
 *                                                                  |                       ^
 *                                                               unknown                    |
 *                                                                  v                       |
 *                                                               PINNED --- processed ------+
 *                                                                ^  |
 *                                                                +--+ anything else: the pin stays
 *
 * - A round is up to `defaultAttempts` attempts on default, then one on fallback; then a new round begins.
 * - An unknown outcome pins: a processor records a payment even when its caller hung up, so silence is
 *   not a no. A pinned payment keeps its `requestedAt` and goes back to the same processor until that says
 *   200 or 422, or shows the payment. No later refusal lifts the pin: it speaks of the later request only.
 * - A payment found as SENT after a crash is PINNED: its request may have left.
 *
 * Uncertain is a payment of which the store cannot say whether or where it was sent: it is an older copy of
 * itself, or lost a part of its log. Both processors are asked for such a payment before anything of it
 * leaves:
 *
 *     one has it, with our amount     SETTLED there; if both have it, that is an error to be reported
 *     one has it, with another        it stays uncertain, and that is an error to be reported
 *     one does not answer             it stays uncertain, and is asked for again
 *     neither has it                  it goes on as it was: WAITING, or PINNED to its processor
 *
 * That neither has it proves something only once what left before can be expected to be recorded
 * (`askAfterMs`).
 */
import {
  DEFAULT,
  FALLBACK,
  PINNED,
  type ProcessorIndex,
  SENT,
  SETTLED,
  type State,
  WAITING,
} from './payment.ts';

export interface Policy {
  /** Attempts on default in a round. */
  readonly defaultAttempts: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  /** No payment waits longer for default, whether that fails, is slow or is full. */
  readonly fallbackAfterMs: number;
  /** By which a processor itself refuses a payment; default: `REFUSAL_STATUSES`. */
  readonly refusalStatuses?: ReadonlySet<number>;
}

/** What an attempt proved. */
export type Verdict = 'processed' | 'not processed' | 'unknown';

export interface PaymentProgress {
  readonly state: State;
  /** Of the last attempt; meaningless before the first. */
  readonly processor: ProcessorIndex;
  /** Attempts on default in this round. */
  readonly tries: number;
}

/**
 * So long after a session began uncertain payments are asked for: what left before, it left under an earlier
 * session, and is recorded by then.
 */
export const askAfterMs = (attemptTimeoutMs: number): number => 1.5 * attemptTimeoutMs;

/** An instance that has lived for so long since the store became doubtful need not wait so. */
export const CALM_MS = 20_000;

/** What one processor said of an uncertain payment. */
export type ProcessorSays = 'has it' | 'has another amount' | 'does not have it' | 'no answer';

export type AfterAsking =
  /** `isDouble`: the other processor has it as well. */
  | { readonly is: 'settled'; readonly by: ProcessorIndex; readonly isDouble: boolean }
  | { readonly is: 'as it was' }
  | { readonly is: 'uncertain'; readonly because: 'no answer' | 'another amount' };

/** What follows when both processors were asked for an uncertain payment, which `pinnedTo` one or to none. */
export function afterAsking(
  said: readonly [ProcessorSays, ProcessorSays],
  pinnedTo: ProcessorIndex | undefined,
): AfterAsking {
  const has = [DEFAULT, FALLBACK].filter(processor => said[processor] === 'has it') as ProcessorIndex[];
  if (has.length > 0) {
    const by = pinnedTo !== undefined && has.includes(pinnedTo) ? pinnedTo : has[0]!;
    const other = said[by === DEFAULT ? FALLBACK : DEFAULT];
    return { is: 'settled', by, isDouble: other === 'has it' || other === 'has another amount' };
  }
  if (said.includes('has another amount')) return { is: 'uncertain', because: 'another amount' };
  if (said.includes('no answer')) return { is: 'uncertain', because: 'no answer' };
  return { is: 'as it was' };
}

/** The state of a payment that is found in the store with no instance at work on it. */
export const recovered = (state: State): State => (state === SENT ? PINNED : state);

/** What follows when an attempt on `processor` ended. `pinned`: an earlier outcome was unknown already. */
export function after(verdict: Verdict, pinned: boolean): State {
  switch (verdict) {
    case 'processed':
      return SETTLED;
    case 'unknown':
      return PINNED;
    case 'not processed':
      return pinned ? PINNED : WAITING;
  }
}

/** Tries in the round once an attempt on `processor` has been refused. */
export const triesAfterRefusal = (processor: ProcessorIndex, tries: number): number =>
  processor === FALLBACK ? 0 : tries;

/** Tries in the round once an attempt on `processor` leaves. */
export const triesAfterSending = (processor: ProcessorIndex, tries: number): number =>
  processor === DEFAULT ? tries + 1 : tries;

/** What the circuits and the places at work allow at this moment. */
export interface Permits {
  /** An attempt may leave now: the circuit lets it, and there is a place. */
  readonly default: boolean;
  readonly fallback: boolean;
  /** Default's circuit is closed: it is believed to work, though all places may be taken. */
  readonly defaultWorks: boolean;
  /** There is a place for an attempt on fallback, whatever its circuit says. */
  readonly fallbackHasRoom: boolean;
}

/**
 * Where an unsettled payment may go now; undefined: it waits.
 * `waitMs` counts from its acceptance, to its turn with default if that can be foreseen.
 */
export function destination(
  progress: PaymentProgress,
  waitMs: number,
  permits: Permits,
  policy: Policy,
): ProcessorIndex | undefined {
  if (progress.state === PINNED) {
    const open = progress.processor === DEFAULT ? permits.default : permits.fallback;
    return open ? progress.processor : undefined;
  }
  if (progress.tries >= policy.defaultAttempts) {
    // With default at work again, a payment must not be held up by a fallback that is down: one quick refusal
    // there opens a new round.
    return permits.fallback || (permits.defaultWorks && permits.fallbackHasRoom) ? FALLBACK : undefined;
  }
  if (permits.default) return DEFAULT;
  return waitMs >= policy.fallbackAfterMs && permits.fallback ? FALLBACK : undefined;
}

/**
 * The pause after the `failures`-th failure in a row, in ms: doubling between the bounds, and at least half
 * of it, the rest by `chance` (0 to 1), so that payments that failed together do not come back together.
 */
export function pauseMs(failures: number, chance: number, policy: Policy): number {
  const doubled = policy.backoffMinMs * 2 ** Math.min(failures - 1, 30);
  return Math.min(doubled, policy.backoffMaxMs) * (0.5 + chance / 2);
}

/** A held payment is tried again after these bounds at the earliest and at the latest, before chance. */
export const heldPauseMinMs = 30_000;
export const heldPauseMaxMs = 3_600_000;

/**
 * Whether a held payment is tried again now. No pause is longer than the longest: one that seems to be was
 * begun by another clock than the one that says `nowMs`.
 */
export const isHeldDue = (retryAtMs: number, nowMs: number): boolean =>
  retryAtMs <= nowMs || (retryAtMs > nowMs + heldPauseMaxMs && retryAtMs < Infinity);

/**
 * How long a held payment that was accepted `waitedMs` ago is left alone, in ms; 0 for one that is held for
 * the first time. Half as long as it has waited, so that it is tried ever more seldom without anything to be
 * remembered of it. At least half of that counts, the rest by `chance` (0 to 1).
 */
export function heldPauseMs(waitedMs: number, chance: number): number {
  const pause = Math.min(Math.max(waitedMs / 2, heldPauseMinMs), heldPauseMaxMs);
  return pause * (0.5 + chance / 2);
}
