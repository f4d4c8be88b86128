/**
 * One deployment in several cells of a Redis Cluster: each cell is a hash tag, so a slot, with payments and
 * epochs of its own. A payment is in the cell that its id says.
 *
 * The first cell has what instances share: beats, leases, health. An instance joins in all cells, and one
 * that declares it dead does so in all, the first one first; what is left of that by one that died meanwhile
 * is done by the one that adopts. So a batch that comes late changes nothing in any cell.
 *
 * A batch is as many batches as cells have rows of it. If one was written and another was not, the whole is
 * unanswered: it is written again until each cell has answered, and each carries its part out once.
 */
import type { ProcessorIndex, StoredPayment } from '../../domain/payment.ts';
import type { Act, ActResult } from '../acts.ts';
import { Batch, COLUMNS, ID, INSERT, KIND, SEQ } from '../batch.ts';
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
import { answerFrom, CellQuestions, cellOfWords } from './cell-questions.ts';
import type { RedisStoreOptions } from './options.ts';
import type { RedisArchive } from './redis-archive.ts';
import { RedisStore } from './redis-store.ts';

export type CellsStoreOptions = Omit<RedisStoreOptions, 'key' | 'channels'>;

/** What of a batch goes to a cell: its rows there, and which of the batch they are. */
interface Part {
  readonly part: Batch;
  readonly rows: number[];
}
type Parts = Map<number, Part>;

export class CellsStore extends CellQuestions implements Store, Reopening {
  /** By cell: what this session joined as. */
  #joined: readonly Joined[] = [];

  static async open(options: CellsStoreOptions): Promise<CellsStore> {
    const { url, instance, ...rest } = options;
    const keys = Array.from({ length: url.cells ?? 1 }, (_, cell) => `${url.name}-${cell}`);
    const cells: RedisStore[] = [];
    try {
      for (const [cell, key] of keys.entries()) {
        // The first one holds the name, and hears of all.
        const first = cell === 0 ? { channels: keys, ...(instance === undefined ? {} : { instance }) } : {};
        cells.push(await RedisStore.open({ ...rest, url, key, ...first }));
      }
    } catch (error) {
      for (const cell of cells) cell.leave(() => {});
      throw error;
    }
    return new CellsStore(cells);
  }

  /** Of each cell, with files of its own. */
  get archives(): readonly RedisArchive[] {
    return this.cells.map(cell => cell.archive);
  }

  get survives(): string {
    return this.first.survives;
  }

  /** Those that are lost; none: all of them. */
  async reopen(): Promise<void> {
    const lost = this.cells.filter(cell => cell.isLost);
    for (const cell of lost.length === 0 ? this.cells : lost) await cell.reopen();
  }

  join(instance: string, reply: Reply<Joined>): void {
    this.answer(reply, async () => {
      const joined: Joined[] = [];
      for (const cell of this.cells) joined.push(await answerFrom<Joined>(done => cell.join(instance, done)));
      this.#joined = joined;
      return {
        epoch: joined[0]!.epoch,
        generation: this.joint(joined.map(({ generation }) => generation)),
        term: this.joint(joined.map(({ term }) => term)),
        pinned: joined.reduce((sum, { pinned }) => sum + pinned, 0),
        asksFirstUntilMs: Math.max(...joined.map(({ asksFirstUntilMs }) => asksFirstUntilMs)),
        isCalm: joined.every(({ isCalm }) => isCalm),
      };
    });
  }

  write(batch: Batch, reply: Reply<Written>): void {
    const joined = this.#joined;
    if (batch.epoch !== joined[0]?.epoch) {
      setImmediate(() => reply(new StoreFault('fenced', `epoch ${batch.epoch} has passed`)));
      return;
    }
    const current = this.joint(joined.map(({ generation }) => generation));
    if (batch.generation !== current) {
      const results = new Float64Array(batch.count).fill(FORGOTTEN);
      setImmediate(() => reply({ generation: current, results }));
      return;
    }
    const parts: Parts = new Map();
    for (let row = 0; row < batch.count; row++) this.#addRow(parts, batch, row);
    // Payments come to each of them.
    if (batch.count === 0) for (const cell of this.cells.keys()) this.#partOf(parts, batch, cell);
    this.answer(reply, async () => {
      const answers = await this.#all<Written>(
        [...parts.keys()],
        cell => done => this.cells[cell]!.write(parts.get(cell)!.part, done),
      );
      const results = new Float64Array(batch.count);
      const generations = joined.map(({ generation }) => generation);
      for (const [cell, { rows }] of parts) {
        const written = answers.get(cell)!;
        generations[cell] = written.generation;
        for (const [at, row] of rows.entries()) {
          const result = written.results[at]!;
          results[row] =
            result > 0 && batch.rows[row * COLUMNS + KIND] === INSERT ? this.seqOf(cell, result) : result;
        }
      }
      return { generation: this.joint(generations), results };
    });
  }

  watch(changed: (() => void) | undefined): void {
    this.first.watch(changed);
  }

  take(afterSeq: number, limit: number, reply: Reply<StoredPayment[]>): void {
    this.answer(reply, async () => {
      const pages = await this.each<StoredPayment[]>((cell, done, index) =>
        cell.take(Math.max(0, Math.floor((afterSeq - index) / this.cells.length)), limit, done),
      );
      const all = this.numbered(pages).filter(({ seq }) => seq > afterSeq);
      return all.sort((one, other) => one.seq - other.seq).slice(0, limit);
    });
  }

  takeHeld(dueMs: number, limit: number, reply: Reply<StoredPayment[]>): void {
    this.answer(reply, async () => {
      const pages = await this.each<StoredPayment[]>((cell, done) => cell.takeHeld(dueMs, limit, done));
      const all = this.numbered(pages);
      return all.sort((one, other) => one.retryAtMs - other.retryAtMs || one.seq - other.seq).slice(0, limit);
    });
  }

  act(act: Act, reply: Reply<ActResult>): void {
    this.cellOf(act.id).act(act, reply);
  }

  rememberUrls(urls: ProcessorUrls, reply: Reply<true>): void {
    this.first.rememberUrls(urls, reply);
  }

  adopt(instance: string, reply: Reply<number>): void {
    this.answer(reply, async () => {
      const lead = await answerFrom<Shared>(done => this.first.look(done));
      if (lead.instances.find(({ name }) => name === instance)?.alive !== false) return 0;
      let adopted = 0;
      for (const cell of this.cells) {
        await fenceIn(cell, instance);
        adopted += await answerFrom<number>(done => cell.adopt(instance, done)).catch(fault => {
          if (adopted > 0 && fault instanceof StoreFault && fault.reason === 'busy')
            throw new StoreFault('unanswered', fault.detail);
          throw fault;
        });
      }
      return adopted;
    });
  }

  look(reply: Reply<Shared>): void {
    this.answer(reply, async () => this.#merged(await this.each<Shared>((cell, done) => cell.look(done))));
  }

  beat(figures: string, reply: Reply<Shared>): void {
    this.answer(reply, async () => {
      const views = await this.each<Shared>((cell, done, index) =>
        index === 0 ? cell.beat(figures, done) : cell.look(done),
      );
      return this.#merged(views);
    });
  }

  fence(instance: string, epoch: number, beat: number, reply: Reply<boolean>): void {
    this.answer(reply, async () => {
      if (!(await answerFrom<boolean>(done => this.first.fence(instance, epoch, beat, done)))) return false;
      for (const cell of this.cells.slice(1)) await fenceIn(cell, instance);
      return true;
    });
  }

  takeChecker(holder: string, reply: Reply<boolean>): void {
    this.first.takeChecker(holder, reply);
  }

  report(processor: ProcessorIndex, failing: boolean, minResponseMs: number, reply: Reply<boolean>): void {
    this.first.report(processor, failing, minResponseMs, reply);
  }

  purge(reply: Reply<number>): void {
    this.answer(reply, async () => {
      const cells = this.cells.map((_, cell) => cell);
      const answers = await this.#all<number>(cells, cell => done => this.cells[cell]!.purge(done));
      return this.joint(cells.map(cell => answers.get(cell)!));
    });
  }

  leave(reply: Reply<true>): void {
    this.answer(reply, async () => {
      await Promise.allSettled(this.cells.map(cell => answerFrom(done => cell.leave(done))));
      return true as const;
    });
  }

  #partOf(parts: Parts, { number, isFlushed }: Batch, cell: number): Part {
    const known = parts.get(cell);
    if (known !== undefined) return known;
    const { epoch, generation } = this.#joined[cell]!;
    const part = Object.assign(new Batch(epoch, generation), { number, isFlushed });
    const of = { part, rows: [] };
    parts.set(cell, of);
    return of;
  }

  #addRow(parts: Parts, batch: Batch, row: number): void {
    const start = row * COLUMNS;
    const of = this.#partOf(parts, batch, cellOfWords(batch.rows, start + ID, this.cells.length));
    of.rows.push(row);
    const copy = of.part.add(batch.rows[start + KIND]!);
    of.part.rows.set(batch.rows.subarray(start, start + COLUMNS), copy);
    of.part.rows[copy + SEQ] = Math.floor(batch.rows[start + SEQ]! / this.cells.length);
  }

  /**
   * Answers of cells to calls that change something. A part that was carried out makes the rest unanswered.
   */
  async #all<T>(
    cells: readonly number[],
    call: (cell: number) => (done: Reply<T>) => void,
  ): Promise<Map<number, T>> {
    const answers = new Map<number, T>();
    const faults: StoreFault[] = [];
    await Promise.all(
      cells.map(
        cell =>
          new Promise<void>(resolve =>
            call(cell)(answer => {
              if (answer instanceof StoreFault) faults.push(answer);
              else answers.set(cell, answer);
              resolve();
            }),
          ),
      ),
    );
    if (faults.length === 0) return answers;
    for (const reason of ['lost', 'fenced', 'unanswered'] as const) {
      const fault = faults.find(each => each.reason === reason);
      if (fault !== undefined) throw fault;
    }
    const fault = faults.find(({ reason }) => reason === 'full') ?? faults[0]!;
    throw faults.length === cells.length ? fault : new StoreFault('unanswered', `a cell is ${fault.detail}`);
  }

  #merged(views: readonly Shared[]): Shared {
    const [lead] = views;
    const of = (name: string) => views.map(view => view.instances.find(each => each.name === name));
    return {
      ...lead!,
      generation: this.joint(views.map(({ generation }) => generation)),
      term: this.joint(views.map(({ term }) => term)),
      instances: lead!.instances.map(instance => ({
        ...instance,
        generation: this.joint(of(instance.name).map(each => each?.generation ?? 1)),
        unsettled: of(instance.name).reduce((sum, each) => sum + (each?.unsettled ?? 0), 0),
      })),
    };
  }
}

/** Nobody beats but in the first cell, so what is seen stays so until it is fenced, or joins anew. */
async function fenceIn(cell: RedisStore, instance: string): Promise<void> {
  const { instances } = await answerFrom<Shared>(done => cell.look(done));
  const seen = instances.find(({ name }) => name === instance);
  if (seen?.alive === true)
    await answerFrom<boolean>(done => cell.fence(instance, seen.epoch, seen.beat, done));
}
