/**
 * Reads the log as an observer that sees everything, and keeps a model of what it says: what the invariants
 * compare all else with. It uses the rules of order, so those have proofs and tests of their own.
 */
import {
  DEFAULT,
  idText,
  idWords,
  isOver,
  PINNED,
  SETTLED,
  WAITING,
  writeIdBytes,
} from '../domain/payment.ts';
import { LogIndex } from '../storage/embedded/index/log-index.ts';
import {
  ALL_PAYMENTS,
  inArrays,
  lazyStatements,
  type PaymentRow,
  rowOf,
} from '../storage/embedded/index/statements.ts';
import { LogError } from '../storage/embedded/shared-log/log-error.ts';
import type { LogFiles } from '../storage/embedded/shared-log/log-files.ts';
import { Order } from '../storage/embedded/shared-log/order.ts';
import { CHECKER } from '../storage/embedded/shared-log/ordered-members.ts';
import { LogReader } from '../storage/embedded/shared-log/reader.ts';
import { ACCEPT, ACT, BOOK, INTEND } from '../storage/embedded/shared-log/records.ts';
import { certain } from '../storage/embedded/shared-log/row-changes.ts';
import { storeIdOf } from '../storage/embedded/shared-log/segments.ts';
import * as row from '../storage/embedded/shared-log/tail-table.ts';
import { storedPayment } from '../storage/embedded/stored-payment.ts';
import { LOG_DIRECTORY, type SimulatedIndexDisk } from './index-disk.ts';
import type { Invariants } from './invariants.ts';
import type { WatchedStore } from './watched-store.ts';

const observingOf = lazyStatements({ all: inArrays(ALL_PAYMENTS) });

export class LogObserver {
  readonly #shared: Pick<SimulatedIndexDisk, 'database'>;
  readonly #files: LogFiles;
  readonly #memory: WatchedStore;
  readonly #invariants: Invariants;
  #order!: Order;
  #reader: LogReader | undefined;
  #isRebuilding = false;
  /** What is read anew has parts that cannot be used. */
  #hasGap = false;

  constructor(
    shared: Pick<SimulatedIndexDisk, 'database'>,
    files: LogFiles,
    memory: WatchedStore,
    invariants: Invariants,
  ) {
    this.#shared = shared;
    this.#files = files;
    this.#memory = memory;
    this.#invariants = invariants;
  }

  /** Takes in what was appended. */
  poll(): void {
    if (this.#reader === undefined) {
      this.rebuild();
      if (this.#reader === undefined) return;
    }
    const { termAt, doubtAt } = this.#order;
    this.#reader.poll();
    this.#doubt(termAt, doubtAt);
    this.#seeMembers();
  }

  /** Begins anew from what the disk has: after a loss, all that is known may be more than that. */
  rebuild(): void {
    this.#reader = undefined;
    const memory = this.#memory;
    memory.payments.clear();
    memory.bySeq.clear();
    if (this.#files.list(LOG_DIRECTORY).length === 0) return;
    const { database } = this.#shared;
    const opened = new LogIndex({ database, files: this.#files, directory: LOG_DIRECTORY }).opened;
    const id = storeIdOf(opened.store);
    this.#order = new Order(id.mark, (kind, start, batch) => this.#counted(kind, start, batch.epoch));
    if (opened.state !== undefined) this.#order.restore(opened.state, opened.tail);
    memory.generation = this.#order.generation;
    for (const found of observingOf(database).all.all()) this.#put(rowOf(found as unknown as PaymentRow));
    this.#hasGap = false;
    try {
      this.#reader = new LogReader({
        files: this.#files,
        directory: LOG_DIRECTORY,
        id,
        order: this.#order,
        position: opened.position,
        events: {
          gap: () => {
            this.#hasGap = true;
          },
          left: fd => this.#files.close(fd),
        },
      });
    } catch (error) {
      // Its first segment is still to be made, or is not where it should be: nobody can begin.
      if (error instanceof LogError) return;
      throw error;
    }
    this.#isRebuilding = true;
    const { termAt, doubtAt } = this.#order;
    this.#reader.poll();
    this.#doubt(termAt, doubtAt);
    this.#isRebuilding = false;
    this.#seeMembers();
  }

  #put(found: Float64Array): void {
    const payment = { ...storedPayment(found), owner: '' };
    this.#memory.payments.set(idText(payment.id), payment);
    // An archived one has none any more: one that no other has.
    this.#memory.bySeq.set(payment.seq || -1e6 - this.#memory.bySeq.size, payment);
  }

  #counted(kind: number, start: number, epoch: number): void {
    const memory = this.#memory;
    const { rows } = this.#order.tail;
    this.#seeGeneration();
    const bytes = new Uint8Array(16);
    writeIdBytes(rows, start + row.ROW_ID, bytes, 0);
    const id = idText(bytes);
    const owner = this.#order.members.living(epoch)?.name ?? '';
    if (kind === ACCEPT) {
      const payment = { ...storedPayment(rows.slice(start, start + row.ROW_COLUMNS)), owner };
      memory.payments.set(id, payment);
      memory.bySeq.set(payment.seq, payment);
      if (!this.#isRebuilding) this.#invariants.stored(id);
      return;
    }
    const payment = memory.payments.get(id);
    if (payment === undefined) {
      // The index was behind, and its acceptance is damaged; its end says all that is to be known.
      if (this.#isRebuilding && this.#hasGap) {
        if (isOver(rows[start + row.ROW_STATE]!)) this.#put(rows.slice(start, start + row.ROW_COLUMNS));
        return;
      }
      this.#invariants.fail(id, 'the log speaks of a payment that was never accepted');
      return;
    }
    const wasOver = isOver(payment.state);
    // The row of a payment that the index had need not say when it was accepted.
    const known = storedPayment(rows.slice(start, start + row.ROW_COLUMNS));
    payment.owner = owner;
    payment.state = known.state;
    payment.isUncertain = known.isUncertain;
    payment.processor = known.processor;
    payment.requestedAtMs = known.requestedAtMs;
    payment.attempts = known.attempts;
    payment.tries = known.tries;
    payment.settledAtMs = known.settledAtMs;
    payment.held = known.held;
    payment.retryAtMs = known.retryAtMs;
    if (this.#isRebuilding) return;
    if (kind === INTEND) this.#invariants.intended(id, owner);
    const isByHand = kind === ACT && !wasOver && payment.state === SETTLED;
    if (kind === BOOK || isByHand) this.#invariants.booked(payment);
  }

  #seeGeneration(): void {
    const memory = this.#memory;
    if (this.#order.generation === memory.generation) return;
    memory.generation = this.#order.generation;
    memory.payments.clear();
    memory.bySeq.clear();
  }

  /** A term may have begun since: what waits is pinned, or uncertain, or both. */
  #doubt(termBefore: number, doubtBefore: number): void {
    const { termAt, doubtAt, tail } = this.#order;
    if (termAt === termBefore && doubtAt === doubtBefore) return;
    for (const payment of this.#memory.payments.values()) {
      const start = tail.find(idWords(payment.id), 0);
      const inTail = start < 0 ? undefined : tail.rows[start + row.ROW_STATE]!;
      if (inTail === undefined) payment.isUncertain ||= doubtAt !== doubtBefore && payment.state < SETTLED;
      else payment.isUncertain = inTail < 0;
      if (payment.state !== WAITING || termAt === termBefore) continue;
      if (inTail !== undefined && certain(inTail) === WAITING) continue;
      payment.state = PINNED;
      payment.processor ??= DEFAULT;
      payment.requestedAtMs ||= payment.acceptedAtMs;
      payment.attempts = Math.max(1, payment.attempts);
    }
  }

  #seeMembers(): void {
    this.#seeGeneration();
    const { members } = this.#order;
    const memory = this.#memory;
    memory.term = this.#order.term;
    memory.checker = members.living(members.holder(CHECKER))?.name ?? '';
    for (const { name, epoch, beat, isAlive, generation, figures } of members.all) {
      memory.instances.set(name, {
        ...{ name, epoch, beat, generation, figures },
        alive: isAlive,
        unsettled: members.unsettledOf(epoch),
      });
    }
  }
}
