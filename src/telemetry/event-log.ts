/**
 * The log of events: a line for each one that an operator would ask about, none for what succeeds, and never
 * a flood. Under load a processor that hangs pins hundreds of payments in a second: the first few get a line
 * each, the others are one line with their number.
 */

import { OUTCOMES, type Outcome } from '../domain/outcome.ts';
import { FALLBACK, PROCESSORS, type ProcessorIndex } from '../domain/payment.ts';
import { traceIdOf } from '../domain/trace-context.ts';
import type { PaymentRequest } from '../processors/port.ts';
import type { Logger } from './logger.ts';

/** Lines of one kind in each window; there are two beats a second. */
const LINES_MAX = 5;
const WINDOW_BEATS = 20;
/** Pinned payments whose settlement gets a line; those beyond are only counted. */
const PINNED_MAX = 4096;

/** How the log names a payment. */
type Asked = Pick<PaymentRequest, 'cents' | 'correlationId' | 'traceparent'>;

const named = ({ correlationId, traceparent }: Asked): object =>
  traceparent === undefined ? { correlationId } : { correlationId, traceId: traceIdOf(traceparent) };

type PaymentEvent = 'pinned' | 'moved to fallback' | 'recovered';

/** Outcomes that leave open whether the payment was processed. */
const UNKNOWN: ReadonlySet<Outcome> = new Set([
  'gateway',
  'timed out',
  'reset',
  'garbage',
  'foreign',
  'unavailable',
] satisfies Outcome[]);
const IS_UNKNOWN = OUTCOMES.map(outcome => UNKNOWN.has(outcome));

export class EventLog {
  readonly #logger: Logger;
  readonly #counts = new Map<PaymentEvent, number>();
  readonly #pinned = new Set<string>();
  #ready: boolean | undefined;
  #beats = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** An attempt ended. */
  attempted(request: Asked, to: ProcessorIndex, outcome: Outcome, durationMs: number): void {
    const { correlationId } = request;
    const isProcessed = outcome === 'processed' || outcome === 'already processed';
    if (isProcessed && to !== FALLBACK && this.#pinned.size === 0) return;
    const processor = PROCESSORS[to];
    if (isProcessed) {
      if (this.#pinned.delete(correlationId)) this.#log('recovered', { ...named(request), processor });
    } else if (this.#logger.isLevelEnabled('debug')) {
      const rounded = Math.round(durationMs);
      this.#logger.debug({ ...named(request), processor, outcome, durationMs: rounded }, 'attempt failed');
    }
    if (to === FALLBACK) this.#log('moved to fallback', { ...named(request), outcome });
    if (IS_UNKNOWN[OUTCOMES.indexOf(outcome)] && !this.#pinned.has(correlationId)) {
      if (this.#pinned.size < PINNED_MAX) this.#pinned.add(correlationId);
      this.#log('pinned', { ...named(request), processor, outcome });
    }
  }

  /** Its processor has it with `cents`; it is held. */
  amountDiffers(request: Asked, to: ProcessorIndex, cents: number): void {
    this.#logger.error(
      { ...named(request), processor: PROCESSORS[to], amount: request.cents / 100, recorded: cents / 100 },
      'the processor has this payment with another amount: it is held until an operator decides',
    );
  }

  /** Payments of a dead instance were taken over. */
  adopted(other: string, count: number): void {
    this.#logger.info({ other, count }, 'payments adopted');
  }

  lostWrites(count: number): void {
    this.#logger.warn(
      { count },
      'acknowledged writes may be lost (power or disk failure): waiting payments are pinned',
    );
  }

  /** Both processors have a payment. */
  doubled(correlationId: string, by: ProcessorIndex): void {
    this.#logger.error(
      { correlationId, processor: PROCESSORS[by] },
      'settled twice: both processors have this payment; it is booked at one, claim the other back',
    );
  }

  died(other: string): void {
    this.#logger.warn({ other }, 'an instance died');
  }

  circuit(processor: ProcessorIndex, circuit: string): void {
    const level = circuit === 'open' ? 'warn' : 'info';
    this.#logger[level]({ processor: PROCESSORS[processor], circuit }, `circuit ${circuit}`);
  }

  checking(mine: boolean): void {
    this.#logger.info(
      mine
        ? "lease: this instance asks the processors' health now"
        : "lease: another instance asks the processors' health now",
    );
  }

  /** With every beat: why this instance takes no payments, or nothing. A change gets a line. */
  readiness(reasons: readonly string[]): void {
    const ready = reasons.length === 0;
    const isFirst = this.#ready === undefined;
    // Until it was ready for the first time, it is starting, which needs no line.
    if (ready === this.#ready || (isFirst && !ready)) return;
    this.#ready = ready;
    if (!ready) this.#logger.warn({ reasons }, 'not ready');
    else if (!isFirst) this.#logger.info('ready again');
  }

  /** With every beat. At the end of a window it logs how many lines were left out. */
  beat(): void {
    this.#beats += 1;
    if (this.#beats % WINDOW_BEATS !== 0) return;
    for (const [event, count] of this.#counts) {
      if (count > LINES_MAX) this.#logger.info({ count: count - LINES_MAX }, `${event}: further payments`);
    }
    this.#counts.clear();
  }

  #log(event: PaymentEvent, what: object): void {
    const count = (this.#counts.get(event) ?? 0) + 1;
    this.#counts.set(event, count);
    if (count <= LINES_MAX) this.#logger.info(what, event);
  }
}
