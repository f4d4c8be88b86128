/**
 * The write side of a worker: what happened to payments, gathered in batches for the store.
 *
 * One batch is on its way at a time and the next one gathers meanwhile, so batches grow with the load by
 * themselves; for a store that is a round trip away they are helped to (`batch-pace.ts`). A batch that the
 * store could not take is sent again, before any later one: the order of what happened to a payment is the
 * order in which the store learns of it.
 *
 * A batch that the store refused for certain is sent again without its new payments, whose clients are
 * refused. One that was not answered may have been written: it is sent again as it was until the store says
 * what became of it, and its clients wait.
 *
 * A store without room may go on to settle what it has. It is asked with an empty batch whether it has room
 * again; until it has, no payments are taken.
 */
import assert from 'node:assert/strict';
import type { Clock, Timer } from '../domain/clock.ts';
import type { Total } from '../domain/money.ts';
import { type Processor, SETTLED } from '../domain/payment.ts';
import {
  ACCEPTED_AT,
  ATTEMPT,
  CENTS,
  COLUMNS,
  ID,
  INSERT,
  KIND,
  MARK,
  NEXT,
  PUT_ON_HOLD,
  SEQ,
  SETTLE,
  SETTLED_AT,
  STATE,
} from '../storage/batch.ts';
import { KNOWN, type Store, StoreFault } from '../storage/ports.ts';
import { BatchPace } from './batch-pace.ts';
import { NONE, type PaymentPool } from './payment-pool.ts';
import { fillRow } from './payment-row.ts';
import { RoomQuestion } from './room-question.ts';
import { newPage, type StorePage, withoutNew } from './store-page.ts';
import { addSettlements, type UnwrittenSettlement, WaitingSettlements } from './unwritten-settlements.ts';

/** A page is one write of the store: at most so many rows, well within what its log takes at once. */
const PAGE_ROWS_MAX = 1024;
/** How long to wait before a batch that the store refused, or did not answer, is sent again. */
const RETRY_MS = 200;

export interface StoreWriterEvents {
  /**
   * A row was written: `result` is a seq, DONE, KNOWN or OTHER_AMOUNT; `sent`: it says that the payment is
   * being sent.
   */
  written(slot: number, kind: number, result: number, sent: boolean): void;
  /** The payment in a slot is not to be worked on any more: an operator closed it, or it is another one's. */
  over(slot: number): void;
  /** The store cannot take a new payment now: nothing of it was kept. */
  refused(slot: number): void;
  /** The store is of a later generation: everything before it is forgotten. */
  purged(generation: number): void;
  /** This instance was declared dead. */
  fenced(): void;
  /** The store does not take writes at present; undefined: it does again. */
  faulty(fault: StoreFault | undefined): void;
  /** The store has time for the next page: to be submitted once what came in in this turn has its intents. */
  idle(): void;
}

export class StoreWriter {
  readonly #pool: PaymentPool;
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #events: StoreWriterEvents;
  /** Where a payment's INSERT stands in the gathering page, so that a first attempt's intent joins it. */
  readonly #putRow: Int32Array;
  readonly #epoch: number;
  readonly #generation: number;
  #page: StorePage;
  /** The page that the store has at present, or that waits to be sent again. */
  #outstanding: StorePage | undefined;
  /** The store refused the outstanding page, or did not answer: it waits to be sent again. */
  #isRefused = false;
  /** The reason was that there is no room. */
  #isFull = false;
  readonly #room: RoomQuestion;
  /** The store may have written the outstanding page, whatever it says of a repetition. */
  #isUnanswered = false;
  #batches = 0;
  #closed = false;
  readonly #pace: BatchPace | undefined;
  /** They are yet to be rows of a page. */
  readonly #settled: WaitingSettlements;
  /** Until the gathering page leaves. */
  #timer: Timer | undefined;
  #timerAtMs = 0;

  constructor(
    pool: PaymentPool,
    store: Store,
    clock: Clock,
    epoch: number,
    generation: number,
    events: StoreWriterEvents,
  ) {
    this.#pool = pool;
    this.#store = store;
    this.#clock = clock;
    this.#events = events;
    this.#epoch = epoch;
    this.#generation = generation;
    this.#pace = store.gathersMs === undefined ? undefined : new BatchPace(store.gathersMs);
    this.#settled = new WaitingSettlements(clock, this.#pace);
    this.#putRow = new Int32Array(pool.capacity).fill(NONE);
    this.#room = new RoomQuestion(clock, RETRY_MS, () => this.submit());
    this.#page = this.#newPage();
  }

  /** Rows that the store has not confirmed. */
  get pending(): number {
    return this.#settled.count + this.#page.batch.count + (this.#outstanding?.batch.count ?? 0);
  }

  /** A payment that the store does not know yet. */
  put(slot: number): void {
    const pool = this.#pool;
    assert(pool.seq[slot] === 0 && this.#putRow[slot] === NONE, 'a payment is put twice');
    const start = this.#row(INSERT, slot);
    pool.origin[slot] = this.#epoch;
    const { rows } = this.#page.batch;
    rows[start + CENTS] = pool.cents[slot]!;
    rows[start + ACCEPTED_AT] = pool.acceptedAtMs[slot]!;
    this.#fill(start, slot);
    this.#putRow[slot] = start;
  }

  /**
   * The payment's progress as it stands in the queue now. `isFlushed`: a power loss must not take that back
   * once `written` was called for it.
   */
  mark(slot: number, isFlushed = false): void {
    const start = this.#putRow[slot]!;
    assert(start !== NONE || this.#pool.seq[slot]! > 0, 'the store cannot know which payment is meant');
    const row = start === NONE ? this.#row(MARK, slot) : start;
    // After the row: a full page has left without it.
    this.#page.batch.isFlushed ||= isFlushed;
    this.#fill(row, slot);
  }

  settle(slot: number, settledAtMs: number): void {
    assert(this.#pool.seq[slot]! > 0, 'a settlement of a payment that the store does not have');
    this.#settled.add({ slot, settledAtMs });
    if (this.#pace === undefined) this.#recordSettled();
  }

  /** From here on they leave with the page. */
  #recordSettled(): void {
    for (const settlement of this.#settled.take()) this.#settle(settlement);
  }

  #settle({ slot, settledAtMs }: UnwrittenSettlement): void {
    const start = this.#row(SETTLE, slot);
    const { rows } = this.#page.batch;
    this.#fill(start, slot);
    rows[start + CENTS] = this.#pool.cents[slot]!;
    rows[start + STATE] = SETTLED;
    rows[start + SETTLED_AT] = settledAtMs;
  }

  /** An attempt that did not settle the payment. `outcome`: an index into OUTCOMES. */
  attempt(slot: number, outcome: number, durationMs: number, endedAtMs: number): void {
    const start = this.#row(ATTEMPT, NONE);
    const { rows } = this.#page.batch;
    this.#fill(start, slot);
    rows[start + STATE] = outcome;
    rows[start + NEXT] = this.#pool.state[slot]!;
    rows[start + CENTS] = durationMs;
    rows[start + ACCEPTED_AT] = endedAtMs;
  }

  /** The payment is held, as it stands in the pool now. `retryAtMs`: wall clock, or Infinity. */
  hold(slot: number, retryAtMs: number): void {
    const start = this.#row(PUT_ON_HOLD, slot);
    const { rows } = this.#page.batch;
    this.#fill(start, slot);
    const state = this.#pool.state[slot]!;
    // One that is uncertain stays so.
    rows[start + NEXT] = this.#pool.uncertain[slot] === 1 ? ~state : state;
    rows[start + STATE] = 0;
    rows[start + SETTLED_AT] = retryAtMs === Infinity ? Infinity : Math.round(retryAtMs);
  }

  /** Whether the store takes new payments, as far as is known. */
  get isAccepting(): boolean {
    return !this.#isRefused && this.#room.fault === undefined;
  }

  /**
   * Hands the gathered rows to the store, unless it is at work on an earlier page; where the page is to wait
   * for more rows, in a moment.
   */
  submit(): void {
    if (this.#outstanding !== undefined || this.#closed) return;
    if (this.#room.takeTurn()) {
      this.#outstanding = this.#newPage();
      this.#send(this.#outstanding);
      return;
    }
    if (this.#settled.waitMs === 0) this.#recordSettled();
    // A full page may have left just now.
    if (this.#outstanding !== undefined || this.#waits()) return;
    const page = this.#page;
    for (const slot of page.slots) {
      if (slot === NONE || this.#putRow[slot] === NONE) continue;
      this.#putRow[slot] = NONE;
      this.#pool.storing[slot] = 1;
    }
    this.#page = this.#newPage();
    this.#outstanding = page;
    this.#send(page);
  }

  /**
   * Calls `then` once everything recorded so far is in the store, or the store is full: that may last for as
   * long as nobody makes room.
   */
  whenWritten(then: () => void): void {
    this.#recordSettled();
    if (this.#closed || this.#isFull) then();
    else if (this.#page.batch.count > 0) {
      this.#page.waiters.push(then);
      this.submit();
    } else if (this.#outstanding !== undefined) this.#outstanding.waiters.push(then);
    else then();
  }

  /** Adds the settlements of a window that a full store has yet to take; bounds as in `Store.summary`. */
  addRefused(totals: Readonly<Record<Processor, Total>>, fromMs: number, toMs: number): void {
    if (!this.#isFull) return;
    this.#recordSettled();
    for (const page of [this.#outstanding, this.#page])
      if (page !== undefined) addSettlements(totals, page.batch, fromMs, toMs);
  }

  /** Nothing is written any more, and all waiters are called. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#room.close();
    const waiters = [...this.#page.waiters, ...(this.#outstanding?.waiters ?? [])];
    for (const waiter of waiters) waiter();
  }

  /** Whether the page leaves later, by itself; or nothing is there to leave. */
  #waits(): boolean {
    const pace = this.#pace;
    const { batch, waiters } = this.#page;
    if (pace === undefined) return batch.count === 0;
    const nowMs = this.#clock.monotonicMs();
    const pageWaitMs =
      batch.count === 0 ? Infinity : waiters.length > 0 ? 0 : pace.waitMs(nowMs, batch.count);
    const waitMs = Math.min(pageWaitMs, this.#settled.waitMs);
    if (waitMs === Infinity) return true;
    if (this.#timer !== undefined && waitMs > 0 && this.#timerAtMs <= nowMs + waitMs) return true;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (waitMs === 0) {
      pace.sent(nowMs, batch.count);
      return false;
    }
    this.#timerAtMs = nowMs + waitMs;
    this.#timer = this.#clock.after(waitMs, () => {
      this.#timer = undefined;
      this.submit();
    });
    return true;
  }

  #newPage(): StorePage {
    return newPage(this.#epoch, this.#generation);
  }

  #row(kind: number, slot: number): number {
    if (this.#page.batch.count >= PAGE_ROWS_MAX) this.submit();
    this.#page.slots.push(slot);
    return this.#page.batch.add(kind);
  }

  #fill(start: number, slot: number): void {
    fillRow(this.#page.batch.rows, start, this.#pool, slot);
  }

  /** For the first time. */
  #send(page: StorePage): void {
    page.batch.number = ++this.#batches;
    this.#isUnanswered = false;
    this.#write(page);
  }

  #write(page: StorePage): void {
    this.#store.write(page.batch, answer => {
      if (this.#closed) return;
      if (answer instanceof StoreFault) {
        this.#refused(page, answer);
        return;
      }
      assert.equal(this.#outstanding, page, 'an answer to another page');
      this.#outstanding = undefined;
      this.#isRefused = false;
      this.#isFull = false;
      this.#room.written(page.batch.count);
      this.#events.faulty(this.#room.fault);
      if (answer.generation > this.#generation) {
        for (const waiter of page.waiters) waiter();
        this.#events.purged(answer.generation);
        return;
      }
      assert.equal(answer.generation, this.#generation, 'the store went back to an earlier generation');
      this.#written(page, answer.results);
      for (const waiter of page.waiters) waiter();
      this.#events.idle();
    });
  }

  #written(page: StorePage, results: Float64Array): void {
    const { rows, count } = page.batch;
    assert(results.length === count && page.slots.length === count, 'a result for each row');
    for (let row = 0; row < count; row++) {
      const slot = page.slots[row]!;
      const start = row * COLUMNS;
      if (slot === NONE) {
        if (results[row] === KNOWN) this.#over(rows, start);
        continue;
      }
      this.#pool.storing[slot] = 0;
      this.#events.written(slot, rows[start + KIND]!, results[row]!, rows[start + STATE] === 1);
    }
  }

  /** How an attempt ended was of no interest: its payment is over, or another one's. */
  #over(rows: Float64Array, start: number): void {
    const slot = this.#pool.find(rows.subarray(start + ID, start + ID + 4));
    if (slot !== NONE && this.#pool.seq[slot] === rows[start + SEQ]) this.#events.over(slot);
  }

  #refused(page: StorePage, fault: StoreFault): void {
    if (fault.reason === 'fenced') {
      this.#events.fenced();
      return;
    }
    this.#isRefused = true;
    this.#isUnanswered ||= fault.reason === 'unanswered';
    const rest = this.#isUnanswered ? page : this.#withoutNew(page);
    this.#outstanding = rest;
    this.#refuseNew();
    // Of a page that may have been written it is not known which of its settlements the store counts already.
    this.#isFull = fault.reason === 'full' && !this.#isUnanswered;
    if (this.#isFull) {
      for (const waiter of [...rest.waiters.splice(0), ...this.#page.waiters.splice(0)]) waiter();
    }
    this.#events.faulty(fault);
    if (this.#isFull) this.#room.fault = fault;
    if (this.#isFull && rest.batch.count === 0) {
      this.#outstanding = undefined;
      this.#isRefused = false;
      this.#isFull = false;
      this.#room.askLater();
      this.#events.idle();
      return;
    }
    this.#clock.after(RETRY_MS, () => {
      if (this.#closed) return;
      if (this.#isUnanswered) this.#write(rest);
      else this.#send(rest);
    });
  }

  /** The same page without the payments that it was to bring to the store: their clients are refused. */
  #withoutNew(page: StorePage): StorePage {
    const { rest, refused } = withoutNew(page);
    for (const slot of refused) {
      this.#pool.storing[slot] = 0;
      this.#events.refused(slot);
    }
    return rest;
  }

  /**
   * Those that came in meanwhile are refused as well: nothing can be promised while the store takes nothing.
   */
  #refuseNew(): void {
    for (const slot of this.#page.slots) if (slot !== NONE) this.#putRow[slot] = NONE;
    this.#page = this.#withoutNew(this.#page);
    // Nothing may come that would have this page leave.
    if (this.#page.batch.count === 0) this.#outstanding?.waiters.push(...this.#page.waiters.splice(0));
  }
}
