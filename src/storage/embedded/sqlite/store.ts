/**
 * The store in SQL, synchronous: what the store's thread does for the instance whose thread it is. Here is
 * what concerns payments; what concerns the instances is with `Members`.
 *
 * Every method answers or throws: a `StoreFault`, or an error of SQLite's, which `faultOf` translates.
 */

import type { SQLInputValue } from 'node:sqlite';
import { addTotal, emptyTotal } from '../../../domain/money.ts';
import type { ProcessorIndex, Summary } from '../../../domain/payment.ts';
import { COLUMNS } from '../../batch.ts';
import type { Joined, Shared, Written } from '../../ports.ts';
import { rangesOf } from '../../rollups.ts';
import { packRows, STORED_COLUMNS } from '../../row-codec.ts';
import { Checkpoints } from './checkpoints.ts';
import { StoreConnection } from './connection.ts';
import { LostWrites } from './lost-writes.ts';
import { Members } from './members.ts';
import { busyMsDefault, openDatabase, openErrorOf, type SqliteOptions } from './open.ts';
import { replayLogs } from './replay.ts';
import { WriteFairness } from './write-fairness.ts';
import { BatchWriter } from './writer.ts';

export class SqliteStore {
  readonly #directory: string;
  readonly #machine: LostWrites;
  readonly #connection: StoreConnection;
  readonly #members: Members;
  readonly #writer: BatchWriter;
  readonly #checkpoints: Checkpoints;

  /** Opens `options.directory`. Throws `StoreOpenError`. */
  constructor(options: SqliteOptions) {
    const { directory, busyMs = busyMsDefault } = options;
    const database = openDatabase(options);
    this.#directory = directory;
    this.#machine = new LostWrites(database, options);
    try {
      const turns = new WriteFairness(directory, busyMs);
      this.#connection = new StoreConnection(database, turns, options);
      this.#members = new Members(this.#connection, this.#machine);
      this.#writer = new BatchWriter(database);
      this.#checkpoints = new Checkpoints(database, turns, directory);
    } catch (error) {
      database.close();
      throw openErrorOf(directory, error);
    }
  }

  join(instance: string): Joined {
    return this.#members.join(instance);
  }

  replay(instance: string): number {
    this.#members.assertOurs();
    return replayLogs(this.#directory, instance, put => {
      return this.#connection.transact(() => {
        const owner = this.#members.ownerOfLogs(instance);
        if (owner === undefined) return undefined;
        const { number, epoch, generation } = owner;
        const batch = put(epoch, { generation, term: this.#machine.term });
        if (batch === undefined) return undefined;
        const { results } = this.#writer.write(number, epoch, generation, batch.rows, batch.count);
        this.#checkpoints.wrote(batch.count);
        return results.reduce((added, result) => added + (result > 0 ? 1 : 0), 0);
      });
    });
  }

  write(epoch: number, generation: number, rows: Float64Array, count: number, isFlushed = false): Written {
    const work = (): Written => this.#writer.write(this.#members.number, epoch, generation, rows, count);
    const written = isFlushed ? this.#connection.flush(work) : this.#connection.transact(work);
    this.#checkpoints.wrote(count);
    return written;
  }

  /** Packed rows; so are those of `adopt` and `find`. */
  take(afterSeq: number, limit: number): Float64Array {
    return this.#stored(
      `SELECT ${STORED_COLUMNS} FROM payments WHERE owner = ? AND seq > ? AND state < 3 ORDER BY seq LIMIT ?`,
      this.#members.number,
      afterSeq,
      limit,
    );
  }

  adopt(instance: string, limit: number): Float64Array {
    return this.#connection.transact(() => {
      this.#members.assertOurs();
      const dead = this.#connection.get<{ number: number }>(
        'SELECT number FROM instances WHERE name = ? AND NOT alive',
        instance,
      );
      if (dead === undefined) return new Float64Array(0);
      const { number } = dead;
      const adopted = this.#stored(
        `UPDATE payments SET owner = ? WHERE seq IN
           (SELECT seq FROM payments WHERE owner = ? AND state < 3 ORDER BY seq LIMIT ?)
         RETURNING ${STORED_COLUMNS}`,
        this.#members.number,
        number,
        limit,
      );
      const count = adopted.length / COLUMNS;
      this.#connection.run('UPDATE instances SET unsettled = unsettled - ? WHERE number = ?', count, number);
      this.#connection.run(
        'UPDATE instances SET unsettled = unsettled + ? WHERE number = ?',
        count,
        this.#members.number,
      );
      return adopted;
    });
  }

  find(id: Uint8Array): Float64Array {
    return this.#stored(`SELECT ${STORED_COLUMNS} FROM payments WHERE id = ?`, id);
  }

  summary(fromMs: number, toMs: number): Summary {
    const totals = [emptyTotal(), emptyTotal()] as const;
    const select = this.#connection.arrays(
      `SELECT processor, sum(count), sum(high), sum(low) FROM totals
       WHERE level = ? AND bucket BETWEEN ? AND ? GROUP BY processor`,
    );
    this.#connection.snapshot(() => {
      rangesOf(fromMs, toMs, (level, from, to) => {
        for (const row of select.all(level, from, to)) {
          const [processor, count, high, low] = row as unknown as [ProcessorIndex, number, number, number];
          addTotal(totals[processor], { count, high, low });
        }
      });
    });
    return { default: totals[0], fallback: totals[1] };
  }

  ids(afterSeq: number, limit: number): { ids: Uint8Array; lastSeq: number } {
    const rows = this.#connection.read(
      'SELECT id, seq FROM payments WHERE seq > ? ORDER BY seq LIMIT ?',
      afterSeq,
      limit,
    ) as [Uint8Array, number][];
    const ids = new Uint8Array(rows.length * 16);
    rows.forEach(([id], index) => {
      ids.set(id, index * 16);
    });
    return { ids, lastSeq: rows.at(-1)?.[1] ?? afterSeq };
  }

  look(): Shared {
    return this.#members.look();
  }

  beat(generation: number, figures: string): Shared {
    return this.#members.beat(generation, figures);
  }

  fence(instance: string, epoch: number, beat: number): boolean {
    return this.#members.fence(instance, epoch, beat);
  }

  takeChecker(holder: string): boolean {
    return this.#members.takeChecker(holder);
  }

  report(processor: ProcessorIndex, failing: boolean, minResponseMs: number): boolean {
    return this.#members.report(processor, failing, minResponseMs);
  }

  purge(): number {
    return this.#connection.flush(() => {
      this.#members.assertOurs();
      // Seqs are never given twice, so that one from before a purge cannot mean a payment from after it.
      const { generation } = this.#connection.get<{ generation: number }>(
        `UPDATE shared SET generation = generation + 1,
           purged_to = max(purged_to, coalesce((SELECT max(seq) FROM payments), 0)) RETURNING generation`,
      )!;
      for (const table of ['payments', 'attempts', 'totals']) this.#connection.run(`DELETE FROM ${table}`);
      this.#connection.run('UPDATE instances SET unsettled = 0');
      return generation;
    });
  }

  sync(): true {
    this.#checkpoints.sync();
    return true;
  }

  leave(): true {
    this.#members.leave();
    this.close();
    return true;
  }

  /** Moves what was committed from the WAL into the file where that is due; `idle` when nobody waits. */
  checkpoint(idle: boolean): void {
    this.#checkpoints.run(idle);
  }

  close(): void {
    this.#checkpoints.close();
    this.#connection.close();
  }

  #stored(sql: string, ...values: SQLInputValue[]): Float64Array {
    return packRows(this.#connection.read(sql, ...values) as Parameters<typeof packRows>[0]);
  }
}
