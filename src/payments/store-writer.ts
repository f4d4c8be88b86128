/**
 * The write side of a worker: what happened to payments, gathered in batches for the store.
 *
 * One batch is on its way at a time and the next one gathers meanwhile, so batches grow with the load by
 * themselves. A batch that the store could not take is sent again as it was, before any later one: the order
 * of what happened to a payment is the order in which the store learns of it.
 */
import assert from 'node:assert/strict';
import type { Clock, Timer } from '../domain/clock.ts';
import { SETTLED } from '../domain/payment.ts';
import {
  ACCEPTED_AT,
  ATTEMPT,
  ATTEMPTS,
  Batch,
  CENTS,
  COLUMNS,
  ID,
  INSERT,
  KIND,
  MARK,
  PROCESSOR,
  REQUESTED_AT,
  SEQ,
  SETTLE,
  SETTLED_AT,
  STATE,
  TRIES,
} from '../storage/batch.ts';
import { type Store, StoreFault } from '../storage/ports.ts';
import { NONE, type PaymentPool } from './payment-pool.ts';

/**
 * A page is handed over when it is worth a transaction, which costs some 0.3 ms of CPU whether it holds one
 * payment or a hundred, or when it has waited long enough. Settlements do not wait. Attempts that left
 * together end together, so that they share a page all the same. Rows that nothing waits for can wait longer:
 * the others have the payments from the log already, and only look-ups by id need them in the store.
 */
const PAGE_ROWS = 32;
const PAGE_MS = 20;
const LAZY_PAGE_ROWS = 1024;
const LAZY_PAGE_MS = 100;

/** How long to wait before a batch that the store refused is sent again. */
const RETRY_MS = 200;

export interface StoreWriterEvents {
  /**
   * A row was written: `result` is a seq, DONE or KNOWN; `sent`: the row says that the payment is being sent.
   */
  written(slot: number, kind: number, result: number, sent: boolean): void;
  /** The store is of a later generation: everything before it is forgotten. */
  purged(generation: number): void;
  /** This instance was declared dead. */
  fenced(): void;
  /** The store does not take writes at present; undefined: it does again. */
  faulty(fault: StoreFault | undefined): void;
}

interface Page {
  readonly batch: Batch;
  /** The slot of each row, NONE for history rows. */
  readonly slots: number[];
  /** Called once this page is written. */
  readonly waiters: (() => void)[];
  /** Attempts wait for it, or it says how some ended. */
  urgent: boolean;
  /** It holds settlements, which the processors' books have already: an auditor may ask any instance now. */
  settles: boolean;
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
  #page: Page;
  /** The page that the store has at present, or that waits to be sent again. */
  #outstanding: Page | undefined;
  #submittedMs = -Infinity;
  #timer: Timer | undefined;
  #timerAtMs = Infinity;
  #closed = false;

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
    this.#putRow = new Int32Array(pool.capacity).fill(NONE);
    this.#page = this.#newPage();
  }

  /** Rows that the store has not confirmed. */
  get pending(): number {
    return this.#page.batch.count + (this.#outstanding?.batch.count ?? 0);
  }

  /** Whether `submit` has something to do that no timer and no answer of the store will see to. */
  get isDue(): boolean {
    if (this.#outstanding !== undefined) return false;
    const { batch, urgent } = this.#page;
    return this.#timer === undefined || batch.count >= (urgent ? PAGE_ROWS : LAZY_PAGE_ROWS);
  }

  /** A payment that the store does not know yet. */
  put(slot: number): void {
    const pool = this.#pool;
    assert(pool.seq[slot] === 0 && this.#putRow[slot] === NONE, 'a payment is put twice');
    const start = this.#row(INSERT, slot);
    const { rows } = this.#page.batch;
    rows[start + ID] = pool.words[slot * 4]!;
    rows[start + ID + 1] = pool.words[slot * 4 + 1]!;
    rows[start + ID + 2] = pool.words[slot * 4 + 2]!;
    rows[start + ID + 3] = pool.words[slot * 4 + 3]!;
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
    this.#page.urgent = true;
    this.#page.batch.isFlushed ||= isFlushed;
    this.#fill(start === NONE ? this.#row(MARK, slot) : start, slot);
  }

  settle(slot: number, settledAtMs: number): void {
    assert(this.#pool.seq[slot]! > 0, 'a settlement of a payment that the store does not have');
    this.#page.settles = true;
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
    rows[start + CENTS] = durationMs;
    rows[start + ACCEPTED_AT] = endedAtMs;
  }

  /**
   * Hands the gathered rows to the store, when it is time and the store is not at work on an earlier page.
   */
  submit(): void {
    const page = this.#page;
    if (page.batch.count === 0 || this.#outstanding !== undefined || this.#closed) return;
    const nowMs = this.#clock.monotonicMs();
    const dueMs = this.#submittedMs + (page.urgent ? PAGE_MS : LAZY_PAGE_MS);
    const isFull = page.batch.count >= (page.urgent ? PAGE_ROWS : LAZY_PAGE_ROWS);
    if (dueMs > nowMs && !isFull && !page.settles && page.waiters.length === 0) {
      this.#submitAt(dueMs, nowMs);
      return;
    }
    this.#submittedMs = nowMs;
    for (const slot of page.slots) {
      if (slot === NONE || this.#putRow[slot] === NONE) continue;
      this.#putRow[slot] = NONE;
      this.#pool.storing[slot] = 1;
    }
    this.#page = this.#newPage();
    assert.equal(this.#outstanding, undefined, 'two pages on their way');
    this.#outstanding = page;
    this.#write(page);
  }

  /** Calls `then` once everything recorded so far is in the store. */
  whenWritten(then: () => void): void {
    if (this.#page.batch.count > 0) {
      this.#page.waiters.push(then);
      this.submit();
    } else if (this.#outstanding !== undefined) this.#outstanding.waiters.push(then);
    else then();
  }

  /** Nothing is written any more, and all waiters are called. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    const waiters = [...this.#page.waiters, ...(this.#outstanding?.waiters ?? [])];
    for (const waiter of waiters) waiter();
  }

  #submitAt(dueMs: number, nowMs: number): void {
    if (this.#timer !== undefined && this.#timerAtMs <= dueMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = dueMs;
    this.#timer = this.#clock.after(dueMs - nowMs, () => {
      this.#timer = undefined;
      this.submit();
    });
  }

  #newPage(): Page {
    return {
      batch: new Batch(this.#epoch, this.#generation),
      slots: [],
      waiters: [],
      urgent: false,
      settles: false,
    };
  }

  #row(kind: number, slot: number): number {
    this.#page.slots.push(slot);
    return this.#page.batch.add(kind);
  }

  #fill(start: number, slot: number): void {
    const pool = this.#pool;
    const { rows } = this.#page.batch;
    rows[start + SEQ] = pool.seq[slot]!;
    rows[start + STATE] = pool.state[slot]!;
    rows[start + PROCESSOR] = pool.attempts[slot]! > 0 ? pool.processor[slot]! : NONE;
    rows[start + REQUESTED_AT] = pool.requestedAtMs[slot]!;
    rows[start + ATTEMPTS] = pool.attempts[slot]!;
    rows[start + TRIES] = pool.tries[slot]!;
  }

  #write(page: Page): void {
    this.#store.write(page.batch, answer => {
      if (this.#closed) return;
      if (answer instanceof StoreFault) {
        this.#refused(page, answer);
        return;
      }
      assert.equal(this.#outstanding, page, 'an answer to another page');
      this.#outstanding = undefined;
      this.#events.faulty(undefined);
      if (answer.generation > this.#generation) {
        this.#events.purged(answer.generation);
        return;
      }
      assert.equal(answer.generation, this.#generation, 'the store went back to an earlier generation');
      this.#written(page, answer.results);
      for (const waiter of page.waiters) waiter();
      this.submit();
    });
  }

  #written(page: Page, results: Float64Array): void {
    const { rows, count } = page.batch;
    assert(results.length === count && page.slots.length === count, 'a result for each row');
    for (let row = 0; row < count; row++) {
      const slot = page.slots[row]!;
      if (slot === NONE) continue;
      const start = row * COLUMNS;
      this.#pool.storing[slot] = 0;
      this.#events.written(slot, rows[start + KIND]!, results[row]!, rows[start + STATE] === 1);
    }
  }

  #refused(page: Page, fault: StoreFault): void {
    if (fault.reason === 'fenced') {
      this.#events.fenced();
      return;
    }
    this.#events.faulty(fault);
    this.#clock.after(RETRY_MS, () => {
      if (!this.#closed) this.#write(page);
    });
  }
}
