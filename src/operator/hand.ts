/**
 * An operator's hand on one payment. Whatever is done by hand, the processors are asked first, what they said
 * is reported, and the act is in the store, with who did it, when and why, before anything follows from it.
 *
 *     wish ──> store: the payment ──> both processors ──> findings ──> store: the act ──> (resend: processor)
 */
import type { Clock } from '../domain/clock.ts';
import { classify } from '../domain/outcome.ts';
import {
  idText,
  idWords,
  PROCESSORS,
  type ProcessorIndex,
  SETTLED,
  type StoredPayment,
} from '../domain/payment.ts';
import { ACCEPTED, CONFLICT } from '../payments/api.ts';
import type { Instance } from '../payments/instance.ts';
import type { Found, Processors } from '../processors/port.ts';
import type { ActKind, ActResult } from '../storage/acts.ts';
import { promised, type Store } from '../storage/ports.ts';
import {
  describeFound,
  type Finding,
  type FoundAtBoth,
  mayClose,
  mayResend,
  maySettle,
  mayTakeIn,
} from './findings.ts';

export interface Wish {
  readonly kind: 'retry' | 'settle' | 'close' | 'take-in';
  /** 16 bytes. */
  readonly id: Uint8Array;
  readonly who: string;
  readonly reason: string;
  /** Of a settlement: the processor that has it. */
  readonly on: ProcessorIndex | undefined;
  /** Of a settlement; undefined: as its processor's record has it. */
  readonly requestedAtMs: number | undefined;
  /** Although the findings speak against it. */
  readonly anyway: boolean;
}

export interface Handled {
  readonly isDone: boolean;
  /** What was found, and what was done or why it was not. */
  readonly said: string;
}

export interface HandParts {
  readonly store: Pick<Store, 'act' | 'find'>;
  readonly instance: Pick<Instance, 'takeIn'>;
  readonly processors: Processors;
  readonly clock: Clock;
}

const RESULTS: Readonly<Record<ActResult, string>> = {
  done: 'done',
  'no such payment': 'soquete knows no payment with this correlationId',
  settled: 'it is settled',
  'not settled': 'it is not settled',
  closed: 'it is closed',
  'on its way': 'an attempt is on its way: wait until it has ended',
};

const KNOWN = 'soquete knows this payment: see show, and settle or retry it';

export class OperatorHand {
  readonly #parts: HandParts;

  constructor(parts: HandParts) {
    this.#parts = parts;
  }

  /** Does what is wished, or says why not. Throws `Unavailable` while the store cannot be asked. */
  async handle(wish: Wish): Promise<Handled> {
    const payment = await promised<StoredPayment | undefined>(reply =>
      this.#parts.store.find(wish.id, reply),
    );
    if (wish.kind === 'take-in') return payment === undefined ? this.#takeIn(wish) : refused(KNOWN);
    if (payment === undefined) return refused(RESULTS['no such payment']);
    if (payment.state > SETTLED) return refused(RESULTS.closed);
    if (payment.state === SETTLED)
      return wish.kind === 'retry' ? this.#resend(wish, payment) : refused(RESULTS.settled);
    switch (wish.kind) {
      case 'retry': {
        const result = await this.#act(wish, 'retry', undefined, 0);
        return answered(result, 'it is tried again now');
      }
      case 'settle':
        return this.#settle(wish, payment);
      case 'close':
        return this.#close(wish, payment);
    }
  }

  async #settle(wish: Wish, payment: StoredPayment): Promise<Handled> {
    const on = wish.on!;
    const found = await this.#findAtBoth(payment);
    const finding = maySettle(payment.cents, on, wish.requestedAtMs, found, wish.anyway);
    if (!finding.may) return refusedBecause(finding, found);
    const result = await this.#act(wish, 'settle', on, finding.requestedAtMs);
    return answered(result, `${describeFound(found)}. Booked as settled on ${PROCESSORS[on]}`);
  }

  async #close(wish: Wish, payment: StoredPayment): Promise<Handled> {
    const found = await this.#findAtBoth(payment);
    const finding = mayClose(found, wish.anyway);
    if (!finding.may) return refusedBecause(finding, found);
    const result = await this.#act(wish, 'close', undefined, 0);
    return answered(result, `${describeFound(found)}. Closed: it will not be settled`);
  }

  /** One that a processor has and soquete never knew, or forgot with an older copy of its store. */
  async #takeIn(wish: Wish): Promise<Handled> {
    const found = await this.#findAtBoth(wish);
    const finding = mayTakeIn(found);
    if (!finding.may) return refusedBecause(finding, found);
    const { on, cents } = finding;
    const { requestedAtMs } = found[on] as Extract<Found, { is: 'there' }>;
    const taken = await this.#parts.instance.takeIn(idWords(wish.id), cents, on, requestedAtMs);
    if (taken === CONFLICT) return refused(KNOWN);
    if (taken !== ACCEPTED) return refused('soquete takes no payments at present: see GET /health');
    const result = await this.#act(wish, 'take-in', on, requestedAtMs);
    return answered(
      result,
      `${describeFound(found)}. Taken in: it is booked on ${PROCESSORS[on]} in a moment`,
    );
  }

  /** A settled payment that its processor has lost: it is sent there once more as it was booked. */
  async #resend(wish: Wish, payment: StoredPayment): Promise<Handled> {
    const on = payment.processor!;
    const found = await this.#findAtBoth(payment);
    const finding = mayResend(on, found);
    if (!finding.may) return refusedBecause(finding, found);
    const result = await this.#act(wish, 'resend', on, payment.requestedAtMs);
    if (result !== 'done') return refused(RESULTS[result]);
    const { outcome } = await new Promise<ReturnType<typeof classify>>(resolve => {
      const { cents, requestedAtMs } = payment;
      const request = { correlationId: idText(payment.id), cents, requestedAtMs };
      this.#parts.processors.post(on, request, ending => resolve(classify(ending)));
    });
    const isDone = outcome === 'processed' || outcome === 'already processed';
    const said = `${describeFound(found)}. Sent there once more with the booked requestedAt: ${outcome}`;
    return { isDone, said };
  }

  #act(
    wish: Wish,
    kind: ActKind,
    processor: ProcessorIndex | undefined,
    requestedAtMs: number,
  ): Promise<ActResult> {
    const { store, clock } = this.#parts;
    const { id, who, reason: text } = wish;
    const act = { kind, id, processor, requestedAtMs, atMs: clock.wallMs(), who, text };
    return promised(reply => store.act(act, reply));
  }

  #findAtBoth({ id }: Pick<StoredPayment, 'id'>): Promise<FoundAtBoth> {
    const find = (processor: ProcessorIndex): Promise<Found> =>
      new Promise(resolve => this.#parts.processors.find(processor, idText(id), resolve));
    return Promise.all([find(0), find(1)]);
  }
}

const refused = (said: string): Handled => ({ isDone: false, said });

const refusedBecause = ({ because }: Extract<Finding, { may: false }>, found: FoundAtBoth): Handled =>
  refused(`${describeFound(found)}. Nothing was done: ${because}`);

const answered = (result: ActResult, said: string): Handled =>
  result === 'done' ? { isDone: true, said } : refused(RESULTS[result]);
