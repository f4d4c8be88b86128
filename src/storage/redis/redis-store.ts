/**
 * The store in Redis or Valkey, for backends on any number of machines.
 *
 * Nothing is decided here: what a call does stands in the functions of the server (`library.ts`), each call
 * is one of those, carried out alone and whole, and this class carries it there and says what is known when
 * no answer comes back. All calls go over one connection, so they are in the order in which they were asked.
 */
import type { ProcessorIndex, StoredPayment } from '../../domain/payment.ts';
import type { Act, ActResult } from '../acts.ts';
import { type Batch, needsRoom } from '../batch.ts';
import {
  faultIn,
  type Joined,
  type ProcessorUrls,
  type Reopening,
  type Reply,
  type Shared,
  type Store,
  StoreFault,
  StoreOpenError,
  type Written,
} from '../ports.ts';
import { paymentsIn, type RedisList, sharedIn } from './answers.ts';
import { RedisConnection } from './connection.ts';
import { InspectedRedis, type RedisCall } from './inspected-redis.ts';
import { KnownServer } from './known-server.ts';
import { functionName, type RedisFunction } from './library.ts';
import { RedisName } from './name.ts';
import type { RedisStoreOptions } from './options.ts';
import { packBatch, unpackResults } from './packed-batch.ts';
import { storedOf } from './record.ts';
import { RedisArchive } from './redis-archive.ts';

/**
 * A call without an answer for so long counts as unanswered, and its connection as broken: shorter than a
 * lease, so that an instance that is cut off knows it before the others declare it dead.
 */
const CALL_MS = 2500;
/** A payment alone in its batch costs both sides 350 µs, among ten 70. */
const GATHERS_MS = 3;
/** A term may begin with a joining, and go through all that is unsettled. */
const JOIN_MS = 30_000;
/** Replicas have to have a batch within this time. */
const WAIT_MS = 2000;

export class RedisStore extends InspectedRedis implements Store, Reopening {
  readonly gathersMs = GATHERS_MS;
  readonly #options: RedisStoreOptions;
  readonly #key: string;
  readonly #connection: RedisConnection;
  readonly #server: KnownServer;
  readonly #holder: RedisName | undefined;
  #lostTerm: number | undefined;
  #term = 0;
  #name = '';
  #number = 0;
  #epoch = 0;
  /** A store that lost it must not give it again. */
  #lastEpoch = 0;
  /** Of all that was acknowledged to this instance in its epoch. */
  #step = 0;
  #isClosed = false;
  #changed: (() => void) | undefined;
  #seen: { text: string; shared: Shared } | undefined;

  /** Begins the store where there is none. Throws `StoreFault` or `StoreOpenError`. */
  static async open(options: RedisStoreOptions): Promise<RedisStore> {
    const store = new RedisStore(options);
    try {
      await store.#connection.open();
      await store.#holder?.take();
    } catch (error) {
      store.#close();
      throw error;
    }
    return store;
  }

  private constructor(options: RedisStoreOptions) {
    super();
    this.#options = options;
    const { url, clock, application, instance, key = url.name, channels = [key] } = options;
    this.#key = `{${key}}`;
    this.#server = new KnownServer(options, this.#key);
    this.#lostTerm = options.isDoubtful === true ? -1 : undefined;
    const parts = { url, clock, application, key: this.#key };
    this.#connection = new RedisConnection(
      {
        ...parts,
        prepare: (ask, state) =>
          this.#server.meet(ask, state, [this.#name, this.#epoch, this.#step, this.#term]),
      },
      CALL_MS,
    );
    if (instance === undefined) return;
    this.#holder = new RedisName({
      ...{ ...parts, instance, channels: channels.map(each => `{${each}}`) },
      takes: async session => Number((await this.#call('takeName', [instance, session]))[1]) === 1,
      changed: () => this.#changed?.(),
    });
  }

  /** What a 202 survives, for people; known once the store is open. */
  get survives(): string {
    return this.#server.survives;
  }

  /** What was acknowledged may be gone: it has to be opened anew. */
  get isLost(): boolean {
    return this.#server.loss !== undefined;
  }

  /** What is old leaves the store through it. */
  get archive(): RedisArchive {
    return new RedisArchive(
      async (name, args) => {
        this.#assertOpen();
        return this.#call(name, args);
      },
      async (name, args) => {
        this.#assertOpen();
        return this.read(name, args);
      },
    );
  }

  /** Of the server. */
  get run(): string {
    return this.#server.run;
  }

  /** Of all that the server holds, in bytes. */
  async size(): Promise<number> {
    const info = String(await this.#connection.ask('INFO', ['memory']).catch(() => ''));
    return Number(/used_memory:(\d+)/.exec(info)?.[1] ?? 0);
  }

  async reopen(): Promise<void> {
    this.#epoch = 0;
    this.#lostTerm = this.#term;
    this.#server.forget();
    this.#connection.abandon();
    try {
      await this.#connection.open();
      await this.#holder?.take();
    } catch (error) {
      if (error instanceof StoreFault) throw new StoreOpenError(error.detail);
      throw error;
    }
  }

  join(instance: string, reply: Reply<Joined>): void {
    this.answer(reply, async () => {
      const { ackAfter, clock } = this.#options;
      await this.#holder?.take();
      await this.#connection.open();
      const lostTerm = this.#lostTerm === undefined ? '' : this.#lostTerm;
      const last = this.#name === instance ? this.#lastEpoch : 0;
      const answer = await this.#call(
        'join',
        [...[instance, ackAfter === 'flush' ? 1 : 0, lostTerm, this.#server.run, last, clock.wallMs()]],
        JOIN_MS,
      );
      const [epoch, generation, term, pinned, asks, calm, number, step] = answer.slice(1).map(Number);
      this.#name = instance;
      this.#number = number!;
      this.#epoch = epoch!;
      this.#lastEpoch = epoch!;
      this.#step = step!;
      this.#term = term!;
      this.#lostTerm = undefined;
      return {
        ...{ epoch: epoch!, generation: generation!, term: term!, pinned: pinned! },
        ...{ asksFirstUntilMs: asks!, isCalm: calm === 1 },
      };
    });
  }

  write(batch: Batch, reply: Reply<Written>): void {
    const { epoch, generation, number } = batch;
    const args = [this.#name, epoch, generation, number, packBatch(batch, this.#number)];
    const name = needsRoom(batch) ? 'write' : 'writeOver';
    this.answer(reply, async () => {
      const answer = await this.#call(name, args);
      const [fault, now, first, codes, step] = answer;
      if (String(fault) === 'busy') throw new StoreFault('busy', String(now));
      if (String(fault) !== '') throw new StoreFault('fenced', `epoch ${epoch} has passed`);
      if (epoch === this.#epoch) this.#step = Math.max(this.#step, Number(step));
      return unpackResults(Number(now), Number(first), codes as Buffer);
    });
  }

  watch(changed: (() => void) | undefined): void {
    this.#changed = changed;
    changed?.();
  }

  take(afterSeq: number, limit: number, reply: Reply<StoredPayment[]>): void {
    this.answer(reply, async () =>
      paymentsIn(await this.read('take', [this.#name, afterSeq, limit])).map(storedOf),
    );
  }

  takeHeld(dueMs: number, limit: number, reply: Reply<StoredPayment[]>): void {
    this.answer(reply, async () =>
      paymentsIn(await this.read('takeHeld', [this.#name, dueMs, limit])).map(storedOf),
    );
  }

  act(act: Act, reply: Reply<ActResult>): void {
    const { kind, id, processor, requestedAtMs, atMs, who, text } = act;
    const kept = JSON.stringify({ kind, atMs, who, text });
    const args = [kind, Buffer.from(id), processor ?? -1, requestedAtMs, atMs, text, kept];
    this.#ours(reply, 'act', args, answer => String(answer) as ActResult);
  }

  rememberUrls(urls: ProcessorUrls, reply: Reply<true>): void {
    this.#ours(reply, 'rememberUrls', [JSON.stringify(urls)], () => true as const);
  }

  adopt(instance: string, reply: Reply<number>): void {
    this.answer(reply, async () => {
      let adopted = 0;
      for (;;) {
        let moved: number;
        try {
          moved = Number(await this.#asOurs('adopt', [instance, this.#server.run]));
        } catch (error) {
          // A part of it is ours, and has to be taken.
          if (adopted > 0 && error instanceof StoreFault && error.reason === 'busy')
            throw new StoreFault('unanswered', error.detail);
          throw error;
        }
        if (moved === 0) return adopted;
        adopted += moved;
      }
    });
  }

  look(reply: Reply<Shared>): void {
    this.answer(reply, async () => this.#shared(await this.read('look', [])));
  }

  beat(figures: string, reply: Reply<Shared>): void {
    this.answer(reply, async () =>
      this.#shared(this.#notFenced(await this.#call('beat', [this.#name, this.#epoch, figures]))),
    );
  }

  fence(instance: string, epoch: number, beat: number, reply: Reply<boolean>): void {
    this.#ours(reply, 'fence', [instance, epoch, beat, this.#server.run], isDone);
  }

  takeChecker(holder: string, reply: Reply<boolean>): void {
    this.#ours(reply, 'takeChecker', [holder], isDone);
  }

  report(processor: ProcessorIndex, failing: boolean, minResponseMs: number, reply: Reply<boolean>): void {
    this.#ours(reply, 'report', [processor, failing ? 1 : 0, minResponseMs], isDone);
  }

  purge(reply: Reply<number>): void {
    this.#ours(reply, 'purge', [], Number);
  }

  leave(reply: Reply<true>): void {
    this.answer(reply, async () => {
      await this.#call('leave', [this.#name, this.#epoch]).catch(() => {});
      this.#close();
      return true as const;
    });
  }

  #shared(answer: RedisList): Shared {
    const shared = sharedIn(answer);
    const text = JSON.stringify(shared);
    if (this.#seen?.text !== text) this.#seen = { text, shared };
    this.#term = shared.term;
    return this.#seen.shared;
  }

  /** A call of one that has joined. */
  #ours<T>(
    reply: Reply<T>,
    name: RedisFunction,
    args: readonly (string | number | Buffer)[],
    meaning: (answer: RedisList[number]) => T,
  ): void {
    this.answer(reply, async () => meaning(await this.#asOurs(name, args)));
  }

  async #asOurs(
    name: RedisFunction,
    args: readonly (string | number | Buffer)[],
  ): Promise<RedisList[number]> {
    const epoch = this.#epoch;
    const answer = this.#notFenced(await this.#call(name, [this.#name, epoch, ...args]));
    if (epoch === this.#epoch) this.#step = Math.max(this.#step, Number(answer[2]));
    return answer[1]!;
  }

  #notFenced(answer: RedisList): RedisList {
    const fault = String(answer[0]);
    if (fault === 'lost') {
      this.#server.loss = String(answer[1]);
      throw new StoreFault('lost', this.#server.loss);
    }
    if (fault === '') return answer;
    throw new StoreFault('fenced', `${this.#name || 'nobody'} is not joined with epoch ${this.#epoch}`);
  }

  /** With `flush`, until all replicas have it. */
  async #call(
    name: RedisFunction,
    args: readonly (string | number | Buffer)[],
    deadlineMs = CALL_MS,
  ): Promise<RedisList> {
    const { ask } = this.#connection;
    const waitsFor = this.#server.waitsFor;
    const asked = ask('FCALL', [functionName(name), 1, this.#key, ...args], deadlineMs);
    const copied = waitsFor > 0 ? ask('WAIT', [waitsFor, WAIT_MS]) : Promise.resolve(waitsFor);
    const [answer, copies] = await Promise.all([asked, copied]);
    if (Number(copies) < waitsFor)
      throw new StoreFault('unanswered', `${Number(copies)} of ${waitsFor} replicas have it`);
    return answer as RedisList;
  }

  protected readonly read: RedisCall = async (name, args) =>
    (await this.#connection.ask('FCALL_RO', [functionName(name), 1, this.#key, ...args])) as RedisList;

  /** Carries out a call. */
  protected answer<T>(reply: Reply<T>, work: () => Promise<T>): void {
    const work_ = async (): Promise<T> => {
      this.#assertOpen();
      return work();
    };
    // Not within the promise: what a caller throws is its own.
    work_().then(
      answer => process.nextTick(reply, answer),
      error => {
        const fault = faultIn(error);
        process.nextTick(reply, fault);
      },
    );
  }

  #assertOpen(): void {
    const loss = this.#isClosed ? 'the store is closed' : this.#server.loss;
    if (loss !== undefined) throw new StoreFault('lost', loss);
  }

  #close(): void {
    this.#isClosed = true;
    this.#connection.close();
    this.#holder?.release();
  }
}

const isDone = (answer: RedisList[number]): boolean => Number(answer) === 1;
