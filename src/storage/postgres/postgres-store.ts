/**
 * The store in a PostgreSQL database, for backends on any number of machines.
 *
 * Nothing is decided here: what a call does stands in the functions of the database (`write-function.ts`,
 * `member-functions.ts`, `read-functions.ts`), each call is one statement, and this class carries it there
 * and says what is known when no answer comes back.
 *
 * Two connections: one for what changes something, in order, and one for questions that may take longer; a
 * third one for what leaves for an archive. A question waits for the batch that was at work when it was
 * asked.
 */
import type { Timer } from '../../domain/clock.ts';
import type { ProcessorIndex, StoredPayment, Summary } from '../../domain/payment.ts';
import type { Act, ActResult } from '../acts.ts';
import type { Batch } from '../batch.ts';
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
import type { ServerStoreOptions } from '../server-options.ts';
import { batchArrays } from './batch-arrays.ts';
import { type Ask, DatabaseConnection, DatabaseHosts, type ServerState } from './connection.ts';
import { InspectedDatabase } from './inspected-database.ts';
import { describeLack, KnownDatabase, lackIn } from './known-database.ts';
import { migrate } from './migrate.ts';
import { type NameHolder, nameHolder } from './name.ts';
import { PostgresArchive } from './postgres-archive.ts';
import { findPaymentIn, type ReadFunction, sizeIn, summaryIn } from './reading.ts';
import { paymentOf } from './rows.ts';
import { callOf, ROOM_SQL, writeStatement, writtenOf } from './statements.ts';
import type { PostgresUrl } from './url.ts';

/**
 * A batch or a beat without an answer for so long counts as unanswered, and its connection as broken: shorter
 * than a lease, so that an instance that is cut off knows it before the others declare it dead.
 */
export const WRITE_MS = 2500;
/** Of a question; a summary over years of payments takes milliseconds. */
const READ_MS = 15_000;
/** How often to look at what is shared where nothing says that it changed. */
const POLL_MS = 40;
/** Two round trips to a database with a standby. */
const GATHERS_MS = 6;
const JOIN_TYPES = 'text, boolean, bigint, boolean, bigint, bigint, bigint, text, bigint, text, bigint';
/** Of what a dead instance wrote last, without waiting for the disk. */
const IN_DOUBT = -1;
/** A purge empties the tables, which waits for whoever reads them. */
const PURGE_MS = 30_000;

export interface PostgresStoreOptions extends ServerStoreOptions {
  readonly url: PostgresUrl;
}

export class PostgresStore extends InspectedDatabase implements Store, Reopening {
  readonly gathersMs = GATHERS_MS;
  readonly #options: PostgresStoreOptions;
  readonly #writes: DatabaseConnection;
  readonly #reads: DatabaseConnection;
  /** Made when it is first used. */
  readonly #archives: DatabaseConnection;
  readonly #writeText: string;
  readonly #holder: NameHolder | undefined;
  readonly #known: KnownDatabase;
  #lostTerm: number | undefined;
  #term = 0;
  #name = '';
  #epoch = 0;
  /** A store that lost it must not give it again. */
  #lastEpoch = 0;
  /** Of all that was acknowledged to this instance. */
  #step = 0;
  #isClosed = false;
  /** Ends when the batch that was asked for last has its answer. */
  #writing: Promise<unknown> = Promise.resolve();
  #changed: (() => void) | undefined;
  #polling: Timer | undefined;
  #seen: { text: string; shared: Shared } | undefined;

  /** Makes the tables where there are none. Throws `StoreFault` or `StoreOpenError`. */
  static async open(options: PostgresStoreOptions): Promise<PostgresStore> {
    const store = new PostgresStore(options);
    try {
      await store.#open();
    } catch (error) {
      await store.#close();
      throw error;
    }
    return store;
  }

  private constructor(options: PostgresStoreOptions) {
    super();
    this.#options = options;
    this.#writeText = writeStatement(options.url.schema);
    this.#lostTerm = options.isDoubtful === true ? -1 : undefined;
    const { url, clock, application } = options;
    this.#known = new KnownDatabase(options);
    const check = (state: ServerState, ask: Ask) =>
      this.#known.check(
        state,
        this.#epoch === 0 ? undefined : () => lackIn(ask, url.schema, this.#name, this.#step),
      );
    const prepare = async (ask: Ask) => {
      if (!url.isPooled) await ask({ text: 'SET client_connection_check_interval = 1000' });
    };
    const hosts = new DatabaseHosts(url);
    const parts = { url, hosts, clock, application, check };
    const prepareWrites = async (ask: Ask) => {
      await prepare(ask);
      if (this.#epoch > 0) await this.#known.confirm(ask, url.schema, this.#name, this.#step, this.#term);
    };
    this.#writes = new DatabaseConnection({ ...parts, prepare: prepareWrites }, WRITE_MS);
    this.#reads = new DatabaseConnection({ ...parts, prepare }, READ_MS);
    this.#archives = new DatabaseConnection({ ...parts, prepare }, READ_MS);
    const { instance } = options;
    const named = { writes: this.#writes, epoch: () => this.#epoch, changed: () => this.#changed?.() };
    this.#holder = instance === undefined ? undefined : nameHolder(parts, { instance, ...named });
  }

  /** What a 202 survives, for people; known once the store is open. */
  get survives(): string {
    return this.#known.durability.survives;
  }

  /** What is old leaves the store through it. */
  get archive(): PostgresArchive {
    return new PostgresArchive(this.#options.url.schema, async (question, deadlineMs) => {
      this.#assertOpen();
      return this.#archives.ask(question, deadlineMs);
    });
  }

  size(): Promise<number> {
    return sizeIn(question => this.#reads.ask(question), this.#options.url.schema);
  }

  async #open(): Promise<void> {
    const { url } = this.#options;
    await this.#writes.open();
    await migrate(this.#writes.ask.bind(this.#writes), url, this.#known.durability.serverVersion);
    await this.#holder?.take();
    await this.#reads.open();
  }

  async reopen(): Promise<void> {
    this.#epoch = 0;
    this.#lostTerm = this.#term;
    this.#known.forget();
    for (const connection of [this.#writes, this.#reads, this.#archives]) connection.abandon();
    try {
      for (const connection of [this.#writes, this.#reads]) await connection.open();
      await this.#holder?.take();
    } catch (error) {
      if (error instanceof StoreFault) throw new StoreOpenError(error.detail);
      throw error;
    }
  }

  join(instance: string, reply: Reply<Joined>): void {
    this.#answer(reply, async () => {
      const { ackAfter, clock } = this.#options;
      await this.#holder?.take();
      await this.#writes.open();
      const { history, run, hadAll } = this.#known;
      const last = this.#name === instance ? [this.#lastEpoch, this.#step, this.#term] : [0, 0, 0];
      const values = [
        ...[instance, ackAfter !== 'parse', this.#lostTerm ?? null, hadAll, ...last],
        ...[history.system, history.timeline, run, Math.floor(clock.wallMs())],
      ];
      const answer = await this.#call('join_as', values, JOIN_TYPES);
      const { step, ...joined } = answer as Joined & { step: number };
      this.#name = instance;
      this.#epoch = joined.epoch;
      this.#lastEpoch = joined.epoch;
      this.#step = step;
      this.#term = joined.term;
      this.#lostTerm = undefined;
      this.#known.joined();
      return joined;
    });
  }

  write(batch: Batch, reply: Reply<Written>): void {
    const arrays = batchArrays(batch);
    const work = this.#answer(reply, async () => {
      const { ackAfter } = this.#options;
      const commit = ackAfter === 'parse' && !batch.isFlushed ? 'off' : 'on';
      if (batch.count === 0) await this.#writes.ask({ text: ROOM_SQL });
      for (;;) {
        const values = [
          ...[this.#name, batch.epoch, batch.generation, batch.number, batch.count, arrays.waves],
          ...[this.#known.history.started, commit, this.#step, ...arrays.texts],
        ];
        const [row] = await this.#writes.ask({ name: 'write', text: this.#writeText, values });
        const outcome = writtenOf(String(row!['answer']), batch);
        if (outcome === 'fenced') throw new StoreFault('fenced', `epoch ${batch.epoch} has passed`);
        if (outcome !== 'restarted') {
          if ('behind' in outcome) throw this.#known.lose(describeLack(outcome.behind, this.#name));
          this.#known.wrote(outcome.lsn);
          this.#step = Math.max(this.#step, outcome.step);
          return outcome.written;
        }
        await this.#checkAgain();
      }
    });
    this.#writing = work;
  }

  watch(changed: (() => void) | undefined): void {
    this.#changed = changed;
    this.#polling?.cancel();
    const { url, clock } = this.#options;
    if (!url.isPooled || changed === undefined) return;
    const poll = (): void => {
      this.#polling = clock.after(POLL_MS, poll);
      changed();
    };
    poll();
  }

  take(afterSeq: number, limit: number, reply: Reply<StoredPayment[]>): void {
    this.question(reply, async () => {
      const rows = await this.read('take', [this.#name, afterSeq, limit], 'text, bigint, int');
      return rows.map(paymentOf);
    });
  }

  takeHeld(dueMs: number, limit: number, reply: Reply<StoredPayment[]>): void {
    this.question(reply, async () => {
      const rows = await this.read('take_held', [this.#name, dueMs, limit], 'text, float8, int');
      return rows.map(paymentOf);
    });
  }

  act(act: Act, reply: Reply<ActResult>): void {
    const { kind, id, processor, requestedAtMs, atMs, who, text } = act;
    const values = [kind, id.toHex(), processor ?? -1, requestedAtMs, atMs, who, text];
    const types = 'text, uuid, int, bigint, bigint, text, text';
    this.#ours(reply, 'act', values, types, done => done === 'done');
  }

  rememberUrls(urls: ProcessorUrls, reply: Reply<true>): void {
    this.#ours(reply, 'remember_urls', [urls], 'text[]', () => true);
  }

  adopt(instance: string, reply: Reply<number>): void {
    const died = `${instance} died when the database started anew: what it wrote last may be missing`;
    const answered: Reply<number> = adopted => reply(adopted === IN_DOUBT ? this.#known.lose(died) : adopted);
    const isStep = (adopted: number): boolean => adopted > 0;
    this.#ours(answered, 'adopt', [instance, this.#known.run], 'text, text', isStep, PURGE_MS);
  }

  find(id: Uint8Array, reply: Reply<StoredPayment | undefined>): void {
    this.question(reply, () => findPaymentIn(this.read, id));
  }

  summary(fromMs: number, toMs: number, reply: Reply<Summary>): void {
    this.question(reply, () => summaryIn(this.read, fromMs, toMs));
  }

  look(reply: Reply<Shared>): void {
    this.question(reply, async () => this.#shared(await this.#call('look', [], '')));
  }

  beat(figures: string, reply: Reply<Shared>): void {
    this.#answer(reply, async () => {
      const values = [this.#name, this.#epoch, figures];
      return this.#shared(this.#notFenced(await this.#call('beat', values, 'text, bigint, text')));
    });
  }

  fence(instance: string, epoch: number, beat: number, reply: Reply<boolean>): void {
    this.#ours(reply, 'fence', [instance, epoch, beat], 'text, bigint, bigint');
  }

  takeChecker(holder: string, reply: Reply<boolean>): void {
    this.#ours(reply, 'take_checker', [holder], 'text');
  }

  report(processor: ProcessorIndex, failing: boolean, minResponseMs: number, reply: Reply<boolean>): void {
    this.#ours(reply, 'report', [processor, failing, minResponseMs], 'int, boolean, float8');
  }

  purge(reply: Reply<number>): void {
    this.#ours(reply, 'purge', [], '', () => true, PURGE_MS);
  }

  leave(reply: Reply<true>): void {
    this.#answer(reply, async () => {
      await this.#call('leave', [this.#name, this.#epoch], 'text, bigint').catch(() => {});
      await this.#close();
      return true as const;
    });
  }

  /** Behind the pooler, or at the address, another server answers than before. */
  async #checkAgain(): Promise<void> {
    this.#writes.abandon();
    await this.#writes.open();
  }

  #shared(answer: unknown): Shared {
    const { isSynchronous, ...shared } = answer as Shared & { isSynchronous: boolean };
    this.#known.isSynchronous = isSynchronous;
    const text = JSON.stringify(shared);
    if (this.#seen?.text !== text) this.#seen = { text, shared };
    this.#term = this.#seen.shared.term;
    return this.#seen.shared;
  }

  /** A call of one that has joined. NULL: it is fenced. `isStep`: whether the function raised the step. */
  #ours<T>(
    reply: Reply<T>,
    name: string,
    values: readonly unknown[],
    types: string,
    isStep: (answer: T) => boolean = () => false,
    deadlineMs = WRITE_MS,
  ): void {
    this.#answer(reply, async () => {
      const all = types === '' ? 'text, bigint' : `text, bigint, ${types}`;
      const answer = await this.#call(name, [this.#name, this.#epoch, ...values], all, deadlineMs);
      const done = this.#notFenced(answer) as T;
      if (isStep(done)) this.#step += 1;
      return done;
    });
  }

  #notFenced<T>(answer: T): T {
    if (answer !== null) return answer;
    throw new StoreFault('fenced', `${this.#name || 'nobody'} is not joined with epoch ${this.#epoch}`);
  }

  async #call(
    name: string,
    values: readonly unknown[],
    types: string,
    deadlineMs = WRITE_MS,
  ): Promise<unknown> {
    const { schema } = this.#options.url;
    const [row] = await this.#writes.ask(callOf(schema, name, values, types), deadlineMs);
    return row!['answer'];
  }

  protected readonly read: ReadFunction = (name, values, types) =>
    this.#reads.ask(callOf(this.#options.url.schema, name, values, types, 'SELECT * FROM'));

  /** Behind the batch that is at work now. */
  protected question<T>(reply: Reply<T>, work: () => Promise<T>): void {
    const writing = this.#writing;
    this.#answer(reply, async () => {
      await writing;
      return work();
    });
  }

  /** Carries out a call; ends when it is answered. */
  async #answer<T>(reply: Reply<T>, work: () => Promise<T>): Promise<void> {
    let answer: T | StoreFault;
    try {
      this.#assertOpen();
      answer = await work();
    } catch (error) {
      answer = faultIn(error);
    }
    // Not within the promise: what a caller throws is its own.
    process.nextTick(reply, answer);
    await new Promise<void>(done => process.nextTick(done));
  }

  #assertOpen(): void {
    const loss = this.#isClosed ? 'the store is closed' : this.#known.loss;
    if (loss !== undefined) throw new StoreFault('lost', loss);
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    const connections = [this.#writes, this.#reads, this.#archives];
    await Promise.all([...connections.map(each => each.close()), this.#holder?.release()]);
  }
}
