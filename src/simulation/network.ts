/**
 * The network between one backend and the two processors: what stands in for `processors/client` and
 * everything behind its sockets. Messages take time, overtake each other, get lost, arrive twice; connections
 * are refused.
 */

import { isForeignBody } from '../domain/answer-body.ts';
import { type AttemptResult, classify } from '../domain/outcome.ts';
import { idTextWords, type ProcessorIndex } from '../domain/payment.ts';
import type { ProcessorAnswer } from '../processor-simulator/answer.ts';
import type { SimulatedProcessor } from '../processor-simulator/processor.ts';
import type { Found, Health, PaymentRequest, Processors } from '../processors/port.ts';
import type { Dice } from './dice.ts';
import { type EventLoop, type Process, processLabel } from './event-loop.ts';
import type { Invariants } from './invariants.ts';
import type { Kind } from './plan.ts';
import type { Trace } from './trace.ts';

const HEALTH_TIMEOUT_MS = 6000;
const CONNECT_TIMEOUT_MS = 200;

export interface NetworkParts {
  readonly eventLoop: EventLoop;
  readonly dice: Dice;
  readonly processors: readonly [SimulatedProcessor, SimulatedProcessor];
  readonly invariants: Invariants;
  readonly trace: Trace;
  readonly attemptTimeoutMs: number;
  readonly delayMs: number;
  /** Does a fault of this kind strike now? */
  strikes(kind: Kind): boolean;
  /** Is the way to a processor cut at present? */
  refused(processor: ProcessorIndex): boolean;
}

export class Network implements Processors {
  readonly #parts: NetworkParts;
  readonly #process: Process;

  constructor(parts: NetworkParts, process: Process) {
    this.#parts = parts;
    this.#process = process;
  }

  post(to: ProcessorIndex, request: PaymentRequest, reply: (ending: AttemptResult) => void): void {
    const { processors, invariants, trace, attemptTimeoutMs, eventLoop } = this.#parts;
    const { correlationId, cents, requestedAtMs } = request;
    const process = this.#process;
    // Whatever address it has when this arrives.
    const processor = processors[to];
    const attempt = invariants.leaves(process, to, request);
    const { words } = attempt.payment;
    trace.say(
      correlationId,
      processLabel(process),
      () => `posts to ${processor.name} as of ${requestedAtMs}`,
    );

    let over = false;
    const end = (ending: AttemptResult): void => {
      if (over) return;
      over = true;
      timeout.cancel();
      trace.say(correlationId, processLabel(process), () => `hears ${JSON.stringify(ending)}`);
      invariants.ended(attempt, ending);
      reply(ending);
    };
    const timeout = eventLoop.after(attemptTimeoutMs, process, () =>
      end({ sent: true, because: 'timed out' }),
    );
    if (this.#parts.refused(to) || this.#parts.strikes('refused')) {
      eventLoop.after(Math.min(this.#delay(), CONNECT_TIMEOUT_MS), process, () =>
        end({ sent: false, because: 'reset' }),
      );
      return;
    }
    if (this.#parts.strikes('requestLost')) return;
    // A gateway that repeats a request passes on the best answer that any of them got.
    const copies = this.#parts.strikes('requestTwice') ? 2 : 1;
    const endings: AttemptResult[] = [];
    for (let copy = 0; copy < copies; copy++) {
      eventLoop.after(this.#delay(), undefined, () => {
        processor.post(words, cents, requestedAtMs, answer => {
          trace.say(correlationId, processor.name, () => `says ${answer.status || answer.delivery}`);
          const ending = endingOf(answer, request);
          if (ending === undefined) return;
          endings.push(ending);
          if (endings.length < copies || this.#parts.strikes('responseLost')) return;
          eventLoop.after(this.#delay(), process, () => end(best(endings)));
        });
      });
    }
  }

  find(to: ProcessorIndex, correlationId: string, reply: (found: Found) => void): void {
    const { trace, attemptTimeoutMs } = this.#parts;
    const processor = this.#parts.processors[to];
    const words = idTextWords(correlationId);
    const heard = (found: Found): void => {
      trace.say(correlationId, processLabel(this.#process), () => `is shown ${JSON.stringify(found)}`);
      if (found.is === 'absent') this.#parts.invariants.payments.get(correlationId)?.absentAt.add(to);
      reply(found);
    };
    this.#ask(to, attemptTimeoutMs, { is: 'unavailable' } as Found, heard, answer =>
      processor.lookUp(words, said => answer(foundIn(said))),
    );
  }

  health(to: ProcessorIndex, reply: (health: Health | undefined) => void): void {
    const processor = this.#parts.processors[to];
    this.#ask<Health | undefined>(to, HEALTH_TIMEOUT_MS, undefined, reply, answer =>
      processor.health(said => answer(healthIn(said))),
    );
  }

  /** A question there and an answer back, or `none` in time. */
  #ask<T>(
    to: ProcessorIndex,
    timeoutMs: number,
    none: T,
    reply: (answer: T) => void,
    question: (answer: (answer: T) => void) => void,
  ): void {
    const { eventLoop } = this.#parts;
    let over = false;
    const end = (answer: T): void => {
      if (over) return;
      over = true;
      timeout.cancel();
      reply(answer);
    };
    const timeout = eventLoop.after(timeoutMs, this.#process, () => end(none));
    if (this.#parts.refused(to)) {
      eventLoop.after(this.#delay(), this.#process, () => end(none));
      return;
    }
    if (this.#parts.strikes('requestLost')) return;
    eventLoop.after(this.#delay(), undefined, () => {
      question(answer => {
        if (!this.#parts.strikes('responseLost')) {
          eventLoop.after(this.#delay(), this.#process, () => end(answer));
        }
      });
    });
  }

  #delay(): number {
    const { dice, delayMs, attemptTimeoutMs } = this.#parts;
    // Now and then a message takes so long that others overtake it, and its caller has given up.
    if (this.#parts.strikes('messageLate')) return dice.between(0, attemptTimeoutMs * 3);
    return dice.between(delayMs / 2, delayMs * 1.5);
  }
}

function endingOf(answer: ProcessorAnswer, request: PaymentRequest): AttemptResult | undefined {
  switch (answer.delivery) {
    case 'whole':
    case 'cut': {
      const { status, retryAfterSeconds, contentType = 'application/json', body, delivery } = answer;
      if (isForeignBody(contentType, body, delivery === 'whole', request)) return { status, isForeign: true };
      return retryAfterSeconds > 0 ? { status, retryAfterMs: retryAfterSeconds * 1000 } : { status };
    }
    case 'closed':
    case 'reset':
      return { sent: true, because: 'reset' };
    case 'garbage':
      return { sent: true, because: 'garbage' };
    case 'never':
      return undefined;
  }
}

function best(endings: readonly AttemptResult[]): AttemptResult {
  const worth = (ending: AttemptResult): number => {
    const { outcome, verdict } = classify(ending);
    if (outcome === 'processed') return 3;
    if (outcome === 'already processed') return 2;
    return verdict === 'unknown' ? 1 : 0;
  };
  return endings.reduce((one, other) => (worth(other) > worth(one) ? other : one));
}

function foundIn(answer: ProcessorAnswer): Found {
  if (answer.delivery !== 'whole') return { is: 'unavailable' };
  if (answer.status === 404) return { is: 'absent' };
  if (answer.status !== 200) return { is: 'unavailable' };
  const { requestedAt, amount } = JSON.parse(answer.body) as { requestedAt: string; amount: number };
  return { is: 'there', requestedAtMs: Date.parse(`${requestedAt}Z`), cents: Math.round(amount * 100) };
}

function healthIn(answer: ProcessorAnswer): Health | undefined {
  if (answer.delivery !== 'whole' || answer.status !== 200) return undefined;
  const { failing, minResponseTime } = JSON.parse(answer.body) as {
    failing: boolean;
    minResponseTime: number;
  };
  return { failing, minResponseMs: minResponseTime };
}
