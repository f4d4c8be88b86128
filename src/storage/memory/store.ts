/**
 * A model of the store in memory: the same contract in plain JavaScript, with nothing that depends on a
 * clock, on chance or on a thread. One `MemoryState` stands for the shared file, one `MemoryStore` for an
 * instance's connection to it.
 */

import { addCents, type Cents, emptyTotal, type Total } from '../../domain/money.ts';
import type { Summary } from '../../domain/payment.ts';
import { idText, type ProcessorIndex, SETTLED, type StoredPayment } from '../../domain/payment.ts';
import { type Batch, COLUMNS } from '../batch.ts';
import type { SqliteOptions } from '../embedded/sqlite/open.ts';
import {
  FORGOTTEN,
  type Joined,
  type Reopening,
  type Reply,
  type Shared,
  type Store,
  StoreFault,
  type Written,
} from '../ports.ts';
import { type MemoryState, pinnedAs, stored, untouched } from './state.ts';

/** What an instance's log holds of one payment. */
export interface LoggedPayment {
  readonly generation: number;
  readonly term: number;
  readonly id: Uint8Array;
  readonly cents: number;
  readonly acceptedAtMs: number;
}

export interface MemoryOptions {
  /**
   * Decides when a call is carried out and when it is answered: `carryOut` does it and returns what delivers
   * the answer; keeping the order is its business too. Left out, a call is carried out at once and answered
   * after the present turn.
   */
  readonly schedule?: (carryOut: () => () => void) => void;
  /** Asked before each call is carried out: a fault is its answer, and nothing is changed. */
  readonly fault?: (name: keyof Store) => StoreFault | undefined;
  /** What the logs of an instance hold. */
  readonly logged?: (instance: string) => Iterable<LoggedPayment>;
  /** As in `SqliteOptions`. */
  readonly boot?: string;
  readonly brokenTerm?: SqliteOptions['brokenTerm'];
  readonly durable?: 'process' | 'power';
}

export class MemoryStore implements Store, Reopening {
  readonly #world: MemoryState;
  readonly #options: MemoryOptions;
  #name = '';
  #epoch = 0;
  #term = 0;
  #brokenTerm: SqliteOptions['brokenTerm'];
  #closed = false;

  constructor(world: MemoryState, options: MemoryOptions = {}) {
    this.#world = world;
    this.#options = options;
    this.#brokenTerm = options.brokenTerm;
  }

  reopen(): Promise<void> {
    this.#epoch = 0;
    this.#brokenTerm = this.#term;
    return Promise.resolve();
  }

  join(instance: string, reply: Reply<Joined>): void {
    this.#ask('join', reply, () => {
      const { boot = '', durable } = this.#options;
      const { term, pinned } = this.#world.beginTerm(boot, this.#brokenTerm);
      this.#term = term;
      if (durable === 'power') this.#world.flushing.add(instance);
      else this.#world.flushing.delete(instance);
      const view = this.#world.instance(instance);
      const { generation } = this.#world;
      Object.assign(view, {
        epoch: view.epoch + 1,
        beat: view.beat + 1,
        alive: true,
        generation,
        figures: '',
      });
      this.#world.free(instance);
      this.#name = instance;
      this.#epoch = view.epoch;
      return { epoch: view.epoch, generation, term, pinned };
    });
  }

  replay(instance: string, reply: Reply<number>): void {
    this.#ask('replay', reply, () => {
      this.#assertOurs();
      if (instance !== this.#name && this.#world.instances.get(instance)?.alive) return 0;
      let added = 0;
      for (const logged of this.#options.logged?.(instance) ?? []) {
        const { generation, term, id, cents, acceptedAtMs } = logged;
        if (generation !== this.#world.generation) continue;
        const progress = term === this.#world.term ? untouched : { ...untouched, ...pinnedAs(acceptedAtMs) };
        const fresh = { ...progress, id: id.slice(), cents: cents as Cents, acceptedAtMs, owner: instance };
        if (this.#world.put(fresh) > 0) added += 1;
      }
      return added;
    });
  }

  write(batch: Batch, reply: Reply<Written>): void {
    this.#ask('write', reply, () => {
      const { generation } = this.#world;
      const epoch = this.#world.instance(this.#name).epoch;
      if (batch.epoch !== epoch) throw new StoreFault('fenced', `epoch ${batch.epoch} has passed`);
      const results = new Float64Array(batch.count);
      if (batch.generation !== generation) return { generation, results: results.fill(FORGOTTEN) };
      for (let index = 0; index < batch.count; index++) {
        results[index] = this.#world.change(this.#name, batch.rows, index * COLUMNS);
      }
      if (batch.isFlushed) this.#world.flush();
      return { generation, results };
    });
  }

  take(afterSeq: number, limit: number, reply: Reply<StoredPayment[]>): void {
    this.#ask('take', reply, () => this.#world.unsettled(this.#name, afterSeq, limit).map(stored));
  }

  adopt(instance: string, limit: number, reply: Reply<StoredPayment[]>): void {
    this.#ask('adopt', reply, () => {
      this.#assertOurs();
      const dead = this.#world.instances.get(instance);
      if (dead === undefined || dead.alive) return [];
      const adopted = this.#world.unsettled(instance, 0, limit);
      for (const payment of adopted) payment.owner = this.#name;
      dead.unsettled -= adopted.length;
      this.#world.instance(this.#name).unsettled += adopted.length;
      return adopted.map(stored);
    });
  }

  find(id: Uint8Array, reply: Reply<StoredPayment | undefined>): void {
    this.#ask('find', reply, () => {
      const payment = this.#world.payments.get(idText(id));
      return payment && stored(payment);
    });
  }

  summary(fromMs: number, toMs: number, reply: Reply<Summary>): void {
    this.#ask('summary', reply, () => {
      const totals: [Total, Total] = [emptyTotal(), emptyTotal()];
      for (const { state, processor, requestedAtMs: at, cents } of this.#world.payments.values()) {
        if (state === SETTLED && at >= fromMs && at <= toMs) addCents(totals[processor!], cents);
      }
      return { default: totals[0], fallback: totals[1] };
    });
  }

  ids(afterSeq: number, limit: number, reply: Reply<{ ids: Uint8Array; lastSeq: number }>): void {
    this.#ask('ids', reply, () => {
      const page = [...this.#world.bySeq.values()].filter(({ seq }) => seq > afterSeq).slice(0, limit);
      const ids = new Uint8Array(page.length * 16);
      page.forEach(({ id }, index) => {
        ids.set(id, index * 16);
      });
      return { ids, lastSeq: page.at(-1)?.seq ?? afterSeq };
    });
  }

  look(reply: Reply<Shared>): void {
    this.#ask('look', reply, () => this.#seen());
  }

  beat(generation: number, figures: string, reply: Reply<Shared>): void {
    this.#ask('beat', reply, () => {
      this.#assertOurs();
      const view = this.#world.instance(this.#name);
      Object.assign(view, { beat: view.beat + 1, generation, figures });
      return this.#seen();
    });
  }

  fence(instance: string, epoch: number, beat: number, reply: Reply<boolean>): void {
    this.#ask('fence', reply, () => {
      this.#assertOurs();
      const view = this.#world.instances.get(instance);
      if (view === undefined || !view.alive || view.epoch !== epoch || view.beat !== beat) return false;
      view.epoch += 1;
      view.alive = false;
      this.#world.free(instance);
      return true;
    });
  }

  takeChecker(holder: string, reply: Reply<boolean>): void {
    this.#ask('takeChecker', reply, () => {
      this.#assertOurs();
      if (this.#world.checker !== holder) return false;
      this.#world.checker = this.#name;
      return true;
    });
  }

  report(processor: ProcessorIndex, failing: boolean, minResponseMs: number, reply: Reply<boolean>): void {
    this.#ask('report', reply, () => {
      this.#assertOurs();
      if (this.#world.checker !== this.#name) return false;
      const version = this.#world.health[processor].version + 1;
      this.#world.health[processor] = { failing, minResponseMs, version };
      return true;
    });
  }

  purge(reply: Reply<number>): void {
    this.#ask('purge', reply, () => {
      this.#assertOurs();
      this.#world.payments.clear();
      this.#world.bySeq.clear();
      for (const view of this.#world.instances.values()) view.unsettled = 0;
      this.#world.generation += 1;
      this.#world.flush();
      return this.#world.generation;
    });
  }

  sync(reply: Reply<true>): void {
    this.#ask('sync', reply, () => {
      this.#world.flush();
      return true as const;
    });
  }

  leave(reply: Reply<true>): void {
    this.#ask('leave', reply, () => {
      const view = this.#world.instances.get(this.#name);
      if (view?.epoch === this.#epoch) {
        view.alive = false;
        this.#world.free(this.#name);
      }
      this.#closed = true;
      return true as const;
    });
  }

  #seen(): Shared {
    const shared = this.#world.shared();
    this.#term = shared.term;
    return shared;
  }

  #ask<T>(name: keyof Store, reply: Reply<T>, work: () => T): void {
    const schedule = this.#options.schedule ?? (carryOut => setImmediate(carryOut()));
    schedule(() => {
      const answer = this.#answer(name, work);
      return () => reply(answer);
    });
  }

  #answer<T>(name: keyof Store, work: () => T): T | StoreFault {
    if (this.#closed) return new StoreFault('broken', 'the store is closed');
    const fault = this.#options.fault?.(name);
    if (fault !== undefined) return fault;
    try {
      return work();
    } catch (error) {
      if (error instanceof StoreFault) return error;
      throw error;
    }
  }

  #assertOurs(): void {
    if (this.#epoch > 0 && this.#world.instances.get(this.#name)?.epoch === this.#epoch) return;
    throw new StoreFault('fenced', `${this.#name || 'nobody'} is not joined with epoch ${this.#epoch}`);
  }
}
