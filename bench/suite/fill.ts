/** A store with as many settled payments as one likes, made through the store's own class. */
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import {
  Batch,
  CENTS,
  ID,
  INSERT,
  KIND,
  REQUESTED_AT,
  SEQ,
  SETTLE,
  SETTLED_AT,
} from '../../src/storage/batch.ts';
import { SqliteStore } from '../../src/storage/embedded/sqlite/store.ts';

export interface Filled {
  readonly directory: string;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly payments: number;
}

/** A backend that has just started loads all ids that were ever accepted: it is measured when it has. */
export const loadingSeconds = (payments: number): number => (payments < 1e5 ? 0.5 : 1 + payments / 2e5);

const BATCH = 4096;
const TELL_EVERY = 16;
/** So many payments have each millisecond of `requestedAt`: one, as at 1,000 payments a second. */
const PER_MS = 1;

/**
 * Their `requestedAt` end a minute ago. Fit for `removeFilled`. Tells how far it is, since ten million take
 * minutes.
 */
async function fill(payments: number, tell: (what: string) => void): Promise<Filled> {
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
      const row = puts.add(INSERT);
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
    if ((done / BATCH) % TELL_EVERY !== 0) continue;
    tell(`storing ${payments.toLocaleString('en-US')} payments, ${Math.round((done / payments) * 100)} %`);
    // So that whoever waits sees it, and may end it.
    await setImmediate();
  }
  store.leave();
  return { directory, firstMs, lastMs, payments };
}

const removeFilled = ({ directory }: Filled): void => rmSync(directory, { recursive: true, force: true });

/** Fills when first asked, once for all rounds. */
export class Fillings {
  readonly #filled = new Map<number, Filled>();
  readonly #forget = (): void => {
    for (const filled of this.#filled.values()) removeFilled(filled);
    this.#filled.clear();
  };

  async of(payments: number, tell: (what: string) => void): Promise<Filled> {
    const before = this.#filled.get(payments);
    if (before !== undefined) return before;
    process.once('exit', this.#forget);
    const filled = await fill(payments, tell);
    this.#filled.set(payments, filled);
    return filled;
  }

  dispose(): void {
    process.off('exit', this.#forget);
    this.#forget();
  }
}
