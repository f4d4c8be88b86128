/**
 * The instances that share the store, this one among them, and what they share besides payments: who lives,
 * in which epoch and generation, who asks the processors' health, and what it was.
 *
 * Every method answers or throws, as those of the store do.
 */

import type { ProcessorIndex } from '../../../domain/payment.ts';
import { type HealthReport, type InstanceView, type Joined, type Shared, StoreFault } from '../../ports.ts';
import type { StoreConnection } from './connection.ts';
import type { LostWrites } from './lost-writes.ts';

interface Place {
  readonly number: number;
  readonly epoch: number;
  readonly generation: number;
}

export class Members {
  readonly #connection: StoreConnection;
  readonly #machine: LostWrites;
  #instance = '';
  #number = 0;
  #epoch = 0;
  /** What was last looked at, and of when that is: the others' version, and the transactions begun here. */
  #shared: Shared | undefined;
  #sharedVersion = 0;
  #sharedBegun = 0;

  constructor(connection: StoreConnection, machine: LostWrites) {
    this.#connection = connection;
    this.#machine = machine;
  }

  /** Ours; 0 before we joined. */
  get number(): number {
    return this.#number;
  }

  join(instance: string): Joined {
    const connection = this.#connection;
    return connection.transact(() => {
      const { term, pinned } = this.#machine.join(instance);
      const row = connection.get<Place>(
        `INSERT INTO instances (name, epoch, beat, alive, generation)
         SELECT ?, 1, 1, 1, generation FROM shared WHERE true
         ON CONFLICT DO UPDATE SET epoch = epoch + 1, beat = beat + 1, alive = 1, generation = excluded.generation, figures = ''
         RETURNING number, epoch, generation`,
        instance,
      )!;
      connection.run("UPDATE shared SET checker = '' WHERE checker = ?", instance);
      this.#instance = instance;
      this.#number = row.number;
      connection.number = row.number;
      this.#epoch = row.epoch;
      return { epoch: row.epoch, generation: row.generation, term, pinned };
    });
  }

  /**
   * Throws a `StoreFault` unless we are who we joined as. To be called in a transaction, or before several.
   */
  assertOurs(): void {
    const row = this.#connection.get<{ epoch: number }>(
      'SELECT epoch FROM instances WHERE number = ?',
      this.#number,
    );
    if (row?.epoch !== this.#epoch) throw this.#fenced();
  }

  /**
   * Whose the payments in the logs of `instance` are to be; undefined: it lives, and sees to them itself. To
   * be called in a transaction.
   */
  ownerOfLogs(instance: string): Place | undefined {
    const connection = this.#connection;
    this.assertOurs();
    if (instance !== this.#instance && this.#isAlive(instance)) return undefined;
    connection.run('INSERT OR IGNORE INTO instances (name) VALUES (?)', instance);
    return connection.get<Place>(
      'SELECT number, epoch, shared.generation FROM instances, shared WHERE name = ?',
      instance,
    );
  }

  look(): Shared {
    const version = this.#connection.othersVersion();
    const { begun } = this.#connection;
    if (this.#shared === undefined || version !== this.#sharedVersion || begun !== this.#sharedBegun) {
      // The version is that of before reading: what is committed in between is read again next time.
      this.#shared = this.#connection.snapshot(() => this.#readShared());
      this.#sharedVersion = version;
      this.#sharedBegun = begun;
    }
    return this.#shared;
  }

  beat(generation: number, figures: string): Shared {
    this.#connection.assertInPlace();
    this.#connection.transact(() => {
      const changes = this.#connection.run(
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
    const connection = this.#connection;
    return connection.transact(() => {
      this.assertOurs();
      const changes = connection.run(
        'UPDATE instances SET epoch = epoch + 1, alive = 0 WHERE name = ? AND epoch = ? AND beat = ? AND alive',
        instance,
        epoch,
        beat,
      );
      if (changes === 1) connection.run("UPDATE shared SET checker = '' WHERE checker = ?", instance);
      return changes === 1;
    });
  }

  takeChecker(holder: string): boolean {
    const connection = this.#connection;
    return connection.transact(() => {
      this.assertOurs();
      return connection.run('UPDATE shared SET checker = ? WHERE checker = ?', this.#instance, holder) === 1;
    });
  }

  report(processor: ProcessorIndex, failing: boolean, minResponseMs: number): boolean {
    const connection = this.#connection;
    return connection.transact(() => {
      this.assertOurs();
      const changes = connection.run(
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

  leave(): void {
    const connection = this.#connection;
    connection.transact(() => {
      const changes = connection.run(
        'UPDATE instances SET alive = 0 WHERE number = ? AND epoch = ?',
        this.#number,
        this.#epoch,
      );
      if (changes === 1) connection.run("UPDATE shared SET checker = '' WHERE checker = ?", this.#instance);
    });
  }

  #readShared(): Shared {
    type Stored<T> = Omit<T, 'alive' | 'failing'> & { alive: number; failing: number };
    const connection = this.#connection;
    const { generation, checker } = connection.get<Shared>('SELECT generation, checker FROM shared')!;
    const instances = connection
      .all<Stored<InstanceView>>(
        'SELECT name, epoch, beat, alive, generation, unsettled, figures FROM instances ORDER BY name',
      )
      .map(row => ({ ...row, alive: row.alive === 1 }));
    const [first, second] = connection
      .all<Stored<HealthReport>>(
        'SELECT failing, min_response_ms AS minResponseMs, version FROM health ORDER BY processor',
      )
      .map(row => ({ ...row, failing: row.failing === 1 }));
    return { generation, term: this.#machine.term, instances, health: [first!, second!], checker };
  }

  #fenced(): StoreFault {
    return new StoreFault('fenced', `${this.#instance || 'nobody'} is not joined with epoch ${this.#epoch}`);
  }

  #isAlive(instance: string): boolean {
    const alive = this.#connection.get('SELECT 1 FROM instances WHERE name = ? AND alive', instance);
    return alive !== undefined;
  }
}
