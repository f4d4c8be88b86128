/**
 * What the HTTP side calls: accepts payments, and answers questions about them.
 *
 * An id that is at work here, or in another instance's log, is known from memory. One that was never seen is
 * known to be new from the filter. Only the few in between are asked of the store before they are answered.
 */
import type { Clock } from '../clock.ts';
import type { Store } from '../store/store.ts';
import { ask } from './ask.ts';
import type { Cents } from './money.ts';
import { idText, idWords, PROCESSORS, SETTLED, type StoredPayment, writeIdBytes } from './payment.ts';
import {
  ACCEPTED,
  type Acceptance,
  CONFLICT,
  type Payments,
  type PaymentView,
  type Readiness,
  type Summary,
  UNAVAILABLE,
  Unavailable,
} from './payments.ts';
import { NONE } from './queue.ts';
import type { Session } from './session.ts';

/** What has to have happened before a payment is acknowledged. */
export type AckAfter = 'parse' | 'commit' | 'flush';

/** With `parse` the log is written this long after the first payment of a batch. */
const LAZY_WRITE_MS = 5;

export interface ServiceParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly instance: string;
  readonly ackAfter: AckAfter;
  /** A payment was accepted; for figures. */
  readonly accepted: () => void;
}

export class Service implements Payments {
  readonly #parts: ServiceParts;
  #session: Session | undefined;
  #fault: string | undefined;
  #stopping = false;
  /** Slots accepted since the last commit. */
  #fresh: number[] = [];
  #writeIsDue = false;
  /** The generation in which they were accepted: a purge in between empties the queue under them. */
  #freshGeneration = 0;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
  }

  /** The life that payments go to; undefined between two lives. */
  set session(session: Session | undefined) {
    this.#session = session;
    this.#fresh = [];
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** A fault of the store, for `readiness`; undefined: it works. */
  set fault(detail: string | undefined) {
    this.#fault = detail;
  }

  /** Not ready from now on; what still arrives is taken all the same, until the session ends. */
  announceStop(): void {
    this.#stopping = true;
  }

  accept(id: Int32Array, cents: number): Acceptance | Promise<Acceptance> {
    const session = this.#session;
    if (session === undefined) return UNAVAILABLE;
    const known = this.#known(session, id, cents);
    if (known !== undefined) return known;
    if (session.isNew(id)) return this.#take(session, id, cents);
    return this.#askThenAccept(Int32Array.from(id), cents);
  }

  commit(): boolean | Promise<boolean> {
    const session = this.#session;
    const { ackAfter, clock } = this.#parts;
    if (session === undefined) return false;
    const generation = this.#freshGeneration;
    const fresh = this.#fresh;
    if (fresh.length > 0 && generation !== session.generation) {
      this.#fresh = [];
      return false;
    }
    if (ackAfter === 'parse') {
      if (fresh.length === 0) return true;
      this.#fresh = [];
      this.#enter(session, fresh);
      if (!this.#writeIsDue) {
        this.#writeIsDue = true;
        clock.after(LAZY_WRITE_MS, () => {
          this.#writeIsDue = false;
          session.log.write();
        });
      }
      return true;
    }
    if (fresh.length > 0) {
      this.#fresh = [];
      if (!session.log.write()) {
        for (const slot of fresh) session.queue.free(slot);
        return false;
      }
    }
    if (ackAfter === 'commit') {
      this.#enter(session, fresh);
      return true;
    }
    return session.log.flushed().then(kept => {
      if (session !== this.#session || generation !== session.generation) return fresh.length === 0;
      if (kept) this.#enter(session, fresh);
      else for (const slot of fresh) session.queue.free(slot);
      return kept;
    });
  }

  async find(id: Uint8Array): Promise<PaymentView | undefined> {
    const session = this.#live();
    const words = idWords(id);
    const slot = session.queue.find(words);
    if (slot !== NONE) return viewOfSlot(session, slot);
    const stored = await ask<StoredPayment | undefined>(reply => this.#parts.store.find(id, reply));
    if (stored !== undefined) return viewOfStored(stored);
    const heard = session.follower.find(words);
    return heard && queuedView(idText(id), heard.cents, heard.acceptedAtMs);
  }

  async summary(fromMs: number, toMs: number): Promise<Summary> {
    const session = this.#live();
    const written = Promise.withResolvers<void>();
    session.worker.whenWritten(written.resolve);
    await written.promise;
    return ask(reply => this.#parts.store.summary(fromMs, toMs, reply));
  }

  async purge(): Promise<void> {
    const session = this.#live();
    const generation = await ask<number>(reply => this.#parts.store.purge(reply));
    session.membership.notice(generation);
    // Whatever another instance accepts from now on it must not take for older than this purge.
    const noticed = Promise.withResolvers<void>();
    session.membership.whenNoticed(generation, noticed.resolve);
    await noticed.promise;
  }

  readiness(): Readiness {
    const reasons: string[] = [];
    const session = this.#session;
    if (this.#stopping) reasons.push('this instance is stopping');
    if (session === undefined) reasons.push('this instance is joining the others');
    else if (session.queue.size >= session.queue.capacity) reasons.push('the queue is full');
    if (this.#fault !== undefined) reasons.push(this.#fault);
    return { ready: reasons.length === 0, reasons, instance: this.#parts.instance };
  }

  #live(): Session {
    if (this.#session === undefined) throw new Unavailable('this instance is joining the others');
    return this.#session;
  }

  /** What memory says of an id; undefined: nothing. */
  #known(session: Session, id: ArrayLike<number>, cents: number): Acceptance | undefined {
    const slot = session.queue.find(id);
    if (slot !== NONE) return session.queue.cents[slot] === cents ? ACCEPTED : CONFLICT;
    const heard = session.follower.find(id);
    if (heard === undefined) return undefined;
    return heard.cents === cents ? ACCEPTED : CONFLICT;
  }

  #take(session: Session, id: ArrayLike<number>, cents: number): Acceptance {
    const { clock } = this.#parts;
    const acceptedAtMs = clock.wallMs();
    const slot = session.queue.add(id, cents, acceptedAtMs, clock.monotonicMs());
    if (slot === NONE) return UNAVAILABLE;
    session.queue.segment[slot] = session.log.segment;
    session.log.append(id, cents, acceptedAtMs);
    session.filter.add(id);
    this.#fresh.push(slot);
    this.#freshGeneration = session.generation;
    return ACCEPTED;
  }

  async #askThenAccept(id: Int32Array, cents: number): Promise<Acceptance> {
    const bytes = new Uint8Array(16);
    writeIdBytes(id, 0, bytes, 0);
    const stored = await ask<StoredPayment | undefined>(reply => this.#parts.store.find(bytes, reply)).catch(
      () => null,
    );
    const session = this.#session;
    if (stored === null || session === undefined) return UNAVAILABLE;
    if (stored !== undefined) return stored.cents === cents ? ACCEPTED : CONFLICT;
    // It may have come in by another request meanwhile.
    const acceptance = this.#known(session, id, cents) ?? this.#take(session, id, cents);
    if (acceptance !== ACCEPTED) return acceptance;
    return (await this.commit()) ? ACCEPTED : UNAVAILABLE;
  }

  #enter(session: Session, slots: readonly number[]): void {
    for (const slot of slots) {
      session.worker.enter(slot);
      this.#parts.accepted();
    }
  }
}

function viewOfSlot(session: Session, slot: number): PaymentView {
  const { queue } = session;
  const tried = queue.attempts[slot]! > 0;
  return {
    correlationId: queue.textOf(slot),
    cents: queue.cents[slot]! as Cents,
    status: queue.state[slot] === SETTLED ? 'settled' : 'queued',
    processor: tried ? PROCESSORS[queue.processorOf(slot)] : null,
    requestedAtMs: tried ? queue.requestedAtMs[slot]! : null,
    acceptedAtMs: queue.acceptedAtMs[slot]!,
    attempts: queue.attempts[slot]!,
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
