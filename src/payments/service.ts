/**
 * What the HTTP side calls: has payments taken in, and answers questions about them.
 */

import type { Cents } from '../domain/money.ts';
import { idText, idWords, PROCESSORS, SETTLED, type StoredPayment } from '../domain/payment.ts';
import { Acceptor, type AcceptorParts } from './acceptance.ts';
import {
  type Acceptance,
  type Payments,
  type PaymentView,
  type Readiness,
  type Summary,
  Unavailable,
} from './api.ts';
import { ask } from './ask.ts';
import { NONE } from './payment-pool.ts';
import type { Session } from './session.ts';

export interface ServiceParts extends AcceptorParts {
  readonly instance: string;
}

export class Service implements Payments {
  readonly #parts: ServiceParts;
  readonly #intake: Acceptor;
  #fault: string | undefined;
  #stopping = false;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
    this.#intake = new Acceptor(parts);
  }

  /** The life that payments go to; undefined between two lives. */
  set session(session: Session | undefined) {
    this.#intake.session = session;
  }

  get session(): Session | undefined {
    return this.#intake.session;
  }

  /** A fault of the store, for `readiness`; undefined: it works. */
  set fault(detail: string | undefined) {
    this.#fault = detail;
  }

  /** Not ready from now on; what still arrives is taken all the same, until the session ends. */
  announceStop(): void {
    this.#stopping = true;
  }

  accept(id: Int32Array, cents: number, trace?: Int32Array): Acceptance | Promise<Acceptance> {
    return this.#intake.accept(id, cents, trace);
  }

  commit(): boolean | Promise<boolean> {
    return this.#intake.commit();
  }

  async find(id: Uint8Array): Promise<PaymentView | undefined> {
    const session = this.#live();
    const words = idWords(id);
    // By the time the store has answered, this may be gone from the log and be in the store.
    const heard = session.follower.find(words);
    // What is shown as settled has to be so after a crash, too.
    if (isSettled(session, session.pool.find(words))) await written(session);
    // Also of what is at work here: another instance may have taken it over while this one was stopped, and
    // settled it.
    const stored = await ask<StoredPayment | undefined>(reply => this.#parts.store.find(id, reply));
    const slot = session.pool.find(words);
    if (stored?.state !== SETTLED && slot !== NONE && !isSettled(session, slot))
      return viewOfSlot(session, slot);
    if (stored !== undefined) return viewOfStored(stored);
    return heard && queuedView(idText(id), heard.cents, heard.acceptedAtMs);
  }

  async summary(fromMs: number, toMs: number): Promise<Summary> {
    const session = this.#live();
    await written(session);
    return ask(reply => this.#parts.store.summary(fromMs, toMs, reply));
  }

  async purge(): Promise<void> {
    const session = this.#live();
    const generation = await ask<number>(reply => this.#parts.store.purge(reply));
    session.membership.notice(generation);
    // Whatever another instance accepts from now on it must not take for older than this purge.
    const noticed = Promise.withResolvers<boolean>();
    session.membership.whenNoticed(generation, noticed.resolve);
    if (!(await noticed.promise))
      throw new Unavailable('the payments are purged, but not all instances know it yet');
  }

  readiness(): Readiness {
    const reasons: string[] = [];
    const { session } = this;
    if (this.#stopping) reasons.push('this instance is stopping');
    if (session === undefined) reasons.push('this instance is joining the others');
    else if (session.pool.size >= session.pool.capacity) reasons.push('the queue is full');
    if (this.#fault !== undefined) reasons.push(this.#fault);
    return { ready: reasons.length === 0, reasons, instance: this.#parts.instance };
  }

  #live(): Session {
    const { session } = this;
    if (session === undefined) throw new Unavailable('this instance is joining the others');
    return session;
  }
}

/** Everything recorded in this instance so far is in the store. */
function written(session: Session): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  session.worker.whenWritten(resolve);
  return promise;
}

const isSettled = ({ pool }: Session, slot: number): boolean => slot !== NONE && pool.state[slot] === SETTLED;

function viewOfSlot(session: Session, slot: number): PaymentView {
  const { pool } = session;
  const tried = pool.attempts[slot]! > 0;
  return {
    correlationId: pool.textOf(slot),
    cents: pool.cents[slot]! as Cents,
    status: 'queued',
    processor: tried ? PROCESSORS[pool.processorOf(slot)] : null,
    requestedAtMs: tried ? pool.requestedAtMs[slot]! : null,
    acceptedAtMs: pool.acceptedAtMs[slot]!,
    attempts: pool.attempts[slot]!,
  };
}

function viewOfStored(stored: StoredPayment): PaymentView {
  const { processor, requestedAtMs } = stored;
  return {
    correlationId: idText(stored.id),
    cents: stored.cents,
    status: stored.state === SETTLED ? 'settled' : 'queued',
    processor: processor === undefined ? null : PROCESSORS[processor],
    requestedAtMs: requestedAtMs > 0 ? requestedAtMs : null,
    acceptedAtMs: stored.acceptedAtMs,
    attempts: stored.attempts,
  };
}

const queuedView = (correlationId: string, cents: number, acceptedAtMs: number): PaymentView => ({
  correlationId,
  cents: cents as Cents,
  status: 'queued',
  processor: null,
  requestedAtMs: null,
  acceptedAtMs,
  attempts: 0,
});
