/**
 * Checkpoints: moving committed pages from the WAL into the file, after replies and between transactions.
 *
 * A passive one holds no one up, but cannot start the WAL anew while others read. So a WAL that has grown far
 * is moved whole, which waits for readers. Several processes may try at once: the loser goes on.
 */
import { closeSync, fdatasyncSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { indexFile } from './tables.ts';

/**
 * At so many (16 MiB) they are moved. Those of one tree over random ids are written again and again, so a
 * longer WAL saves writes; but whoever starts first after a crash has to read all of it.
 */
const checkpointPages = 4096;
/** At this length of the WAL (64 MiB of pages) all of it is moved. */
const restartPages = 16_384;

export class Checkpoints {
  readonly #look: StatementSync;
  readonly #passive: StatementSync;
  readonly #restart: StatementSync;
  readonly #wal: number;

  constructor(database: DatabaseSync, directory: string) {
    this.#look = database.prepare('PRAGMA wal_checkpoint(NOOP)');
    this.#passive = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');
    this.#restart = database.prepare('PRAGMA wal_checkpoint(RESTART)');
    // Unlike the file itself, the WAL carries no locks that a descriptor of ours could drop; and it stays the
    // same file for as long as anybody has the database open.
    this.#wal = openSync(join(directory, `${indexFile}-wal`), 'r');
  }

  /** A transaction was committed. */
  advanced(): void {
    const { log, checkpointed } = this.#look.get() as { log: number; checkpointed: number };
    if (log - checkpointed < checkpointPages) return;
    this.#passive.get();
    if (log >= restartPages) this.#restart.get();
  }

  /** What `position` says before is safe from a power loss when this returns. */
  sync(position: () => number): number {
    const safe = position();
    fdatasyncSync(this.#wal);
    return safe;
  }

  close(): void {
    closeSync(this.#wal);
  }
}
