/**
 * Checkpoints: moving committed pages from the WAL into the file, when it suits nobody badly.
 *
 * A passive one holds nobody up, but cannot start the WAL anew while others keep writing. So a WAL that has
 * grown far is moved whole, which holds the writers up for the moment that the last pages take. Several
 * processes may try at once: the loser goes on.
 */

import { closeSync, fdatasyncSync, openSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { StoreFault } from '../../ports.ts';
import { fileName } from './open.ts';
import type { WriteFairness } from './write-fairness.ts';

/** Each operation of a batch makes about one page of the WAL: nearly all of them the page of a random id. */
const passivePages = 4096;
/** At this length of the WAL (64 MiB of pages) all of it is moved. */
const restartPages = 16_384;
/** Less than this is not worth an idle moment. */
const idlePages = 256;

export class Checkpoints {
  readonly #passive: StatementSync;
  readonly #restart: StatementSync;
  readonly #wal: number;
  /** An estimate of the pages that this connection wrote since its last checkpoint. */
  #pages = 0;

  readonly #turns: WriteFairness;

  constructor(database: DatabaseSync, turns: WriteFairness, directory: string) {
    this.#turns = turns;
    this.#passive = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');
    this.#restart = database.prepare('PRAGMA wal_checkpoint(RESTART)');
    // Unlike the file itself, the WAL carries no locks that a descriptor of ours could drop; and it stays the
    // same file for as long as anybody has the database open.
    this.#wal = openSync(join(directory, `${fileName}-wal`), 'r');
  }

  /** To be told of every batch. */
  wrote(operations: number): void {
    this.#pages += operations + 4;
  }

  /** Runs a checkpoint where one is due; what it cannot do now is done another time. */
  run(idle: boolean): void {
    if (this.#pages < (idle ? idlePages : passivePages)) return;
    this.#pages = 0;
    try {
      const { log } = this.#passive.get() as { log: number };
      if (log >= restartPages) this.#turns.begin(() => this.#startAnew());
    } catch {
      // A full disk, say: the WAL keeps everything meanwhile.
    }
  }

  #startAnew(): void {
    const { busy } = this.#restart.get() as { busy: number };
    if (busy !== 0) throw new StoreFault('busy', 'the WAL is in use');
  }

  /** Everything committed is safe from a power loss when this returns. */
  sync(): void {
    fdatasyncSync(this.#wal);
  }

  close(): void {
    closeSync(this.#wal);
  }
}
