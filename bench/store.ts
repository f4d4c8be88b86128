/**
 * The store and the log's format alone: what a payment costs the store's thread, what a batch costs the event
 * loop, and how long a summary takes.
 *
 *   node bench/store.ts [PAYMENTS per process, 40000] [--large]
 *
 * Payments have random ids, as they must: most of their cost is the page of the index of ids. A transaction
 * puts as many as it settles. CPU is that of the writing thread with its checkpoints; `--large` asks for
 * summaries over ten million.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { seededBelow } from '../src/domain/random.ts';
import * as column from '../src/storage/batch.ts';
import { Batch, INSERT, SETTLE } from '../src/storage/batch.ts';
import { encodeRecord, RECORD_BYTES } from '../src/storage/embedded/log-format.ts';
import { SqliteStore } from '../src/storage/embedded/sqlite/store.ts';
import { openSqliteStore } from '../src/storage/embedded/sqlite/thread-client.ts';
import { TotalsSum } from '../src/storage/rollups.ts';
import { asked } from '../src/testing/stores.ts';
import { number, table } from './tools/table.ts';

const CENTS = 1990;
const START_MS = 1_783_684_800_000;

/**
 * Batches of payments as a backend makes them: `size` are put as sent, those of the last time are settled.
 */
class Batches {
  readonly #words = new Int32Array(4);
  readonly #joined: { epoch: number; generation: number };
  readonly #size: number;
  #nowMs = START_MS;
  #seqs: number[] = [];

  constructor(joined: { epoch: number; generation: number }, size: number) {
    this.#joined = joined;
    this.#size = size;
  }

  next(): Batch {
    const batch = new Batch(this.#joined.epoch, this.#joined.generation, this.#size * 2);
    for (let n = 0; n < this.#size; n++) {
      const start = batch.add(INSERT);
      batch.rows.set(randomFillSync(this.#words), start + column.ID);
      this.#fill(batch, start);
      if (n % 4 === 0) this.#nowMs += 1;
    }
    for (const seq of this.#seqs) {
      const start = batch.add(SETTLE);
      batch.rows[start + column.SEQ] = seq;
      this.#fill(batch, start);
    }
    return batch;
  }

  written(results: Float64Array): void {
    this.#seqs = [...results.subarray(0, this.#size)];
    assert.ok(results.every(result => result > 0));
  }

  #fill(batch: Batch, start: number): void {
    batch.rows[start + column.CENTS] = CENTS;
    batch.rows[start + column.ACCEPTED_AT] = this.#nowMs;
    batch.rows[start + column.STATE] = 1;
    batch.rows[start + column.REQUESTED_AT] = this.#nowMs;
    batch.rows[start + column.ATTEMPTS] = 1;
    batch.rows[start + column.SETTLED_AT] = this.#nowMs + 1;
  }
}

interface Written {
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** One writing process: prints its figures as JSON. */
function writer(directory: string, name: string, payments: number, size: number): void {
  const store = new SqliteStore({ directory });
  const joined = store.join(name);
  const batches = new Batches(joined, size);
  const times: number[] = [];
  let cpuUs = 0;
  const startedAt = performance.now();
  for (let done = 0; done < payments; done += size) {
    const batch = batches.next();
    const before = process.threadCpuUsage();
    const at = performance.now();
    const { results } = store.write(joined.epoch, joined.generation, batch.rows, batch.count);
    times.push(performance.now() - at);
    store.checkpoint(false);
    const { user, system } = process.threadCpuUsage(before);
    cpuUs += user + system;
    batches.written(results);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  store.close();
  times.sort((one, other) => one - other);
  const written: Written = {
    cpuUs: cpuUs / payments,
    perSecond: payments / seconds,
    p50Ms: times[Math.floor(times.length * 0.5)]!,
    p99Ms: times[Math.floor(times.length * 0.99)]!,
  };
  console.log(JSON.stringify(written));
}

async function writing(root: string, payments: number): Promise<void> {
  const rows: string[][] = [];
  for (const processes of [1, 3]) {
    for (const size of [20, 100, 1000]) {
      const directory = mkdtempSync(join(root, 'writing-'));
      const all = await Promise.all(
        Array.from({ length: processes }, async (_, index) => {
          const values = ['writer', directory, `backend-${index}`, `${payments}`, `${size}`];
          const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...values], {
            stdio: ['ignore', 'pipe', 'inherit'],
          });
          return JSON.parse(await text(child.stdout)) as Written;
        }),
      );
      const mean = (figure: keyof Written): number =>
        all.reduce((sum, each) => sum + each[figure], 0) / processes;
      rows.push([
        `${processes} × batches of ${size}`,
        number(mean('cpuUs')),
        number(mean('perSecond') * processes),
        number(mean('p50Ms')),
        number(Math.max(...all.map(each => each.p99Ms))),
      ]);
      rmSync(directory, { recursive: true });
    }
  }
  const head = ['put and settle', 'CPU us a payment', 'payments/s', 'p50 ms', 'p99 ms'];
  console.log(`${table(head, rows)}\n`);
}

/** What the event loop pays for a batch and a look-up in the store's thread. */
async function asking(root: string): Promise<void> {
  const store = asked(await openSqliteStore({ directory: mkdtempSync(join(root, 'asking-')) }));
  const joined = await store.join('backend-1');
  const rows: string[][] = [];
  const timed = async (name: string, rounds: number, ask: () => Promise<unknown>): Promise<void> => {
    await ask();
    // Not its CPU: here the kernel counts some of a thread's waiting as its work.
    const before = performance.eventLoopUtilization();
    const startedAt = performance.now();
    for (let round = 0; round < rounds; round++) await ask();
    const { active } = performance.eventLoopUtilization(before);
    rows.push([
      name,
      number((1000 * active) / rounds),
      number((1000 * (performance.now() - startedAt)) / rounds),
    ]);
  };
  for (const size of [100, 20, 100, 500]) {
    const made = Array.from({ length: 200 }, () => new Batches(joined, size).next());
    await timed(`write ${size} puts`, 150, () => store.write(made.pop()!));
  }
  const id = new Uint8Array(16);
  await timed('find nothing', 500, () => store.find(id));
  await timed('look', 500, () => store.look());
  await timed('beat', 200, () => store.beat(1, '{}'));
  await timed('summary', 500, () => store.summary(START_MS + 17, START_MS + 1e7));
  await store.leave();
  console.log(`${table(['asked from the event loop', 'us of its time', 'us until answered'], rows)}\n`);
}

/**
 * Adds the totals of `payments` settled 2000 a second; a summary reads nothing else. Returns the last
 * instant.
 */
function fill(directory: string, payments: number): number {
  const database = new DatabaseSync(join(directory, 'payments.db'));
  const add = database.prepare(
    'INSERT INTO totals VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count, high = high + excluded.high, low = low + excluded.low',
  );
  const perChunk = 100_000;
  for (let first = 0; first < payments; first += perChunk) {
    const sum = new TotalsSum();
    for (let n = first; n < first + perChunk && n < payments; n++) sum.add(0, START_MS + (n >> 1), CENTS);
    database.exec('BEGIN');
    sum.each((level, bucket, processor, { count, high, low }) => {
      add.get(level, bucket, processor, count, high, low);
    });
    database.exec('COMMIT');
  }
  database.close();
  return START_MS + (payments >> 1);
}

function summaries(root: string, sizes: readonly number[]): void {
  const rows: string[][] = [];
  for (const payments of sizes) {
    const directory = mkdtempSync(join(root, 'summaries-'));
    new SqliteStore({ directory }).close();
    const endMs = fill(directory, payments);
    const store = new SqliteStore({ directory });
    assert.equal(store.summary(-Infinity, Infinity).default.count, payments);
    const next = seededBelow(1);
    const times: number[] = [];
    for (let round = 0; round < 2000; round++) {
      const ends = [0, 1].map(() => START_MS + next(endMs - START_MS)).toSorted((one, other) => one - other);
      const at = performance.now();
      const { count } = store.summary(ends[0]!, ends[1]!).default;
      times.push(performance.now() - at);
      assert.equal(count, 2 * (ends[1]! - ends[0]! + 1));
    }
    store.close();
    rmSync(directory, { recursive: true });
    times.sort((one, other) => one - other);
    rows.push([number(payments), number(times[1000]!), number(times[1980]!), number(times.at(-1)!)]);
  }
  console.log(`${table(['summary over', 'p50 ms', 'p99 ms', 'max ms'], rows)}\n`);
}

function encoding(): void {
  const bytes = new Uint8Array(1024 * RECORD_BYTES);
  const words = Int32Array.of(1, 2, 3, 4);
  const rounds = 3_000_000;
  const startedAt = performance.now();
  for (let n = 0; n < rounds; n++) {
    words[3] = n;
    encodeRecord(bytes, (n & 1023) * RECORD_BYTES, words, 0, CENTS, START_MS + n);
  }
  const ns = ((performance.now() - startedAt) * 1e6) / rounds;
  console.log(`a record of the log: ${number(ns)} ns (checksum ${bytes[31]})`);
}

const [first, ...rest] = process.argv.slice(2);
if (first === 'writer') {
  const [directory, name, payments, size] = rest as [string, string, string, string];
  writer(directory, name, Number(payments), Number(size));
} else {
  const root = mkdtempSync(join(tmpdir(), 'soquete-bench-'));
  try {
    const large = process.argv.includes('--large');
    await writing(root, Number(first) || 40_000);
    await asking(root);
    summaries(root, large ? [1e4, 1e5, 1e6, 1e7] : [1e4, 1e5, 1e6]);
    encoding();
  } finally {
    rmSync(root, { recursive: true });
  }
}
