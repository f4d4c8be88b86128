/**
 * The store in SQL, synchronous: what the store's thread does for the instance whose thread it is.
 *
 * Every method answers or throws: a `StoreFault`, or an error of SQLite's, which `faultOf` translates. A transaction that
 * throws is rolled back and leaves the connection ready for the next.
 */

import { type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { addTotal, emptyTotal } from '../payments/money.ts';
import type { ProcessorIndex } from '../payments/payment.ts';
import type { Summary } from '../payments/payments.ts';
import { COLUMNS } from './batch.ts';
import { Checkpoints } from './checkpoints.ts';
import { Machine } from './sqlite-machine.ts';
import { busyMsDefault, fileName, openDatabase, refusal, type SqliteOptions } from './sqlite-open.ts';
import { replayLogs } from './sqlite-replay.ts';
import { BatchWriter } from './sqlite-write.ts';
import {
  type HealthReport,
  type InstanceView,
  type Joined,
  type Shared,
  StoreFault,
  type Written,
} from './store.ts';
import { packRows, STORED_COLUMNS } from './stored-rows.ts';
import { rangesOf } from './totals.ts';
import { Turns } from './turns.ts';

export class SqliteStore {
  readonly #database: DatabaseSync;
  readonly #directory: string;
  readonly #turns: Turns;
  readonly #writer: BatchWriter;
  readonly #checkpoints: Checkpoints;
  readonly #statements = new Map<string, StatementSync>();
  #instance = '';
  #number = 0;
  #epoch = 0;
  readonly #machine: Machine;
  /** The file that is open, as its path named it. */
  readonly #path: string;
  readonly #file: Stats;
  readonly #isAlwaysFlushed: boolean;
  /** What was last looked at, and the version of the file it was read from. */
  #shared: Shared | undefined;
  #sharedVersion = -1;

  /** Opens `options.directory`. Throws `StoreOpenError`. */
  constructor(options: SqliteOptions) {
    this.#database = openDatabase(options);
    this.#directory = options.directory;
    this.#isAlwaysFlushed = options.durable === 'power';
    this.#machine = new Machine(this.#database, options);
    this.#path = join(options.directory, fileName);
    try {
      this.#file = statSync(this.#path);
      this.#turns = new Turns(options.directory, options.busyMs ?? busyMsDefault);
      this.#writer = new BatchWriter(this.#database);
      this.#checkpoints = new Checkpoints(this.#database, this.#turns, options.directory);
    } catch (error) {
      this.#database.close();
      throw refusal(options.directory, error);
    }
  }

  join(instance: string): Joined {
    return this.#transact(() => {
      const { term, pinned } = this.#machine.join(instance);
      const row = this.#get<{ number: number; epoch: number; generation: number }>(
        `INSERT INTO instances (name, epoch, beat, alive, generation)
         SELECT ?, 1, 1, 1, generation FROM shared WHERE true
         ON CONFLICT DO UPDATE SET epoch = epoch + 1, beat = beat + 1, alive = 1, generation = excluded.generation, figures = ''
         RETURNING number, epoch, generation`,
        instance,
      )!;
      this.#run("UPDATE shared SET checker = '' WHERE checker = ?", instance);
      this.#instance = instance;
      this.#number = row.number;
      this.#turns.number = row.number;
      this.#epoch = row.epoch;
      return { epoch: row.epoch, generation: row.generation, term, pinned };
    });
  }

  replay(instance: string): number {
    this.#assertOurs();
    return replayLogs(this.#directory, instance, put => {
      return this.#transact(() => {
        this.#assertOurs();
        if (instance !== this.#instance && this.#isAlive(instance)) return undefined;
        this.#run('INSERT OR IGNORE INTO instances (name) VALUES (?)', instance);
        const { number, epoch, generation } = this.#get<{
          number: number;
          epoch: number;
          generation: number;
        }>('SELECT number, epoch, shared.generation FROM instances, shared WHERE name = ?', instance)!;
        const batch = put(epoch, { generation, term: this.#machine.term });
        if (batch === undefined) return undefined;
        const { results } = this.#writer.write(number, epoch, generation, batch.rows, batch.count);
        this.#checkpoints.wrote(batch.count);
        return results.reduce((added, result) => added + (result > 0 ? 1 : 0), 0);
      });
    });
  }

  write(epoch: number, generation: number, rows: Float64Array, count: number, isFlushed = false): Written {
    const work = (): Written => this.#writer.write(this.#number, epoch, generation, rows, count);
    const written = isFlushed ? this.#flush(work) : this.#transact(work);
    this.#checkpoints.wrote(count);
    return written;
  }

  /** Packed rows; so are those of `adopt` and `find`. */
  take(afterSeq: number, limit: number): Float64Array {
    return this.#stored(
      `SELECT ${STORED_COLUMNS} FROM payments WHERE owner = ? AND seq > ? AND state < 3 ORDER BY seq LIMIT ?`,
      this.#number,
      afterSeq,
      limit,
    );
  }

  adopt(instance: string, limit: number): Float64Array {
    return this.#transact(() => {
      this.#assertOurs();
      const dead = this.#get<{ number: number }>(
        'SELECT number FROM instances WHERE name = ? AND NOT alive',
        instance,
      );
      if (dead === undefined) return new Float64Array(0);
      const { number } = dead;
      const adopted = this.#stored(
        `UPDATE payments SET owner = ? WHERE seq IN
           (SELECT seq FROM payments WHERE owner = ? AND state < 3 ORDER BY seq LIMIT ?)
         RETURNING ${STORED_COLUMNS}`,
        this.#number,
        number,
        limit,
      );
      const count = adopted.length / COLUMNS;
      this.#run('UPDATE instances SET unsettled = unsettled - ? WHERE number = ?', count, number);
      this.#run('UPDATE instances SET unsettled = unsettled + ? WHERE number = ?', count, this.#number);
      return adopted;
    });
  }

  find(id: Uint8Array): Float64Array {
    return this.#stored(`SELECT ${STORED_COLUMNS} FROM payments WHERE id = ?`, id);
  }

  summary(fromMs: number, toMs: number): Summary {
    const totals = [emptyTotal(), emptyTotal()] as const;
    const select = this.#prepare(
      `SELECT processor, sum(count), sum(high), sum(low) FROM totals
       WHERE level = ? AND bucket BETWEEN ? AND ? GROUP BY processor`,
    );
    select.setReturnArrays(true);
    this.#snapshot(() => {
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
    const select = this.#prepare('SELECT id, seq FROM payments WHERE seq > ? ORDER BY seq LIMIT ?');
    select.setReturnArrays(true);
    const rows = this.#turns.patiently(() => select.all(afterSeq, limit)) as unknown as [
      Uint8Array,
      number,
    ][];
    const ids = new Uint8Array(rows.length * 16);
    rows.forEach(([id], index) => {
      ids.set(id, index * 16);
    });
    return { ids, lastSeq: rows.at(-1)?.[1] ?? afterSeq };
  }

  look(): Shared {
    const { data_version: version } = this.#turns.patiently(
      () => this.#get<{ data_version: number }>('PRAGMA data_version')!,
    );
    if (this.#shared === undefined || version !== this.#sharedVersion) {
      // The version is that of before reading: what is committed in between is read again next time.
      this.#shared = this.#snapshot(() => this.#readShared());
      this.#sharedVersion = version;
    }
    return this.#shared;
  }

  beat(generation: number, figures: string): Shared {
    this.#assertInPlace();
    this.#transact(() => {
      const changes = this.#run(
        `UPDATE instances SET beat = beat + 1, generation = ?, figures = ?
         WHERE number = ? AND epoch = ? AND alive`,
        generation,
        figures,
        this.#number,
        this.#epoch,
      );
      if (changes === 0) throw this.#fenced();
    });
    return this.look();
  }

  fence(instance: string, epoch: number, beat: number): boolean {
    return this.#transact(() => {
      this.#assertOurs();
      const changes = this.#run(
        'UPDATE instances SET epoch = epoch + 1, alive = 0 WHERE name = ? AND epoch = ? AND beat = ? AND alive',
        instance,
        epoch,
        beat,
      );
      if (changes === 1) this.#run("UPDATE shared SET checker = '' WHERE checker = ?", instance);
      return changes === 1;
    });
  }

  takeChecker(holder: string): boolean {
    return this.#transact(() => {
      this.#assertOurs();
      return this.#run('UPDATE shared SET checker = ? WHERE checker = ?', this.#instance, holder) === 1;
    });
  }

  report(processor: ProcessorIndex, failing: boolean, minResponseMs: number): boolean {
    return this.#transact(() => {
      this.#assertOurs();
      const changes = this.#run(
        `UPDATE health SET failing = ?, min_response_ms = ?, version = version + 1
         WHERE processor = ? AND (SELECT checker FROM shared) = ?`,
        failing ? 1 : 0,
        minResponseMs,
        processor,
        this.#instance,
      );
      return changes === 1;
    });
  }

  purge(): number {
    return this.#flush(() => {
      this.#assertOurs();
      // Seqs are never given twice, so that one from before a purge cannot mean a payment from after it.
      const { generation } = this.#get<{ generation: number }>(
        `UPDATE shared SET generation = generation + 1,
           purged_to = max(purged_to, coalesce((SELECT max(seq) FROM payments), 0)) RETURNING generation`,
      )!;
      for (const table of ['payments', 'attempts', 'totals']) this.#run(`DELETE FROM ${table}`);
      this.#run('UPDATE instances SET unsettled = 0');
      return generation;
    });
  }

  sync(): true {
    this.#checkpoints.sync();
    return true;
  }

  leave(): true {
    this.#transact(() => {
      const changes = this.#run(
        'UPDATE instances SET alive = 0 WHERE number = ? AND epoch = ?',
        this.#number,
        this.#epoch,
      );
      if (changes === 1) this.#run("UPDATE shared SET checker = '' WHERE checker = ?", this.#instance);
    });
    this.close();
    return true;
  }

  /** Moves what was committed from the WAL into the file where that is due; `idle` when nobody waits. */
  checkpoint(idle: boolean): void {
    this.#checkpoints.run(idle);
  }

  close(): void {
    this.#checkpoints.close();
    this.#turns.close();
    this.#database.close();
  }

  #readShared(): Shared {
    type Stored<T> = Omit<T, 'alive' | 'failing'> & { alive: number; failing: number };
    const { generation, checker } = this.#get<Shared>('SELECT generation, checker FROM shared')!;
    const instances = this.#all<Stored<InstanceView>>(
      'SELECT name, epoch, beat, alive, generation, unsettled, figures FROM instances ORDER BY name',
    ).map(row => ({ ...row, alive: row.alive === 1 }));
    const [first, second] = this.#all<Stored<HealthReport>>(
      'SELECT failing, min_response_ms AS minResponseMs, version FROM health ORDER BY processor',
    ).map(row => ({ ...row, failing: row.failing === 1 }));
    return { generation, instances, health: [first!, second!], checker };
  }

  #assertOurs(): void {
    const row = this.#get<{ epoch: number }>('SELECT epoch FROM instances WHERE number = ?', this.#number);
    if (row?.epoch !== this.#epoch) throw this.#fenced();
  }

  /** Who is started from now on would find another store than this one, or none. */
  #assertInPlace(): void {
    const file = statSync(this.#path, { throwIfNoEntry: false });
    if (file?.ino === this.#file.ino && file.dev === this.#file.dev) return;
    throw new StoreFault('broken', `${this.#path} was removed or replaced while it was in use`);
  }

  #fenced(): StoreFault {
    return new StoreFault('fenced', `${this.#instance || 'nobody'} is not joined with epoch ${this.#epoch}`);
  }

  #isAlive(instance: string): boolean {
    return this.#get('SELECT 1 FROM instances WHERE name = ? AND alive', instance) !== undefined;
  }

  #transact<T>(work: () => T): T {
    this.#turns.begin(() => this.#run('BEGIN IMMEDIATE'));
    this.#sharedVersion = -1; // data_version tells of the others' commits only
    try {
      const result = work();
      this.#run('COMMIT');
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after some errors.
      if (this.#database.isTransaction) this.#run('ROLLBACK');
      throw error;
    }
  }

  /** A transaction that is safe from a power loss, with all before it, when this returns. */
  #flush<T>(work: () => T): T {
    if (this.#isAlwaysFlushed) return this.#transact(work);
    this.#database.exec('PRAGMA synchronous = FULL');
    try {
      return this.#transact(work);
    } finally {
      this.#database.exec('PRAGMA synchronous = NORMAL');
    }
  }

  /** A transaction that only reads: one snapshot, which neither waits for writers nor holds them up. */
  #snapshot<T>(read: () => T): T {
    return this.#turns.patiently(() => {
      this.#run('BEGIN');
      try {
        return read();
      } finally {
        this.#run('COMMIT');
      }
    });
  }

  #stored(sql: string, ...values: SQLInputValue[]): Float64Array {
    const select = this.#prepare(sql);
    select.setReturnArrays(true);
    const rows = this.#turns.patiently(() => select.all(...values));
    return packRows(rows as unknown as Parameters<typeof packRows>[0]);
  }

  #get<Row>(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#prepare(sql).get(...values) as Row | undefined;
  }

  #all<Row>(sql: string): Row[] {
    return this.#prepare(sql).all() as Row[];
  }

  #run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
