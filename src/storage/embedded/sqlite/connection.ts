/**
 * One connection to the database: its transactions, and its statements, each of which is prepared once.
 *
 * A transaction that throws is rolled back and leaves the connection ready for the next.
 */

import { type Stats, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { StoreFault } from '../../ports.ts';
import { fileName, type SqliteOptions } from './open.ts';
import type { WriteFairness } from './write-fairness.ts';

export class StoreConnection {
  readonly #database: DatabaseSync;
  readonly #turns: WriteFairness;
  readonly #statements = new Map<string, StatementSync>();
  /** The file that is open, as its path named it. */
  readonly #path: string;
  readonly #file: Stats;
  readonly #isAlwaysFlushed: boolean;
  #begun = 0;

  constructor(database: DatabaseSync, turns: WriteFairness, { directory, durable }: SqliteOptions) {
    this.#database = database;
    this.#turns = turns;
    this.#path = join(directory, fileName);
    this.#file = statSync(this.#path);
    this.#isAlwaysFlushed = durable === 'power';
  }

  /** Ours among the instances, by which the others tell our turns to write from theirs. */
  set number(number: number) {
    this.#turns.number = number;
  }

  /** Who is started from now on would find another store than this one, or none. */
  assertInPlace(): void {
    const file = statSync(this.#path, { throwIfNoEntry: false });
    if (file?.ino === this.#file.ino && file.dev === this.#file.dev) return;
    throw new StoreFault('broken', `${this.#path} was removed or replaced while it was in use`);
  }

  /** How many transactions that write were begun here. */
  get begun(): number {
    return this.#begun;
  }

  /**
   * Another number whenever another connection has committed something: the commits of this one do not show.
   */
  othersVersion(): number {
    const row = this.#turns.patiently(() => this.get<{ data_version: number }>('PRAGMA data_version')!);
    return row.data_version;
  }

  transact<T>(work: () => T): T {
    this.#turns.begin(() => this.run('BEGIN IMMEDIATE'));
    this.#begun += 1;
    try {
      const result = work();
      this.run('COMMIT');
      return result;
    } catch (error) {
      // SQLite has rolled back by itself after some errors.
      if (this.#database.isTransaction) this.run('ROLLBACK');
      throw error;
    }
  }

  /** A transaction that is safe from a power loss, with all before it, when this returns. */
  flush<T>(work: () => T): T {
    if (this.#isAlwaysFlushed) return this.transact(work);
    this.#database.exec('PRAGMA synchronous = FULL');
    try {
      return this.transact(work);
    } finally {
      this.#database.exec('PRAGMA synchronous = NORMAL');
    }
  }

  /** A transaction that only reads: one snapshot, which neither waits for writers nor holds them up. */
  snapshot<T>(read: () => T): T {
    return this.#turns.patiently(() => {
      this.run('BEGIN');
      try {
        return read();
      } finally {
        this.run('COMMIT');
      }
    });
  }

  /** All rows, as arrays. Waits for who is in the way. */
  read(sql: string, ...values: SQLInputValue[]): unknown[] {
    const select = this.arrays(sql);
    return this.#turns.patiently(() => select.all(...values));
  }

  /** A statement that returns its rows as arrays. */
  arrays(sql: string): StatementSync {
    const select = this.#prepare(sql);
    select.setReturnArrays(true);
    return select;
  }

  get<Row>(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#prepare(sql).get(...values) as Row | undefined;
  }

  all<Row>(sql: string): Row[] {
    return this.#prepare(sql).all() as Row[];
  }

  /** Returns how many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepare(sql).run(...values).changes);
  }

  close(): void {
    this.#turns.close();
    this.#database.close();
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
