/** A store with as many settled payments as one likes, made through the store's own class. */
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Batch, CENTS, ID, KIND, PUT, REQUESTED_AT, SEQ, SETTLE, SETTLED_AT } from '../../src/store/batch.ts';
import { SqliteStore } from '../../src/store/sqlite.ts';

export interface Filled {
  readonly directory: string;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly payments: number;
}

const BATCH = 4096;
/** So many payments have each millisecond of `requestedAt`: one, as at 1,000 payments a second. */
const PER_MS = 1;

/** Their `requestedAt` end a minute ago. Fit for `removeFilled`. */
export function fill(payments: number): Filled {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-filled-'));
  const lastMs = Date.now() - 60_000;
  const firstMs = lastMs - Math.ceil(payments / PER_MS);
  const store = new SqliteStore({ directory });
  const { epoch, generation } = store.join('filler');
  const id = new Int32Array(4);
  for (let done = 0; done < payments; done += BATCH) {
    const count = Math.min(BATCH, payments - done);
    const puts = new Batch(epoch, generation, count);
    for (let at = 0; at < count; at++) {
      const row = puts.add(PUT);
      randomFillSync(id);
      for (let word = 0; word < 4; word++) puts.rows[row + ID + word] = id[word]!;
      puts.rows[row + CENTS] = 1990;
      puts.rows[row + REQUESTED_AT] = firstMs + (done + at) / PER_MS;
    }
    const { results } = store.write(epoch, generation, puts.rows, count);
    const settlements = new Batch(epoch, generation, count);
    for (let at = 0; at < count; at++) {
      const row = settlements.add(SETTLE);
      settlements.rows[row + SEQ] = results[at]!;
      settlements.rows[row + CENTS] = 1990;
      settlements.rows[row + REQUESTED_AT] = firstMs + (done + at) / PER_MS;
      settlements.rows[row + SETTLED_AT] = firstMs + (done + at) / PER_MS;
      settlements.rows[row + KIND] = SETTLE;
    }
    store.write(epoch, generation, settlements.rows, count);
    store.checkpoint(false);
  }
  store.leave();
  return { directory, firstMs, lastMs, payments };
}

export const removeFilled = ({ directory }: Filled): void =>
  rmSync(directory, { recursive: true, force: true });

/** Fills when first asked, once for all rounds. */
export class Fillings {
  readonly #filled = new Map<number, Filled>();
  readonly #forget = (): void => {
    for (const filled of this.#filled.values()) removeFilled(filled);
    this.#filled.clear();
  };

  of(payments: number): Filled {
    process.once('exit', this.#forget);
    const filled = this.#filled.get(payments) ?? fill(payments);
    this.#filled.set(payments, filled);
    return filled;
  }

  dispose(): void {
    process.off('exit', this.#forget);
    this.#forget();
  }
}
