/**
 * Questions to all cells of a deployment, and one answer made of theirs: exact, or a fault if one has none.
 */
import { addTotal, emptyTotal, type Total } from '../../domain/money.ts';
import {
  HOLD_REASONS,
  idWords,
  type ProcessorIndex,
  type StoredPayment,
  type Summary,
} from '../../domain/payment.ts';
import type { HeldCounts, History, InspectedPayment, Inspection, SettledPage } from '../inspection.ts';
import { type ProcessorUrls, type Reply, StoreFault } from '../ports.ts';
import type { RedisStore } from './redis-store.ts';

/** As `promised`, with the fault itself. */
export function answerFrom<T>(call: (done: Reply<T>) => void): Promise<T> {
  return new Promise((resolve, reject) =>
    call(answer => (answer instanceof StoreFault ? reject(answer) : resolve(answer))),
  );
}

/** Ids may begin with the time, so all of their bits count. */
export function cellOfWords(words: ArrayLike<number>, start: number, cells: number): number {
  let mixed = 0;
  for (let at = start; at < start + 4; at++) mixed = Math.imul(mixed ^ words[at]!, 0x9e37_79b1);
  return ((mixed ^ (mixed >>> 15)) >>> 0) % cells;
}

export abstract class CellQuestions implements Inspection {
  protected readonly cells: readonly RedisStore[];

  constructor(cells: readonly RedisStore[]) {
    this.cells = cells;
  }

  /** Has what all instances share. */
  protected get first(): RedisStore {
    return this.cells[0]!;
  }

  find(id: Uint8Array, reply: Reply<StoredPayment | undefined>): void {
    this.answer(reply, async () => {
      const cell = this.cellOf(id);
      const found = await answerFrom<StoredPayment | undefined>(done => cell.find(id, done));
      return found && { ...found, seq: this.seqOf(this.cells.indexOf(cell), found.seq) };
    });
  }

  summary(fromMs: number, toMs: number, reply: Reply<Summary>): void {
    this.answer(reply, async () => {
      const sum: { default: Total; fallback: Total } = { default: emptyTotal(), fallback: emptyTotal() };
      for (const each of await this.each<Summary>((cell, done) => cell.summary(fromMs, toMs, done))) {
        addTotal(sum.default, each.default);
        addTotal(sum.fallback, each.fallback);
      }
      return sum;
    });
  }

  urls(reply: Reply<ProcessorUrls | undefined>): void {
    this.first.urls(reply);
  }

  pinnedTo(processor: ProcessorIndex, limit: number, reply: Reply<StoredPayment[]>): void {
    this.answer(reply, async () => {
      const pages = await this.each<StoredPayment[]>((cell, done) => cell.pinnedTo(processor, limit, done));
      return this.numbered(pages).slice(0, limit);
    });
  }

  latest(limit: number, reply: Reply<InspectedPayment[]>): void {
    this.answer(reply, async () => {
      const all = (await this.each<InspectedPayment[]>((cell, done) => cell.latest(limit, done))).flat();
      return all.sort((one, other) => other.acceptedAtMs - one.acceptedAtMs).slice(0, limit);
    });
  }

  held(limit: number, reply: Reply<InspectedPayment[]>): void {
    this.answer(reply, async () => {
      const all = (await this.each<InspectedPayment[]>((cell, done) => cell.held(limit, done))).flat();
      return all.sort((one, other) => one.acceptedAtMs - other.acceptedAtMs).slice(0, limit);
    });
  }

  heldCounts(reply: Reply<HeldCounts>): void {
    this.answer(reply, async () => {
      const all = await this.each<HeldCounts>((cell, done) => cell.heldCounts(done));
      return HOLD_REASONS.map((_, reason) => all.reduce((sum, counts) => sum + counts[reason]!, 0));
    });
  }

  /** One cell behind the other. */
  settled(after: number, limit: number, reply: Reply<SettledPage>): void {
    this.answer(reply, async () => {
      const cells = this.cells.length;
      const cell = after % cells;
      const page = await answerFrom<SettledPage>(done =>
        this.cells[cell]!.settled(Math.floor(after / cells), limit, done),
      );
      if (page.after > 0) return { payments: page.payments, after: this.seqOf(cell, page.after) };
      return { payments: page.payments, after: (cell + 1) % cells };
    });
  }

  history(id: Uint8Array, reply: Reply<History | undefined>): void {
    this.cellOf(id).history(id, reply);
  }

  /** Of all that the servers hold, in bytes; those with several cells count once. */
  async size(): Promise<number> {
    const byServer = new Map(this.cells.map(cell => [cell.run, cell]));
    const sizes = await Promise.all([...byServer.values()].map(cell => cell.size()));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  protected cellOf(id: Uint8Array): RedisStore {
    return this.cells[cellOfWords(idWords(id), 0, this.cells.length)]!;
  }

  /** Unique over all cells, and rising within each. */
  protected seqOf(cell: number, seq: number): number {
    return seq * this.cells.length + cell;
  }

  protected numbered(pages: readonly StoredPayment[][]): StoredPayment[] {
    return pages.flatMap((page, cell) => page.map(each => ({ ...each, seq: this.seqOf(cell, each.seq) })));
  }

  /** Of numbers that begin with 1 and rise in each cell: one that rises whenever one of them does. */
  protected joint(numbers: readonly number[]): number {
    return numbers.reduce((sum, each) => sum + each, 0) - (numbers.length - 1);
  }

  /** Asks all; throws the fault of one that has no answer, and says which cell that is. */
  protected each<T>(call: (cell: RedisStore, done: Reply<T>, index: number) => void): Promise<T[]> {
    return Promise.all(
      this.cells.map((cell, index) =>
        answerFrom<T>(done => call(cell, done, index)).catch(fault => {
          throw fault instanceof StoreFault
            ? new StoreFault(fault.reason, `cell ${index}: ${fault.detail}`)
            : fault;
        }),
      ),
    );
  }

  protected answer<T>(reply: Reply<T>, work: () => Promise<T>): void {
    work().then(
      answer => process.nextTick(reply, answer),
      fault => {
        if (!(fault instanceof StoreFault)) throw fault;
        process.nextTick(reply, fault);
      },
    );
  }
}
