/** A store with as many settled payments as one likes, made through the engine itself. */
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { SENT } from '../../src/domain/payment.ts';
import {
  ACCEPTED_AT,
  ATTEMPTS,
  Batch,
  CENTS,
  COLUMNS,
  ID,
  INSERT,
  ORIGIN,
  REQUESTED_AT,
  SETTLE,
  SETTLED_AT,
  STATE,
} from '../../src/storage/batch.ts';
import { openStore } from '../../src/storage/open.ts';
import { type Joined, promised, type Store, StoreFault, type Written } from '../../src/storage/ports.ts';
import { systemClock } from '../../src/system-clock.ts';

export interface Filled {
  readonly directory: string;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly payments: number;
}

const BATCH = 1024;
/** The index follows so many payments behind. */
const INDEX_EVERY = 64 * BATCH;
/** So many payments have each millisecond of `requestedAt`: one, as at 1,000 payments a second. */
const PER_MS = 1;
const OF_PAYMENT = 1990;
/** A full store is asked again after this. */
const FULL_MS = 5;
const FILLER = 'filler';

/**
 * Their `requestedAt` end a minute ago. Fit for `removeDirectory`. Tells how far it is, since ten million
 * take minutes.
 */
export async function fillStore(payments: number, tell: (what: string) => void): Promise<Filled> {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-filled-'));
  const lastMs = Date.now() - 60_000;
  const firstMs = lastMs - Math.ceil(payments / PER_MS);
  const store = await openBenchStore(directory, FILLER);
  const { epoch, generation } = await promised<Joined>(reply => store.join(FILLER, reply));
  const indexed = () => promised(reply => store.latest(1, reply));
  for (let done = 0; done < payments; done += BATCH) {
    const sent = new Batch(epoch, generation, BATCH);
    const settled = new Batch(epoch, generation, BATCH);
    const count = Math.min(BATCH, payments - done);
    for (let at = 0; at < count; at++) addPayment(sent, settled, Math.floor(firstMs + (done + at) / PER_MS));
    for (const batch of [sent, settled]) {
      const { results } = await written(store, batch);
      assert.ok(results.every(result => result > 0));
    }
    if (done % INDEX_EVERY !== 0) continue;
    tell(`storing ${payments.toLocaleString('en-US')} payments, ${Math.round((done / payments) * 100)} %`);
    await indexed();
    // So that whoever waits sees it, and may end it.
    await setImmediate();
  }
  await indexed();
  await promised(reply => store.leave(reply));
  return { directory, firstMs, lastMs, payments };
}

/** Writes a batch as soon as the store takes it: it refuses more payments than its index can follow. */
async function written(store: Store, batch: Batch): Promise<Written> {
  for (;;) {
    try {
      return await promised<Written>(reply => store.write(batch, reply));
    } catch (error) {
      const { cause } = error as Error;
      if (!(cause instanceof StoreFault) || cause.reason !== 'full') throw error;
      await sleep(FULL_MS);
    }
  }
}

/** The embedded store of `directory`, as a backend opens it; `more`: what is to be otherwise. */
export const openBenchStore = (
  directory: string,
  instance: string,
  more: Partial<Pick<Parameters<typeof openStore>[0], 'clock' | 'retention'>> = {},
): ReturnType<typeof openStore> =>
  openStore({
    store: { is: 'sqlite', directory },
    ackAfter: 'commit',
    instance,
    clock: systemClock,
    ...more,
    chance: Math.random,
    mustExist: false,
    isDiskDoubtful: false,
    events: {
      damaged: damage => assert.fail(`the log is damaged: ${JSON.stringify(damage)}`),
      notIndexed: ({ detail }) => assert.fail(`the log is not indexed: ${detail}`),
    },
  });

/** Adds the rows of a payment with a random id that is accepted and sent to default, and settled there. */
function addPayment(sent: Batch, settled: Batch, atMs: number): void {
  const row = sent.add(INSERT);
  const { rows } = sent;
  randomFillSync(id);
  rows.set(id, row + ID);
  rows[row + ORIGIN] = sent.epoch;
  rows[row + CENTS] = OF_PAYMENT;
  rows[row + ACCEPTED_AT] = atMs;
  rows[row + STATE] = SENT;
  rows[row + REQUESTED_AT] = atMs;
  rows[row + ATTEMPTS] = 1;
  const settlement = settled.add(SETTLE);
  settled.rows.set(rows.subarray(row + ID, row + COLUMNS), settlement + ID);
  settled.rows[settlement + SETTLED_AT] = atMs;
}

const id = new Int32Array(4);

export const removeDirectory = (directory: string): void =>
  rmSync(directory, { recursive: true, force: true });

/** Fills when first asked, once for all rounds. */
export class Fillings {
  readonly #filled = new Map<number, Filled>();
  readonly #forget = (): void => {
    for (const filled of this.#filled.values()) removeDirectory(filled.directory);
    this.#filled.clear();
  };

  async of(payments: number, tell: (what: string) => void): Promise<Filled> {
    const before = this.#filled.get(payments);
    if (before !== undefined) return before;
    process.once('exit', this.#forget);
    const filled = await fillStore(payments, tell);
    this.#filled.set(payments, filled);
    return filled;
  }

  dispose(): void {
    process.off('exit', this.#forget);
    this.#forget();
  }
}
