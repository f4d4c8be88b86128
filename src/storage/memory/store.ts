/**
 * A model of the store in memory: the same contract in plain JavaScript, with nothing that depends on a
 * clock, on chance or on a thread. One `MemoryState` stands for the shared file, one `MemoryStore` for an
 * instance's connection to it.
 */

import { addCents, emptyTotal, type Total } from '../../domain/money.ts';
import type { Summary } from '../../domain/payment.ts';
import { idText, type ProcessorIndex, SETTLED, type StoredPayment } from '../../domain/payment.ts';
import type { Act, ActResult } from '../acts.ts';
import { type Batch, COLUMNS } from '../batch.ts';
import {
  FORGOTTEN,
  type Joined,
  type ProcessorUrls,
  type Reopening,
  type Reply,
  type Shared,
  type Store,
  StoreFault,
  type Written,
} from '../ports.ts';
import { type MemoryState, stored } from './state.ts';

export interface MemoryOptions {
  /**
   * Decides when a call is carried out and when it is answered: `carryOut` does it and returns what delivers
   * the answer; keeping the order is its business too. Left out, a call is carried out at once and answered
   * after the present turn.
   */
  readonly schedule?: (carryOut: () => () => void) => void;
  /** Asked before each call is carried out: a fault is its answer, and nothing is changed. */
  readonly fault?: (name: keyof Store) => StoreFault | undefined;
  /** Asked after each call was carried out: whether its reply is lost on the way. */
  readonly losesReply?: (name: keyof Store) => boolean;
  /** Tells one run of the machine from the next. */
  readonly boot?: string;
  /**
   * The last term that the user had seen when the store was lost under it: unless a later one has begun, it
   * begins.
   */
  readonly lostTerm?: number | 'unknown' | undefined;
  readonly durable?: 'process' | 'power';
  readonly gathersMs?: number;
}

export class MemoryStore implements Store, Reopening {
  readonly gathersMs?: number;
  readonly #world: MemoryState;
  readonly #options: MemoryOptions;
  #name = '';
  #epoch = 0;
  #term = 0;
  #lostTerm: MemoryOptions['lostTerm'];
  #closed = false;

  constructor(world: MemoryState, options: MemoryOptions = {}) {
    this.#world = world;
    this.#options = options;
    this.#lostTerm = options.lostTerm;
    if (options.gathersMs !== undefined) this.gathersMs = options.gathersMs;
  }

  reopen(): Promise<void> {
    this.#epoch = 0;
    this.#lostTerm = this.#term;
    return Promise.resolve();
  }

  join(instance: string, reply: Reply<Joined>): void {
    this.#ask('join', reply, () => {
      const { boot = '', durable } = this.#options;
      const { term, pinned } = this.#world.beginTerm(boot, this.#lostTerm);
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
      return { epoch: view.epoch, generation, term, pinned, asksFirstUntilMs: 0, isCalm: true };
    });
  }

  write(batch: Batch, reply: Reply<Written>): void {
    this.#ask('write', reply, () => {
      const { generation } = this.#world;
      const epoch = this.#world.instance(this.#name).epoch;
      if (batch.epoch !== epoch) throw new StoreFault('fenced', `epoch ${batch.epoch} has passed`);
      const results = new Float64Array(batch.count);
      if (batch.generation !== generation) return { generation, results: results.fill(FORGOTTEN) };
      const last = this.#world.lastWritten.get(this.#name);
      if (last !== undefined && batch.number > 0 && last.epoch === epoch && last.number === batch.number)
        return last.written;
      for (let index = 0; index < batch.count; index++) {
        results[index] = this.#world.change(this.#name, batch.rows, index * COLUMNS);
      }
      if (batch.isFlushed) this.#world.flush();
      const written = { generation, results };
      this.#world.lastWritten.set(this.#name, { epoch, number: batch.number, written });
      return written;
    });
  }

  take(afterSeq: number, limit: number, reply: Reply<StoredPayment[]>): void {
    this.#ask('take', reply, () => this.#world.unsettled(this.#name, afterSeq, limit).map(stored));
  }

  takeHeld(dueMs: number, limit: number, reply: Reply<StoredPayment[]>): void {
    this.#ask('takeHeld', reply, () => this.#world.held(this.#name, dueMs, limit).map(stored));
  }

  adopt(instance: string, reply: Reply<number>): void {
    this.#ask('adopt', reply, () => {
      this.#assertOurs();
      const dead = this.#world.instances.get(instance);
      if (dead === undefined || dead.alive) return 0;
      const adopted = this.#world.unsettledOf(instance);
      for (const payment of adopted) payment.owner = this.#name;
      dead.unsettled -= adopted.length;
      this.#world.instance(this.#name).unsettled += adopted.length;
      return adopted.length;
    });
  }

  find(id: Uint8Array, reply: Reply<StoredPayment | undefined>): void {
    this.#ask('find', reply, () => {
      const payment = this.#world.payments.get(idText(id));
      return payment && stored(payment);
    });
  }

  act(act: Act, reply: Reply<ActResult>): void {
    this.#ask('act', reply, () => {
      this.#assertOurs();
      return this.#world.act(act);
    });
  }

  urls(reply: Reply<ProcessorUrls | undefined>): void {
    this.#ask('urls', reply, () => this.#world.urls);
  }

  rememberUrls(urls: ProcessorUrls, reply: Reply<true>): void {
    this.#ask('rememberUrls', reply, () => {
      this.#assertOurs();
      this.#world.urls = urls;
      return true as const;
    });
  }

  pinnedTo(processor: ProcessorIndex, limit: number, reply: Reply<StoredPayment[]>): void {
    this.#ask('pinnedTo', reply, () => this.#world.pinnedTo(processor, limit).map(stored));
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

  look(reply: Reply<Shared>): void {
    this.#ask('look', reply, () => this.#seen());
  }

  beat(figures: string, reply: Reply<Shared>): void {
    this.#ask('beat', reply, () => {
      this.#assertOurs();
      const view = this.#world.instance(this.#name);
      Object.assign(view, { beat: view.beat + 1, figures });
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
      this.#world.acts.length = 0;
      for (const view of this.#world.instances.values()) view.unsettled = 0;
      this.#world.generation += 1;
      this.#world.flush();
      return this.#world.generation;
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
    if (this.#closed) return new StoreFault('lost', 'the store is closed');
    const fault = this.#options.fault?.(name);
    if (fault !== undefined) return fault;
    try {
      const answer = work();
      return this.#options.losesReply?.(name) === true ? replyLost : answer;
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

const replyLost = new StoreFault('unanswered', 'the reply was lost on its way');
