/**
 * The timeline of one payment in words: what happened to it, and while it is not settled, what it waits for
 * and until when. Made from the store and from its instance's last snapshot, so any instance can answer.
 */

import { formatInstant } from '../domain/instant.ts';
import { OUTCOMES, type Outcome } from '../domain/outcome.ts';
import {
  DEFAULT,
  HOLD_REASONS,
  type HoldReason,
  isOver,
  PINNED,
  PROCESSORS,
  SENT,
  SETTLED,
} from '../domain/payment.ts';
import { type ActKind, NO_REASON } from '../storage/acts.ts';
import type { History, InspectedPayment } from '../storage/inspection.ts';
import type { ProcessorFigures } from '../telemetry/snapshot.ts';
import type { PaymentLine, PaymentTimeline, PolicyView, TimelineEvent } from './api.ts';

/** What each outcome means, for people who have not read the code. */
const MEANING: Readonly<Record<Outcome, string>> = {
  processed: 'processed',
  'already processed': 'processed before; its record was looked up',
  'not connected': 'no connection: nothing was sent',
  failed: 'refused with 500: not processed',
  overloaded: 'refused with 429: too busy, not processed',
  unavailable: 'answered with 503, perhaps by something in between: outcome unknown',
  rejected: 'refused this payment: not processed',
  gateway: 'a gateway answered: outcome unknown',
  'timed out': 'no answer in time: outcome unknown',
  reset: 'connection lost: outcome unknown',
  foreign: 'something else than the processor answered: outcome unknown',
  garbage: 'no readable answer: outcome unknown',
};

const STATES = ['waiting', 'sent', 'pinned', 'settled', 'closed'] as const;

/** One line of a list of payments. */
export const paymentLine = (payment: InspectedPayment): PaymentLine => ({
  correlationId: payment.correlationId,
  cents: payment.cents,
  state: STATES[payment.state],
  processor: payment.processor === undefined ? null : PROCESSORS[payment.processor],
  acceptedAtMs: payment.acceptedAtMs,
  settledAtMs: payment.settledAtMs,
  attempts: payment.attempts,
  owner: payment.owner,
  held: HOLD_REASONS[payment.held] || null,
});

/** `circuits`: of the instance that owns the payment, by processor; undefined when they are unknown. */
export function timelineOf(
  { payment, attempts, acts }: History,
  circuits: readonly [ProcessorFigures, ProcessorFigures] | undefined,
  policy: PolicyView,
): PaymentTimeline {
  const events: TimelineEvent[] = [
    {
      atMs: payment.acceptedAtMs,
      kind: 'accepted',
      processor: null,
      outcome: null,
      durationMs: null,
      text: payment.owner === '' ? 'accepted; no backend owns it' : `accepted; owned by ${payment.owner}`,
    },
  ];
  for (const { number, processor, endedAtMs, durationMs, outcome } of attempts) {
    const name = OUTCOMES[outcome] ?? 'garbage';
    events.push({
      atMs: endedAtMs - durationMs,
      kind: 'attempt',
      processor: PROCESSORS[processor],
      outcome: name,
      durationMs,
      text: `attempt ${number} on ${PROCESSORS[processor]}: ${MEANING[name]}`,
    });
  }
  for (const { kind, atMs, who, text } of acts) {
    const none = { processor: null, outcome: null, durationMs: null };
    const why = text === NO_REASON ? '' : `: ${text}`;
    events.push({ atMs, kind: 'act', ...none, act: kind, text: `${ACTED[kind]} by ${who}${why}` });
  }
  events.sort((one, other) => one.atMs - other.atMs);
  events.push(...present(payment, acts));
  return { payment: paymentLine(payment), events, waits: waits(payment, attempts, circuits, policy) };
}

const ACTED = {
  retry: 'tried again',
  settle: 'settled by hand',
  close: 'closed',
  resend: 'sent to its processor once more',
  hold: 'held',
  'take-in': 'taken in',
} as const;

/** Why a held payment waits. */
const HELD: Readonly<Record<HoldReason, string>> = {
  refused: 'both processors refuse it, so it is held; it is tried again ever more seldom',
  'amount-differs': 'its processor has it with another amount, so it is held until an operator settles that',
  'url-changed': 'it may be processed under a URL that its processor had before, so it is held and not sent',
};

function present(payment: InspectedPayment, acts: readonly { readonly kind: ActKind }[]): TimelineEvent[] {
  const { state, processor, requestedAtMs, settledAtMs, attempts } = payment;
  if (processor === undefined) return [];
  const name = PROCESSORS[processor];
  if (state === SETTLED) {
    const isByHand = acts.some(({ kind }) => kind === 'settle');
    const how = isByHand ? `booked on ${name}` : `settled by ${name} with attempt ${attempts}; in its books`;
    return [
      {
        atMs: settledAtMs,
        kind: 'settled',
        processor: name,
        outcome: 'processed',
        durationMs: Math.max(0, settledAtMs - requestedAtMs),
        text: `${how} as of ${formatInstant(requestedAtMs)}`,
      },
    ];
  }
  if (state !== SENT) return [];
  return [
    {
      atMs: requestedAtMs,
      kind: 'sent',
      processor: name,
      outcome: null,
      durationMs: null,
      text: `attempt ${attempts} on ${name} is on its way`,
    },
  ];
}

function waits(
  payment: InspectedPayment,
  attempts: History['attempts'],
  circuits: readonly [ProcessorFigures, ProcessorFigures] | undefined,
  policy: PolicyView,
): PaymentTimeline['waits'] {
  const { state, processor = DEFAULT, tries, acceptedAtMs, requestedAtMs } = payment;
  if (isOver(state)) return null;
  const why = HOLD_REASONS[payment.held];
  if (why && state !== SENT) {
    const untilMs = Number.isFinite(payment.retryAtMs) ? payment.retryAtMs : 0;
    return { why: HELD[why], untilMs };
  }
  const name = PROCESSORS[processor];
  if (state === SENT) {
    const untilMs = requestedAtMs + policy.attemptTimeoutMs;
    return { why: `${name} has not answered yet; after that time the outcome counts as unknown`, untilMs };
  }
  const pauseUntilMs = pauseEnd(attempts, policy);
  if (state === PINNED) {
    const circuit = circuits?.[processor];
    const why = `${name} may have processed it, so only ${name} is asked again, until it answers`;
    return { why, untilMs: Math.max(pauseUntilMs, circuit?.probeAtMs ?? 0) };
  }
  if (tries >= policy.defaultAttempts) {
    const why = `its ${policy.defaultAttempts} attempts on default are used up: fallback is next`;
    return { why, untilMs: Math.max(pauseUntilMs, circuits?.[1].probeAtMs ?? 0) };
  }
  const first = circuits?.[DEFAULT];
  if (first !== undefined && (first.circuit === 'open' || first.probing)) {
    const reason = first.probing ? 'a probe of default is on its way' : "default's circuit is open";
    const why = `${reason}, and waiting costs no attempt; from then on fallback may take it`;
    return { why, untilMs: acceptedAtMs + policy.fallbackAfterMs };
  }
  if (pauseUntilMs > 0)
    return { why: 'a pause before its next attempt, which ends then at the latest', untilMs: pauseUntilMs };
  return { why: 'its turn', untilMs: 0 };
}

/** When the pause after the last attempt is over at the latest: they double between their bounds. */
function pauseEnd(attempts: History['attempts'], policy: PolicyView): number {
  const last = attempts.at(-1);
  if (last === undefined) return 0;
  const doubled = policy.backoffMinMs * 2 ** Math.min(attempts.length - 1, 30);
  return last.endedAtMs + Math.min(doubled, policy.backoffMaxMs);
}
