/**
 * One instance of the service, from joining the others to leaving them. `main` runs it on sockets, a store
 * and the system's clock, the simulation on models of them: what is simulated is what runs.
 *
 *     joining ──> live ──> fenced ──────┐     the others took it for dead
 *                 ^  │ ──> purged ──────┤     a purge made a later generation
 *                 │  │ ──> store lost ───┤     opened anew before it joins
 *                 │  └─────────────────────> stopping
 *                 └─────── joins anew <─┘
 *
 * Expected failures (`Unavailable`, `StoreOpenError`, a system error) are waited out. Any other error is a
 * bug, or a name that another process has by now, and ends the process: `failed`.
 */
import assert from 'node:assert/strict';
import type { Summary } from '../domain/payment.ts';
import { isSystemError } from '../domain/system-error.ts';
import { Unavailable } from '../domain/unavailable.ts';
import {
  describeFault,
  NameTakenError,
  promised,
  type Reopening,
  type Shared,
  type Store,
  StoreFault,
  StoreOpenError,
} from '../storage/ports.ts';
import { Acceptor } from './acceptance.ts';
import type { Acceptance, Kept, Payments, PaymentView, Readiness } from './api.ts';
import { DiskReserve, type StoreDisk } from './disk-reserve.ts';
import { MemoryReserve, type ProcessMemory } from './memory-reserve.ts';
import { findPayment, summarise } from './queries.ts';
import { Session, type SessionEnd, type SessionEvents, type SessionParts } from './session.ts';

/**
 * Attempts at work get this long to end when the instance stops; then they are left to be found as unknown.
 */
const STOP_MS = 2500;
const REJOIN_MS = 500;
/** How often a purge looks whether all instances know of it. */
const PURGE_LOOK_MS = 50;

export type InstanceState =
  /** For the first time. */
  | { readonly is: 'joining' }
  /** `fault`: the store does not take writes at present. */
  | { readonly is: 'live'; readonly session: Session; readonly fault: StoreFault | undefined }
  /** Joining anew. */
  | { readonly is: 'fenced' }
  | { readonly is: 'purged' }
  | { readonly is: 'store lost'; readonly detail: string }
  /** `isReady` never again; what still arrives is taken while there is a session. */
  | { readonly is: 'stopping'; readonly session: Session | undefined };

export interface InstanceParts extends Omit<SessionParts, 'events'> {
  readonly store: Store & Reopening;
  /** Once it has joined for the first time, before anything leaves; if it rejects, so does the start. */
  readonly joined?: () => Promise<void>;
  /** Undefined where the store is on other machines, or nothing is to be kept free. */
  readonly disk?: StoreDisk | undefined;
  /** Undefined where it has no limit. */
  readonly memory?: ProcessMemory | undefined;
  readonly events: InstanceEvents;
}

export interface InstanceEvents extends Omit<SessionEvents, 'ended' | 'faulty' | 'decided'> {
  /** A payment was accepted. */
  accepted(): void;
  /** The instance is in another state than before. */
  changed(state: InstanceState): void;
  /** It cannot join anew yet, for an expected reason; it will try again. */
  cannotJoin(error: Error): void;
  /** An error that nothing expects: the process has to end. */
  failed(error: unknown): void;
}

export class Instance implements Payments {
  readonly disk: DiskReserve | undefined;
  readonly #parts: InstanceParts;
  readonly #acceptor: Acceptor;
  #state: InstanceState = { is: 'joining' };

  constructor(parts: InstanceParts) {
    this.#parts = parts;
    const { clock, events, disk, memory } = parts;
    this.disk = disk && new DiskReserve({ ...disk, unsettled: () => this.#unsettled() });
    this.#acceptor = new Acceptor({
      clock,
      accepted: () => events.accepted(),
      disk: this.disk,
      memory: memory && new MemoryReserve(memory),
    });
  }

  get state(): InstanceState {
    return this.#state;
  }

  /** The session that payments go to; undefined between two. */
  get session(): Session | undefined {
    return 'session' in this.#state ? this.#state.session : undefined;
  }

  /**
   * Joins for the first time. Rejects with `Unavailable` or a system error when that cannot be, and
   * with what `joined` does.
   */
  async start(): Promise<void> {
    assert.equal(this.#state.is, 'joining');
    this.#parts.events.changed(this.#state);
    const session = await Session.join(this.#sessionParts());
    try {
      await this.#parts.joined?.();
    } catch (error) {
      await new Promise<void>(resolve => this.#parts.store.leave(() => resolve()));
      throw error;
    }
    this.#begin(session);
  }

  /** Not ready from now on, so that a proxy looks elsewhere; what still arrives is taken all the same. */
  announceStop(): void {
    this.#change({ is: 'stopping', session: this.session });
  }

  /** Ends what is at work or leaves it in the store, and leaves the others. */
  async stop(): Promise<void> {
    this.announceStop();
    await this.session?.stop(this.#parts.clock.monotonicMs() + STOP_MS);
    this.#change({ is: 'stopping', session: undefined });
  }

  accept(id: Int32Array, cents: number, trace?: Int32Array): Acceptance {
    return this.#acceptor.accept(id, cents, trace);
  }

  /** As of `Acceptor`, for an operator. */
  takeIn(...payment: Parameters<Acceptor['takeIn']>): Promise<Acceptance> | Acceptance {
    return this.#acceptor.takeIn(...payment);
  }

  get waitSeconds(): number {
    return this.#acceptor.waitSeconds;
  }

  commit(waiting: number): Kept | Promise<Kept> {
    return this.#acceptor.commit(waiting);
  }

  async find(id: Uint8Array): Promise<PaymentView | undefined> {
    return findPayment(this.#live(), this.#parts.store, id);
  }

  async summary(fromMs: number, toMs: number): Promise<Summary> {
    return summarise(this.#live(), this.#parts.store, fromMs, toMs);
  }

  async purge(): Promise<void> {
    const { store, clock } = this.#parts;
    this.#live();
    const generation = await promised<number>(reply => store.purge(reply));
    // Once all have joined anew, nothing that any of them accepts can be taken for older than this purge.
    for (;;) {
      const { instances } = await promised<Shared>(reply => store.look(reply));
      if (instances.every(instance => !instance.alive || instance.generation >= generation)) return;
      if (this.#state.is === 'stopping')
        throw new Unavailable('the payments are purged, but not all instances know it yet');
      await new Promise<void>(resolve => clock.after(PURGE_LOOK_MS, resolve));
    }
  }

  readiness(): Readiness {
    const reasons = reasonsAgainst(this.#state, this.#acceptor.overload);
    return { ready: reasons.length === 0, reasons, instance: this.#parts.instance };
  }

  /** Of all instances, as they were at the last look at them. */
  #unsettled(): number {
    const { instances } = this.session?.membership.shared ?? { instances: [] };
    return instances.reduce((sum, { unsettled }) => sum + unsettled, 0);
  }

  #live(): Session {
    const { session } = this;
    if (session === undefined) throw new Unavailable(JOINING);
    return session;
  }

  #begin(session: Session): void {
    const { is } = this.#state;
    assert(is !== 'live', 'two sessions at once');
    this.#change(is === 'stopping' ? { is, session } : { is: 'live', session, fault: undefined });
    // Last: a store that answers at once may end it at once.
    session.start();
  }

  #change(state: InstanceState): void {
    const before = this.session;
    this.#state = state;
    if (this.session !== before) this.#acceptor.session = this.session;
    this.#parts.events.changed(state);
  }

  #sessionParts(): SessionParts {
    const { events } = this.#parts;
    return {
      ...this.#parts,
      events: {
        ...events,
        faulty: fault => this.#faulty(fault),
        decided: (slot, acceptance) => this.#acceptor.decided(slot, acceptance),
        ended: end => this.#ended(end),
      },
    };
  }

  #faulty(fault: StoreFault | undefined): void {
    const state = this.#state;
    if (state.is !== 'live' || (state.fault === undefined) === (fault === undefined)) return;
    this.#change({ ...state, fault });
  }

  #ended(end: SessionEnd): void {
    const { is } = this.#state;
    assert(is === 'live' || is === 'stopping', `a session ended while the instance was ${is}`);
    if (is === 'stopping') {
      this.#change({ is, session: undefined });
      return;
    }
    this.#change(end.is === 'store lost' ? { is: end.is, detail: end.fault.detail } : { is: end.is });
    this.#rejoin().catch(error => this.#parts.events.failed(error));
  }

  async #rejoin(): Promise<void> {
    const { store, clock } = this.#parts;
    while (this.#state.is !== 'stopping') {
      try {
        if (this.#state.is === 'store lost') await store.reopen();
        this.#begin(await Session.join(this.#sessionParts()));
        return;
      } catch (error) {
        if (!isExpected(error)) throw error;
        this.#cannotJoin(error);
        await new Promise<void>(resolve => clock.after(REJOIN_MS, resolve));
      }
    }
  }

  #cannotJoin(error: Error): void {
    // It may have been asked to stop meanwhile.
    if (this.#state.is !== 'stopping' && losesStore(error))
      this.#change({ is: 'store lost', detail: error.message });
    this.#parts.events.cannotJoin(error);
  }
}

const JOINING = 'this instance is joining the others';

function reasonsAgainst(state: InstanceState, overload: readonly string[]): string[] {
  switch (state.is) {
    case 'live':
      return [...overload, ...(state.fault === undefined ? [] : [describeFault(state.fault)])];
    case 'store lost':
      return [JOINING, `the store is lost: ${state.detail}`];
    case 'stopping':
      return ['this instance is stopping'];
    case 'joining':
    case 'fenced':
    case 'purged':
      return [JOINING];
  }
}

const isExpected = (error: unknown): error is Error =>
  error instanceof Unavailable ||
  (error instanceof StoreOpenError && !(error instanceof NameTakenError)) ||
  isSystemError(error);

/** Whether the store has to be opened anew before another try. */
function losesStore(error: Error): boolean {
  if (error instanceof Unavailable) return error.cause instanceof StoreFault && error.cause.reason === 'lost';
  return isSystemError(error) && error.code !== 'ENOSPC';
}
