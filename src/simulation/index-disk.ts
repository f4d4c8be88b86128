/**
 * The database of the embedded engine's index in the world: SQLite's own, in memory, which all backends share
 * as they share a file, and which loses what it had not synced when the power goes.
 */
import type { IndexDisk } from '../storage/embedded/index/in-process-client.ts';
import { copyOfMemoryIndex, openMemoryIndex } from '../storage/embedded/index/schema.ts';
import type { Dice } from './dice.ts';

export const LOG_DIRECTORY = 'log';

const NEW = openMemoryIndex(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)).serialize();

export class SimulatedIndexDisk implements IndexDisk {
  database = copyOfMemoryIndex(NEW);
  #synced = NEW;

  isLost(database: SimulatedIndexDisk['database']): boolean {
    return database !== this.database;
  }

  sync(): void {
    this.#synced = this.database.serialize();
  }

  copy(): Uint8Array {
    return this.database.serialize();
  }

  /** Is this one from now on. */
  replace(bytes: Uint8Array): void {
    this.#insert(copyOfMemoryIndex(bytes));
    this.sync();
  }

  /** Another disk, and another store on it. */
  begin(store: number): void {
    this.#insert(openMemoryIndex(Uint8Array.of(store, 2, 3, 4, 5, 6, 7, 8)));
    this.sync();
  }

  /** Goes back to what its disk has, or not so far: another file, which has to be opened anew. */
  losePower(dice: Dice): void {
    if (dice.hits(0.5)) this.sync();
    this.#insert(copyOfMemoryIndex(this.#synced));
  }

  /** The collector would see too late how much memory lies behind a database. */
  close(): void {
    this.database.close();
  }

  #insert(database: SimulatedIndexDisk['database']): void {
    this.close();
    this.database = database;
  }
}
