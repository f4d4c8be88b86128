/**
 * What the ends of its attempts say of a payment itself, not of its processors. One that a processor refuses
 * though it works (`4xx`), or that fails again and again while others are settled there, is put aside: it
 * leaves for a processor only as far as that costs the others nothing, its failures count against no circuit,
 * and it is never the probe of one. One that both processors refused in a whole round is held.
 *
 * A failure (`500`) may be chance, so it takes more of them: put aside after three in a row with others
 * settled there between, held after two such rounds.
 */
import type { Judgement } from './outcome.ts';
import { DEFAULT, FALLBACK, type ProcessorIndex } from './payment.ts';

/** A set of bits, one number a payment. */
export const UNSUSPECTED = 0;
const ASIDE = 1;
const REFUSED = { [DEFAULT]: 2, [FALLBACK]: 4 } as const;
/** Some of the refusals of this round were failures. */
const FAILED = 8;
const ROUND = REFUSED[DEFAULT] | REFUSED[FALLBACK] | FAILED;
/** One round of failures has ended. */
const FAILED_ROUND = 16;
/** Of a held payment, which has come back for another try. */
export const SUSPECTED_HELD = ASIDE;

/** Failures in a row before a payment may be taken for the cause of them. */
export const failuresAloneMin = 3;

export const isAside = (marks: number): boolean => (marks & ASIDE) !== 0;

/**
 * The marks after an attempt on `to` that did not process the payment. `isAlone`: it has failed there
 * `failuresAloneMin` times in a row, and others were sent and settled there since the first of them.
 */
export function suspicionAfter(
  marks: number,
  to: ProcessorIndex,
  { outcome, processor }: Judgement,
  isAlone: boolean,
): number {
  const isItself = outcome === 'rejected' || processor === 'nothing' || isAlone;
  const after = isItself ? marks | ASIDE : marks;
  if (!isAside(after)) return after;
  if (outcome === 'rejected') return after | REFUSED[to];
  return outcome === 'failed' ? after | REFUSED[to] | FAILED : after;
}

/** At the end of a round: whether both processors have refused the payment in it, often enough. */
export function isToBeHeld(marks: number): boolean {
  const isRefused = (marks & REFUSED[DEFAULT]) !== 0 && (marks & REFUSED[FALLBACK]) !== 0;
  return isRefused && ((marks & FAILED) === 0 || (marks & FAILED_ROUND) !== 0);
}

/** The marks with which another round begins. */
export function suspicionInNextRound(marks: number): number {
  return (marks & ROUND) === ROUND ? (marks & ~ROUND) | FAILED_ROUND : marks & ~ROUND;
}
