/**
 * What the end of an attempt proves: the one place where every way in which it can end is judged.
 *
 * Processed: `200`, or `422` for a payment of ours. Not processed: nothing was sent, or the processor itself
 * refused. Unknown: everything else once bytes may have left, and the answers of a gateway in between,
 * which do not say whether the processor behind it got the request.
 */
import type { Verdict } from './settlement.ts';

/** Names for histories and metrics; the order is stored, so new ones go to the end. */
export const OUTCOMES = [
  'processed',
  'already processed',
  'not connected',
  'failed',
  'overloaded',
  'unavailable',
  'rejected',
  'gateway',
  'timed out',
  'reset',
  'garbage',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** How an attempt ended, as seen from the socket. */
export type AttemptResult =
  /** A whole status line came; what follows it does not matter. */
  | { readonly status: number; readonly retryAfterMs?: number }
  /** No status line. `sent`: at least one byte of the request may have left. */
  | { readonly sent: boolean; readonly because: 'timed out' | 'reset' | 'garbage' };

export interface Judgement {
  readonly outcome: Outcome;
  readonly verdict: Verdict;
}

const judgement = (outcome: Outcome, verdict: Verdict): Judgement => ({ outcome, verdict });
const PROCESSED = judgement('processed', 'processed');
const ALREADY = judgement('already processed', 'processed');
const NOT_CONNECTED = judgement('not connected', 'not processed');
const FAILED = judgement('failed', 'not processed');
const OVERLOADED = judgement('overloaded', 'not processed');
const UNAVAILABLE = judgement('unavailable', 'not processed');
const REJECTED = judgement('rejected', 'not processed');
const GATEWAY = judgement('gateway', 'unknown');
const TIMED_OUT = judgement('timed out', 'unknown');
const RESET = judgement('reset', 'unknown');
const GARBAGE = judgement('garbage', 'unknown');

export function classify(ending: AttemptResult): Judgement {
  if ('status' in ending) return judgeStatus(ending.status);
  if (!ending.sent) return NOT_CONNECTED;
  switch (ending.because) {
    case 'timed out':
      return TIMED_OUT;
    case 'reset':
      return RESET;
    case 'garbage':
      return GARBAGE;
  }
}

function judgeStatus(status: number): Judgement {
  switch (status) {
    case 200:
      return PROCESSED;
    case 422:
      return ALREADY;
    case 429:
      return OVERLOADED;
    case 500:
      return FAILED;
    case 503:
      return UNAVAILABLE;
    case 408:
    case 502:
    case 504:
      return GATEWAY;
    default:
      // No processor answers a payment with these: neither a yes nor a no can be read from them.
      return status >= 400 && status < 500 ? REJECTED : GARBAGE;
  }
}
