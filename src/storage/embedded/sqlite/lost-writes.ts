/**
 * Which run of which machine the store was last used in, so that whoever joins knows whether writes may have
 * been lost since.
 *
 * A process that dies loses nothing, for the kernel has what it wrote. A kernel that dies takes with it what
 * the disk had not got, unless all who wrote waited for their disk. Writes are lost from the end only, for
 * the WAL is read back up to its first gap: if nobody was left alive in what is there, all had left in good
 * order, and then nothing was missing.
 */

import { readFileSync } from 'node:fs';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { DEFAULT, PINNED, SETTLED, WAITING } from '../../../domain/payment.ts';
import type { Joined } from '../../ports.ts';
import type { SqliteOptions } from './open.ts';

interface Row {
  readonly boot: string;
  readonly term: number;
}

export class LostWrites {
  readonly #boot: string;
  readonly #brokenTerm: SqliteOptions['brokenTerm'];
  readonly #read: StatementSync;
  readonly #write: StatementSync;
  readonly #careless: StatementSync;
  readonly #tellFlushing: StatementSync;
  readonly #pin: StatementSync;

  constructor(database: DatabaseSync, { boot = thisBoot(), brokenTerm, durable }: SqliteOptions) {
    this.#boot = boot;
    this.#brokenTerm = brokenTerm;
    this.#read = database.prepare('SELECT boot, term FROM machine');
    this.#write = database.prepare('INSERT OR REPLACE INTO machine (rowid, boot, term) VALUES (1, ?, ?)');
    this.#careless = database.prepare(
      'SELECT 1 FROM instances WHERE alive AND name NOT IN (SELECT instance FROM flushing)',
    );
    this.#tellFlushing = database.prepare(
      durable === 'power'
        ? 'INSERT OR IGNORE INTO flushing VALUES (?)'
        : 'DELETE FROM flushing WHERE instance = ?',
    );
    this.#pin = database.prepare(
      `UPDATE payments SET state = ${PINNED}, processor = max(processor, ${DEFAULT}),
         requested_at = iif(requested_at > 0, requested_at, accepted_at), attempts = max(attempts, 1)
       WHERE state < ${SETTLED} AND state = ${WAITING}`, // the index of the unsettled has the first of these
    );
  }

  /** The present term. To be called in a transaction, as is `join`; or in a snapshot. */
  get term(): number {
    return this.#row?.term ?? 1;
  }

  /**
   * `instance` joins. Begins a term if writes may have been lost in the last; tells the term, and how many
   * payments that pinned.
   */
  join(instance: string): Pick<Joined, 'term' | 'pinned'> {
    const { term } = this;
    const isSame = this.#row?.boot === this.#boot;
    // A later term than the present one was itself among what was lost.
    const isBroken = this.#brokenTerm === 'unknown' || (this.#brokenTerm ?? 0) >= term;
    const isLost = isBroken || (!isSame && this.#careless.get() !== undefined);
    if (isLost || !isSame) this.#write.run(this.#boot, isLost ? term + 1 : term);
    this.#tellFlushing.run(instance);
    return isLost ? { term: term + 1, pinned: Number(this.#pin.run().changes) } : { term, pinned: 0 };
  }

  get #row(): Row | undefined {
    return this.#read.get() as Row | undefined;
  }
}

/**
 * Another after each start of the kernel; the same in all its containers. Where there is none, none is told
 * from another.
 */
function thisBoot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return '';
  }
}
