/**
 * What the end of an attempt proves: the one place where every way in which it can end is judged. It proves
 * two things, of the payment and of the processor, and neither follows from the other: a processor that
 * refuses a payment works, and one that times out may have processed it. docs/outcomes.md is the table of it,
 * row by row.
 *
 * Of the payment: processed, not processed (nothing was sent, or the processor itself refused), or unknown:
 * everything else once bytes may have left, and whatever something in between may have said, which does not
 * know whether the processor behind it got the request.
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
  'foreign',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** How an attempt ended, as seen from the socket. */
export type AttemptResult =
  /**
   * A whole status line came. `isForeign`: its body shows that something else than the processor answered,
   * see `answer-body`.
   */
  | { readonly status: number; readonly retryAfterMs?: number; readonly isForeign?: boolean }
  /** No status line. `sent`: at least one byte of the request may have left. */
  | { readonly sent: boolean; readonly because: LostBecause };
export type LostBecause = 'timed out' | 'reset' | 'garbage';

/** What an attempt shows of its processor. */
export type ProcessorSign =
  /** It does its work, whatever becomes of this payment. */
  | 'works'
  | 'fails'
  /** It works, and asks for quiet. */
  | 'overloaded'
  | 'nothing';

export interface Judgement {
  readonly outcome: Outcome;
  /** Of the payment. */
  readonly verdict: Verdict;
  readonly processor: ProcessorSign;
}

const judgement = (outcome: Outcome, verdict: Verdict, processor: ProcessorSign): Judgement => ({
  outcome,
  verdict,
  processor,
});
const PROCESSED = judgement('processed', 'processed', 'works');
const ALREADY = judgement('already processed', 'processed', 'works');
const NOT_CONNECTED = judgement('not connected', 'not processed', 'fails');
const FAILED = judgement('failed', 'not processed', 'fails');
const OVERLOADED = judgement('overloaded', 'not processed', 'overloaded');
const REJECTED = judgement('rejected', 'not processed', 'works');
/** Told to be one by `REFUSAL_STATUSES`. */
const REJECTED_FAILING = judgement('rejected', 'not processed', 'fails');
const UNAVAILABLE = judgement('unavailable', 'unknown', 'fails');
const GATEWAY = judgement('gateway', 'unknown', 'fails');
/** About this request only. */
const CONFLICT = judgement('gateway', 'unknown', 'nothing');
const FOREIGN = judgement('foreign', 'unknown', 'fails');
const LOST: Readonly<Record<LostBecause, Judgement>> = {
  'timed out': judgement('timed out', 'unknown', 'fails'),
  reset: judgement('reset', 'unknown', 'fails'),
  garbage: judgement('garbage', 'unknown', 'fails'),
};

/** Statuses that never are a refusal, whatever is said of them: they have a meaning of their own. */
export const NO_REFUSALS: readonly number[] = [200, 422, 429, 500];
/** Of a `4xx`: those that something in between may have said. */
const UNSURE: readonly number[] = [408, 409, 425];

/** The statuses by which a processor itself refuses a payment, as far as nobody says otherwise. */
export const REFUSAL_STATUSES: ReadonlySet<number> = new Set(
  Array.from({ length: 100 }, (_, at) => 400 + at).filter(
    status => !NO_REFUSALS.includes(status) && !UNSURE.includes(status),
  ),
);

/** `refusals`: the statuses by which the processor itself refuses a payment. */
export function classify(ending: AttemptResult, refusals: ReadonlySet<number> = REFUSAL_STATUSES): Judgement {
  if (!('status' in ending)) return ending.sent ? LOST[ending.because] : NOT_CONNECTED;
  const { status, isForeign = false } = ending;
  if (isForeign && (status === 200 || status === 422)) return FOREIGN;
  switch (status) {
    case 200:
      return PROCESSED;
    case 422:
      return ALREADY;
    case 429:
      return OVERLOADED;
    case 500:
      return FAILED;
    default:
      if (refusals.has(status)) return status < 500 ? REJECTED : REJECTED_FAILING;
      return judgeUnsure(status);
  }
}

function judgeUnsure(status: number): Judgement {
  switch (status) {
    case 503:
      return UNAVAILABLE;
    case 408:
    case 502:
    case 504:
      return GATEWAY;
    case 409:
    case 425:
      return CONFLICT;
    default:
      // No processor answers a payment with these: neither a yes nor a no can be read from them.
      return LOST.garbage;
  }
}

/** Errors of undici and Node.js, by their `code`, that do not stand for a connection that broke. */
const LOST_BY_CODE: Readonly<Record<string, LostBecause>> = {
  UND_ERR_HEADERS_TIMEOUT: 'timed out',
  UND_ERR_BODY_TIMEOUT: 'timed out',
  UND_ERR_CONNECT_TIMEOUT: 'timed out',
  ETIMEDOUT: 'timed out',
  UND_ERR_HEADERS_OVERFLOW: 'garbage',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'garbage',
  UND_ERR_RES_EXCEEDED_MAX_SIZE: 'garbage',
  UND_ERR_RESPONSE: 'garbage',
};

/**
 * How an attempt ended that ended with an error, by its `code`; those of the parser begin with `HPE_`.
 * Whatever is not known has broken the connection.
 */
export function lostBecause(code: string): LostBecause {
  return LOST_BY_CODE[code] ?? (code.startsWith('HPE_') ? 'garbage' : 'reset');
}
