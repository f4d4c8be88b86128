/**
 * A model of the store in memory: the same contract in plain JavaScript, with nothing that depends on a
 * clock, on chance or on a thread. One `MemoryState` stands for the shared file, one `MemoryStore` for an
 * instance's connection to it.
 */

import { addCents, emptyTotal, type Total } from '../../domain/money.ts';
import type { Summary } from '../../domain/payment.ts';
import { idText, type ProcessorIndex, SETTLED, type StoredPayment } from '../../domain/payment.ts';
import type { Act, ActResult } from '../acts.ts';
import { type Batch, bringsPayments, COLUMNS } from '../batch.ts';
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
  /** The process that asks has ended. */
  readonly isOver?: () => boolean;
  /** Tells one run of the machine from the next. */
  readonly boot?: string;
  /**
   * The last term that the user had seen when the store was lost under it: unless a later one has begun, it
   * begins.
   */
  readonly lostTerm?: number | 'unknown' | undefined;
  readonly durable?: 'process' | 'power';
  readonly gathersMs?: number;
  /** Of a store that may go back to an older state: how long what comes is asked for first, and its clock. */
  readonly doubt?: { readonly asksMs: number; readonly calmMs: number; readonly wallMs: () => number };
}

export class MemoryStore implements Store, Reopening {
  readonly gathersMs?: number;
  readonly #world: MemoryState;
  readonly #options: MemoryOptions;
  #name = '';
  #epoch = 0;
  /** A store that lost it must not give it again. */
  #lastEpoch = 0;
  #term = 0;
  #lostTerm: MemoryOptions['lostTerm'];
  #closed = false;
  /** Of all that was acknowledged to this instance. */
  #step = 0;
  /** The state of the store that it is connected to. */
  #met: number;
  #loss: string | undefined;
  /** Counts the stores that lacked something: nothing that was asked is sent to one of them. */
  #losses = 0;

  constructor(world: MemoryState, options: MemoryOptions = {}) {
    this.#world = world;
    this.#options = options;
    this.#lostTerm = options.lostTerm;
    this.#met = world.incarnation;
    if (options.gathersMs !== undefined) this.gathersMs = options.gathersMs;
  }

  reopen(): Promise<void> {
    this.#epoch = 0;
    this.#lostTerm = this.#term;
    if (this.#loss !== undefined) this.#losses += 1;
    this.#loss = undefined;
    this.#met = this.#world.incarnation;
    return Promise.resolve();
  }

  join(instance: string, reply: Reply<Joined>): void {
    this.#ask('join', reply, () => {
      const { boot = '', durable, doubt } = this.#options;
      const { incarnation, connected } = this.#world;
      // What it wrote last, its earlier process cannot say any more.
      const isInDoubt = doubt !== undefined && this.#isInDoubt(instance);
      const lostTerm = this.#lostTerm ?? (isInDoubt ? this.#world.term : undefined);
      const nowMs = doubt?.wallMs() ?? 0;
      const before = this.#world.term;
      const { term, pinned } = this.#world.beginTerm(boot, lostTerm, doubt && nowMs + doubt.asksMs);
      if (term !== before) {
        this.#world.doubtfulSinceMs = nowMs;
        for (const name of connected.keys()) connected.set(name, incarnation);
      }
      connected.set(instance, incarnation);
      this.#met = incarnation;
      this.#term = term;
      this.#lostTerm = undefined;
      if (durable === 'power') this.#world.flushing.add(instance);
      else this.#world.flushing.delete(instance);
      const view = this.#world.instance(instance);
      const { generation } = this.#world;
      Object.assign(view, {
        epoch: Math.max(view.epoch, this.#lastEpoch) + 1,
        beat: view.beat + 1,
        alive: true,
        generation,
        figures: '',
      });
      this.#world.free(instance);
      this.#world.lastWritten.delete(instance);
      this.#name = instance;
      this.#epoch = view.epoch;
      this.#lastEpoch = view.epoch;
      const { asksFirstUntilMs, doubtfulSinceMs } = this.#world;
      const isCalm = doubt === undefined || nowMs - doubtfulSinceMs >= doubt.calmMs;
      return { epoch: view.epoch, generation, term, pinned, asksFirstUntilMs, isCalm };
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
      const unheard = bringsPayments(batch) ? this.#unheard() : undefined;
      if (unheard !== undefined)
        throw new StoreFault('busy', `${unheard} is still to say what it had before the store went back`);
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
      if (dead.unsettled > 0 && this.#isInDoubt(instance))
        throw this.#lose(`${instance} died before the store went back`);
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
      if (this.#isInDoubt(instance)) throw this.#lose(`${instance} died before the store went back`);
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
    const { incarnation: sentTo } = this.#world;
    const losses = this.#losses;
    schedule(() => {
      const { incarnation } = this.#world;
      // What was on its way when the store went back was lost with its connection. On a new one nothing is
      // sent before the store has said that nothing is missing; to a process that has ended it says nothing.
      const isUnsent = this.#met !== incarnation && this.#options.isOver?.() === true;
      if (sentTo !== incarnation || losses !== this.#losses || isUnsent) return () => reply(replyLost);
      const answer = this.#answer(name, work);
      const step = CHANGES.has(name) ? this.#raiseStep(answer) : 0;
      return () => {
        // The connection broke when the store went back.
        if (incarnation !== this.#world.incarnation) {
          reply(replyLost);
          return;
        }
        if (!(answer instanceof StoreFault)) {
          this.#step = name === 'join' ? step : Math.max(this.#step, step);
          this.#world.acknowledged.set(this.#name, this.#step);
        }
        reply(answer);
      };
    });
  }

  #raiseStep(answer: unknown): number {
    if (answer instanceof StoreFault && answer !== replyLost) return 0;
    const step = (this.#world.steps.get(this.#name) ?? 0) + 1;
    this.#world.steps.set(this.#name, step);
    return step;
  }

  /** A new connection: whether the store has all that it acknowledged to this instance. */
  #confirm(): StoreFault | undefined {
    const { incarnation, instances, steps, connected } = this.#world;
    if (this.#met === incarnation) return undefined;
    const epoch = instances.get(this.#name)?.epoch ?? 0;
    if (this.#epoch > 0 && epoch < this.#epoch) return this.#lose('it is older than when it was joined');
    const behind = this.#epoch > 0 && epoch === this.#epoch ? this.#step - (steps.get(this.#name) ?? 0) : 0;
    if (behind > 0) return this.#lose(`it lacks the last ${behind} calls that it acknowledged`);
    this.#met = incarnation;
    if (epoch === this.#epoch) connected.set(this.#name, incarnation);
    return undefined;
  }

  /** What it was acknowledged last, nobody knows since the store went back. */
  #isInDoubt(instance: string): boolean {
    const { incarnation, connected } = this.#world;
    return (connected.get(instance) ?? incarnation) !== incarnation;
  }

  /** One that lives and is in doubt: until it has said what it had, an id that is not here may have been. */
  #unheard(): string | undefined {
    for (const { name, alive } of this.#world.instances.values())
      if (alive && this.#isInDoubt(name)) return name;
    return undefined;
  }

  #lose(detail: string): StoreFault {
    this.#loss = detail;
    return new StoreFault('lost', detail);
  }

  #answer<T>(name: keyof Store, work: () => T): T | StoreFault {
    if (this.#closed) return new StoreFault('lost', 'the store is closed');
    const fault = this.#options.fault?.(name);
    if (fault !== undefined) return fault;
    if (this.#loss !== undefined) return new StoreFault('lost', this.#loss);
    const loss = this.#confirm();
    if (loss !== undefined) return loss;
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

/** What is not there any more where the store went back. */
const CHANGES: ReadonlySet<keyof Store> = new Set([
  ...(['join', 'write', 'act', 'adopt', 'fence', 'takeChecker', 'report', 'rememberUrls', 'purge'] as const),
]);

const replyLost = new StoreFault('unanswered', 'the reply was lost on its way');
