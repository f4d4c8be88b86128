/**
 * The store of one machine, without a server: one log that all instances append to, in the order that the
 * kernel gives it, and SQLite behind it as its index.
 *
 *     write ──> log (one append a turn) ──> order (what it means, for all alike) ──> reply, at once
 *                │
 *                └── index, by one instance at a time ──> SQLite
 *
 * A question is answered by the index and the log's tail, which every instance has read: exact, and current
 * to the last batch that stands in the log when the question comes.
 */
import assert from 'node:assert/strict';
import type { ProcessorIndex, StoredPayment, Summary } from '../../domain/payment.ts';
import type { Act, ActResult } from '../acts.ts';
import type { Batch } from '../batch.ts';
import {
  type Joined,
  type ProcessorUrls,
  type Reopening,
  type Reply,
  type Shared,
  type Store,
  StoreFault,
  type Written,
} from '../ports.ts';
import { appendAct, appendUrls } from './acting.ts';
import { appendOrThrow, appendRows, faultOfLogOrIndex, LastBatch } from './appending.ts';
import { isCutOff } from './cut-end.ts';
import type { IndexDamage, IndexOpened } from './index/log-index.ts';
import { openErrorOf } from './index/schema.ts';
import { Indexing } from './indexing.ts';
import { InspectedIndex } from './inspected-index.ts';
import { KnownPayments } from './known-payments.ts';
import type { HeldName } from './name-lock.ts';
import { followLog, rememberPayments } from './opened-log.ts';
import { type OwnedParts, takeOwned, takeOwnedHeld } from './owned-payments.ts';
import type { EmbeddedParts } from './parts.ts';
import { LogBehindError } from './shared-log/log-error.ts';
import type { Order } from './shared-log/order.ts';
import { ALL_SHARES, CHECKER } from './shared-log/ordered-members.ts';
import type { LogWriter } from './shared-log/writer.ts';
import { sharedOf } from './shared-view.ts';
import { joinLog, refuseDamaged } from './terms.ts';

/** The index is opened anew when its segment was removed meanwhile. */
const OPENS_MAX = 3;

export class EmbeddedStore extends InspectedIndex implements Store, Reopening {
  readonly #parts: EmbeddedParts;
  #order!: Order;
  #known!: KnownPayments;
  #log: LogWriter | undefined;
  #held: HeldName | undefined;
  #name = '';
  /** The last term that was seen before the disk was away. */
  #doubtfulTerm: number | undefined;
  #shared: Shared | undefined;
  #sharedAt = -1;
  #indexing: Indexing | undefined;
  #isBehind = false;
  /** The index has found damage where this had read what stood there. */
  #isOverruled = false;
  /** What this knew before it began anew because of damage. */
  #before: Order | undefined;
  #last = new LastBatch();
  #isClosed = false;

  private constructor(parts: EmbeddedParts) {
    super(parts.index, () => this.#order);
    this.#parts = parts;
    parts.index.damaged = found => this.#damaged(found);
    this.#doubtfulTerm = parts.isDiskDoubtful === true ? Infinity : undefined;
  }

  /** Rejects with `StoreOpenError`. */
  static async open(parts: EmbeddedParts): Promise<EmbeddedStore> {
    const store = new EmbeddedStore(parts);
    await store.#open();
    return store;
  }

  async reopen(): Promise<void> {
    // The disk has what it had, and those who find the damage begin a term.
    const isOfDamage = this.#isOverruled || this.#order.isAstray || this.#order.isDamaged;
    if (isOfDamage) this.#before ??= this.#order;
    this.#isOverruled = false;
    // Who was only slow has lost nothing: others have indexed and removed what he had still to read.
    if (!this.#isBehind && !isOfDamage) this.#doubtfulTerm ??= this.#order.term;
    this.#isBehind = false;
    this.#indexing?.stop();
    this.#log?.close();
    this.#log = undefined;
    this.#held?.release();
    // Nothing keeps a disk from going that is no use any more.
    await this.#parts.index.close();
    await this.#open();
  }

  /** From the disk: only if anybody lived there, what is unsettled after a power loss may have been sent. */
  join(instance: string, reply: Reply<Joined>): void {
    this.#answerFromDisk(reply, log => {
      const order = this.#order;
      this.#held?.assertInPlace();
      log.poll();
      const { term } = order;
      const unsettled = order.members.unsettledTotal();
      const epoch = joinLog(log, order, instance, this.#doubtfulTerm, this.#parts);
      this.#doubtfulTerm = undefined;
      this.#name = instance;
      this.#adoptAll(log);
      if (this.#before !== undefined) rememberPayments(this.#before, log, order, this.#known);
      this.#before = undefined;
      this.#indexing?.stop();
      this.#indexing = this.#indexingOf(log);
      this.#indexing.claim();
      this.#indexing.start();
      const { generation, asksFirstUntilMs, isCalm } = order;
      const pinned = order.term === term ? 0 : unsettled;
      return { epoch, generation, term: order.term, pinned, asksFirstUntilMs, isCalm };
    });
  }

  write(batch: Batch, reply: Reply<Written>): void {
    let written: Written | StoreFault;
    try {
      written = appendRows(this.#assertOpen(), this.#order, this.#known, batch, this.#last);
    } catch (error) {
      written = this.#faultOf(error);
    }
    const isFlushed = batch.isFlushed || this.#parts.isFlushing;
    if (written instanceof StoreFault || !isFlushed) reply(written);
    else this.#replyFromDisk(written, reply);
  }

  take(afterSeq: number, limit: number, reply: Reply<StoredPayment[]>): void {
    takeOwned(this.#owned, afterSeq, limit, reply);
  }

  takeHeld(dueMs: number, limit: number, reply: Reply<StoredPayment[]>): void {
    takeOwnedHeld(this.#owned, dueMs, limit, reply);
  }

  get #owned(): OwnedParts {
    return {
      ...{ order: this.#order, known: this.#known, index: this.#parts.index },
      log: () => this.#log,
      replyFromDisk: (found, from) => this.#replyFromDisk(found, from),
      isFlushing: this.#parts.isFlushing,
      faultOf: error => this.#faultOf(error),
    };
  }

  adopt(_instance: string, reply: Reply<number>): void {
    this.#answer(reply, log => {
      log.poll();
      this.#assertAlive(log);
      refuseDamaged(this.#order);
      return this.#adoptAll(log);
    });
  }

  find(id: Uint8Array, reply: Reply<StoredPayment | undefined>): void {
    this.#answer(reply, log => {
      log.poll();
      return this.#known.stored(id);
    });
  }

  act(act: Act, reply: Reply<ActResult>): void {
    this.#answerFromDisk(reply, log => appendAct(log, this.#order, this.#known, act));
  }

  rememberUrls(urls: ProcessorUrls, reply: Reply<true>): void {
    this.#answerFromDisk(reply, log => appendUrls(log, this.#order, urls));
  }

  /** What the log has when this answers, not when it was asked: the books that it is compared with go on. */
  summary(fromMs: number, toMs: number, reply: Reply<Summary>): void {
    this.#parts.index.summary(fromMs, toMs, found => {
      if (found instanceof StoreFault) return reply(found);
      this.#answer<Summary | undefined>(
        answer => (answer === undefined ? this.summary(fromMs, toMs, reply) : reply(answer)),
        log => {
          // The tail may have moved on while the index was asked: what is between is in neither.
          log.poll();
          if (this.#order.keptFrom > found.position) return undefined;
          return this.#known.withTail(found.summary, found.position, fromMs, toMs);
        },
      );
    });
  }

  look(reply: Reply<Shared>): void {
    this.#answer(reply, log => {
      log.poll();
      return this.#seen(log);
    });
  }

  beat(figures: string, reply: Reply<Shared>): void {
    this.#answer(reply, log => {
      this.#held?.assertInPlace();
      log.poll();
      this.#assertAlive(log);
      if (!log.isInPlace) throw new StoreFault('lost', 'the log was removed or replaced while it was in use');
      log.batch().beat(new TextEncoder().encode(figures), this.#parts.clock.wallMs());
      appendOrThrow(log);
      this.#indexing?.claim();
      return this.#seen(log);
    });
  }

  fence(instance: string, epoch: number, beat: number, reply: Reply<boolean>): void {
    this.#answer(reply, log => {
      this.#assertAlive(log);
      assert.notEqual(instance, this.#name);
      log.batch().fence(epoch, beat);
      return appendOrThrow(log)[0] === 1;
    });
  }

  takeChecker(holder: string, reply: Reply<boolean>): void {
    this.#answer(reply, log => {
      log.poll();
      this.#assertAlive(log);
      const { members } = this.#order;
      if ((members.living(members.holder(CHECKER))?.name ?? '') !== holder) return false;
      log.batch().lease(CHECKER, members.holder(CHECKER));
      return appendOrThrow(log)[0] === 1;
    });
  }

  report(processor: ProcessorIndex, failing: boolean, minResponseMs: number, reply: Reply<boolean>): void {
    this.#answer(reply, log => {
      this.#assertAlive(log);
      log.batch().report(processor, failing, minResponseMs);
      return appendOrThrow(log)[0] === 1;
    });
  }

  purge(reply: Reply<number>): void {
    this.#answerFromDisk(reply, log => {
      log.poll();
      this.#assertAlive(log);
      log.batch().purge(this.#order.generation);
      appendOrThrow(log);
      return this.#order.generation;
    });
  }

  /** Replies with `answer` once the disk has all that was read. */
  #replyFromDisk<T>(answer: T, reply: Reply<T>): void {
    const log = this.#log;
    if (log === undefined) reply(new StoreFault('lost', 'the log is closed'));
    else
      log.flush(error => {
        if (error !== null) this.#lose(log);
        reply(error === null ? answer : new StoreFault('lost', error.message));
      });
  }

  leave(reply: Reply<true>): void {
    this.#indexing?.stop();
    const log = this.#log;
    const close = (): void => {
      this.#isClosed = true;
      this.#log = undefined;
      log?.close();
      this.#held?.release();
      void this.#parts.index.close().then(() => reply(true));
    };
    if (log === undefined) return void close();
    try {
      if (this.#order.members.living(log.epoch) !== undefined) {
        log.batch().leave();
        appendOrThrow(log);
      }
    } catch (error) {
      // Who cannot say that he leaves is declared dead.
      this.#faultOf(error);
    }
    log.flush(close);
  }

  async #open(): Promise<void> {
    this.#held = this.#parts.takeName?.();
    for (let opens = 1; ; opens++) {
      try {
        const log = this.#follow(await this.#parts.index.open());
        if (await isCutOff(log, this.#parts.clock)) this.#order.passedOver();
        return;
      } catch (error) {
        this.#log?.close();
        this.#log = undefined;
        // Between the two, others may have indexed and removed the segment.
        if (error instanceof LogBehindError && opens < OPENS_MAX) continue;
        this.#held?.release();
        await this.#parts.index.close();
        throw openErrorOf(this.#parts.directory, error);
      }
    }
  }

  /** Reads the log from where the index has it. */
  #follow(opened: IndexOpened): LogWriter {
    const { order, log } = followLog(this.#parts, opened);
    this.#order = order;
    this.#log = log;
    // A log that lost its end gives epochs again.
    this.#last = new LastBatch();
    this.#known = new KnownPayments(order, this.#parts.index);
    this.#shared = undefined;
    log.poll();
    // What stands there by now is what everybody reads who opens it.
    order.isAstray = false;
    if (this.#doubtfulTerm !== undefined) this.#doubtfulTerm = Math.min(this.#doubtfulTerm, order.term);
    return log;
  }

  /** What no living epoch owns is ours from now on; returns how many payments that are. */
  #adoptAll(log: LogWriter): number {
    const { members } = this.#order;
    const before = members.unsettledOf(log.epoch);
    for (const dead of members.deadOwners()) log.batch().adopt(dead, ALL_SHARES);
    appendOrThrow(log);
    return members.unsettledOf(log.epoch) - before;
  }

  #indexingOf(log: LogWriter): Indexing {
    return new Indexing({
      ...this.#parts,
      log,
      order: this.#order,
      append: () => appendOrThrow(log),
      faultOf: error => this.#faultOf(error),
      lose: () => this.#lose(log),
    });
  }

  /** The index reads the log later: what is damaged by then is not what was read here. */
  #damaged({ damage, isInDoubt }: IndexDamage): void {
    for (const found of damage) this.#parts.events.damaged(found);
    if (!isInDoubt || this.#log === undefined || this.#order.isDamaged) return;
    this.#isOverruled = true;
    this.#lose(this.#log);
  }

  /**
   * What the disk did not take may be missing from it, whatever it takes later: the store has to be opened
   * anew.
   */
  #lose(log: LogWriter): void {
    if (log !== this.#log) return;
    this.#indexing?.stop();
    this.#log = undefined;
    log.close();
  }

  #seen(log: LogWriter): Shared {
    if (this.#shared !== undefined && this.#sharedAt === log.position) return this.#shared;
    this.#sharedAt = log.position;
    this.#shared = sharedOf(this.#order);
    return this.#shared;
  }

  #assertOpen(): LogWriter {
    if (this.#log === undefined || this.#isClosed) throw new StoreFault('lost', 'the log is closed');
    return this.#log;
  }

  #assertAlive(log: LogWriter): void {
    if (this.#order.members.living(log.epoch) === undefined)
      throw new StoreFault('fenced', `${this.#name || 'nobody'} is not joined with epoch ${log.epoch}`);
  }

  #answer<T>(reply: Reply<T>, work: (log: LogWriter) => T): void {
    let answer: T | StoreFault;
    try {
      answer = work(this.#assertOpen());
    } catch (error) {
      answer = this.#faultOf(error);
    }
    reply(answer);
  }

  /** As `#answer`, once the disk has what came of it. */
  #answerFromDisk<T>(reply: Reply<T>, work: (log: LogWriter) => T): void {
    const fromDisk = (answer: T): void => this.#replyFromDisk(answer, reply);
    this.#answer<T>(answer => (answer instanceof StoreFault ? reply(answer) : fromDisk(answer)), work);
  }

  /** An expected failure in the store's words; any other error is thrown on. */
  #faultOf(error: unknown): StoreFault {
    if (error instanceof StoreFault) return error;
    this.#log?.discard();
    this.#isBehind = error instanceof LogBehindError;
    return faultOfLogOrIndex(error, this.#log);
  }
}
