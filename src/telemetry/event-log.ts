/**
 * What happens, told to the log: a line for each event that an operator would ask about, none for what goes
 * as it should, and never so many that they flood. Under load a processor that hangs pins payments by the
 * hundred in a second: the first few are told one by one, the others as a number.
 */

import { OUTCOMES, type Outcome } from '../domain/outcome.ts';
import { FALLBACK, PROCESSORS, type ProcessorIndex } from '../domain/payment.ts';
import { traceIdOf } from '../domain/trace-context.ts';
import type { PaymentRequest } from '../processors/port.ts';
import type { Logger } from './logger.ts';

/** Lines of one kind within so many beats, of which there are two a second. */
const LINES_MAX = 5;
const WINDOW_BEATS = 20;
/** Pinned payments whose end is told; of what is beyond, only numbers are. */
const PINNED_MAX = 4096;

/** What the log says of a payment besides what happened to it. */
type Asked = Pick<PaymentRequest, 'correlationId' | 'traceparent'>;

const named = ({ correlationId, traceparent }: Asked): object =>
  traceparent === undefined ? { correlationId } : { correlationId, traceId: traceIdOf(traceparent) };

type PaymentEvent = 'pinned' | 'moved to fallback' | 'recovered';

/** Outcomes that leave open whether the payment was processed. */
const UNKNOWN: ReadonlySet<Outcome> = new Set([
  'gateway',
  'timed out',
  'reset',
  'garbage',
] satisfies Outcome[]);
const IS_UNKNOWN = OUTCOMES.map(outcome => UNKNOWN.has(outcome));

export class EventLog {
  readonly #logger: Logger;
  readonly #told = new Map<PaymentEvent, number>();
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
      if (this.#pinned.delete(correlationId)) this.#tell('recovered', { ...named(request), processor });
    } else if (this.#logger.isLevelEnabled('debug')) {
      const rounded = Math.round(durationMs);
      this.#logger.debug({ ...named(request), processor, outcome, durationMs: rounded }, 'attempt failed');
    }
    if (to === FALLBACK) this.#tell('moved to fallback', { ...named(request), outcome });
    if (IS_UNKNOWN[OUTCOMES.indexOf(outcome)] && !this.#pinned.has(correlationId)) {
      if (this.#pinned.size < PINNED_MAX) this.#pinned.add(correlationId);
      this.#tell('pinned', { ...named(request), processor, outcome });
    }
  }

  /** Payments were taken over that were at work when their instance died, or were parked. */
  adopted(other: string, count: number): void {
    this.#logger.info({ other, count }, 'payments adopted');
  }

  lostWrites(count: number): void {
    this.#logger.warn(
      { count },
      'the machine lost its power, or the store its disk: what waited may have been sent, and is pinned where it can be',
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

  /** Told whether this instance takes payments, with every beat; a change is news. */
  readiness(reasons: readonly string[]): void {
    const ready = reasons.length === 0;
    const isFirst = this.#ready === undefined;
    // Until it was ready for the first time, it is starting, which is no news.
    if (ready === this.#ready || (isFirst && !ready)) return;
    this.#ready = ready;
    if (!ready) this.#logger.warn({ reasons }, 'not ready');
    else if (!isFirst) this.#logger.info('ready again');
  }

  /** With every beat; from time to time it tells how many lines were left out, and begins anew. */
  beat(): void {
    this.#beats += 1;
    if (this.#beats % WINDOW_BEATS !== 0) return;
    for (const [event, count] of this.#told) {
      if (count > LINES_MAX)
        this.#logger.info({ count: count - LINES_MAX }, `${event}: so many more payments`);
    }
    this.#told.clear();
  }

  #tell(event: PaymentEvent, what: object): void {
    const count = (this.#told.get(event) ?? 0) + 1;
    this.#told.set(event, count);
    if (count <= LINES_MAX) this.#logger.info(what, event);
  }
}
