/**
 * The embedded engine alone, without HTTP and without processors: three processes on one directory that
 * accept payments, record the intent of each, and settle it.
 *
 *   node bench/store.ts [SECONDS of each rate, 5] [--large]
 *
 * Ids are random, as they must be: most of what a payment costs is its page of the index of ids. Each turn
 * accepts as many payments as it has intents for those of the turn before and settlements for those before
 * that. `--large` asks for summaries over ten million.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SENT, type Summary, WAITING } from '../src/domain/payment.ts';
import { seededBelow } from '../src/domain/random.ts';
import * as column from '../src/storage/batch.ts';
import { Batch, COLUMNS, INSERT, MARK, SETTLE } from '../src/storage/batch.ts';
import { indexFile } from '../src/storage/embedded/index/tables.ts';
import { type Joined, promised, type Written as StoreWritten } from '../src/storage/ports.ts';
import { Fillings, openBenchStore } from './suite/fill.ts';
import { number, table } from './tools/table.ts';

const CENTS = 1990;
const PROCESSES = 3;
/** Payments a second of all processes; the last one is more than any of them does. */
const RATES = [500, 5000, 1e6];
const TURN_MS = 5;
const BATCH_MAX = 50;
const LOOK_MS = 20;
/** Of the WAL's index: how many frames the WAL has (`mxFrame`, SQLite's file format 4.5). */
const FRAMES_AT = 16;

interface Written {
  readonly payments: number;
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** One process that has joined: prints its figures as JSON. */
async function writer(directory: string, name: string, seconds: number, perSecond: number): Promise<void> {
  const size = Math.min(BATCH_MAX, Math.ceil((perSecond * TURN_MS) / 1000));
  const store = await openBenchStore(directory, name);
  const { epoch, generation } = await promised<Joined>(reply => store.join(name, reply));
  const times: number[] = [];
  let accepted: Int32Array[] = [];
  let sent: Int32Array[] = [];
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const endAt = startedAt + seconds * 1000;
  let payments = 0;
  for (let at = startedAt; at < endAt || sent.length + accepted.length > 0; at = performance.now()) {
    const batch = new Batch(epoch, generation, size * 3);
    for (const words of sent) add(batch, SETTLE, words);
    for (const words of accepted) add(batch, MARK, words);
    const fresh = Array.from({ length: at < endAt ? size : 0 }, () => randomFillSync(new Int32Array(4)));
    for (const words of fresh) add(batch, INSERT, words);
    const writtenAt = performance.now();
    const { results } = await promised<StoreWritten>(reply => store.write(batch, reply));
    times.push(performance.now() - writtenAt);
    assert.ok(results.every(result => result > 0));
    sent = accepted;
    accepted = fresh;
    payments += fresh.length;
    await setImmediate();
    const aheadMs = startedAt + (payments / perSecond) * 1000 - performance.now();
    if (aheadMs > 1) await sleep(aheadMs);
  }
  const tookMs = performance.now() - startedAt;
  // What is indexed later belongs to the price of a payment.
  await promised(reply => store.latest(1, reply));
  const { user, system } = process.cpuUsage(cpuBefore);
  await promised(reply => store.leave(reply));
  times.sort((one, other) => one - other);
  const written: Written = {
    payments,
    cpuUs: (user + system) / payments,
    perSecond: (payments / tookMs) * 1000,
    p50Ms: times[Math.floor(times.length * 0.5)]!,
    p99Ms: times[Math.floor(times.length * 0.99)]!,
  };
  console.log(JSON.stringify(written));
}

function add(batch: Batch, kind: number, words: Int32Array): void {
  const start = batch.add(kind);
  const { rows } = batch;
  const nowMs = Date.now();
  rows.set(words, start + column.ID);
  rows[start + column.ORIGIN] = batch.epoch;
  rows[start + column.CENTS] = CENTS;
  rows[start + column.ACCEPTED_AT] = nowMs;
  rows[start + column.STATE] = kind === INSERT ? WAITING : SENT;
  rows[start + column.REQUESTED_AT] = kind === INSERT ? 0 : nowMs;
  rows[start + column.ATTEMPTS] = kind === INSERT ? 0 : 1;
  rows[start + column.SETTLED_AT] = kind === SETTLE ? nowMs : 0;
  assert.ok(start + COLUMNS <= rows.length);
}

/** How far the index is behind the log, and the pages that its WAL took, seen from outside. */
async function watch(directory: string): Promise<{ lags: number[]; pages(): number; end(): void }> {
  const shared = await until(() => openSync(join(directory, `${indexFile}-shm`), 'r'));
  const database = new DatabaseSync(join(directory, indexFile), { readOnly: true });
  const newest = database.prepare('SELECT accepted_at FROM payments ORDER BY seq DESC LIMIT 1');
  const lags: number[] = [];
  const frames = new Uint32Array(1);
  let last = 0;
  let pages = 0;
  const look = (): void => {
    readSync(shared, new Uint8Array(frames.buffer), { position: FRAMES_AT });
    // A smaller number is that of a WAL that has begun anew.
    pages += frames[0]! >= last ? frames[0]! - last : frames[0]!;
    last = frames[0]!;
    const row = newest.get() as { accepted_at: number } | undefined;
    if (row !== undefined) lags.push(Date.now() - row.accepted_at);
  };
  const timer = setInterval(look, LOOK_MS);
  return {
    lags,
    pages: () => pages,
    end() {
      clearInterval(timer);
      look();
      database.close();
      // Not before: SQLite's locks are on this file, and closing it once lets go of all of them.
      closeSync(shared);
    },
  };
}

async function until<T>(holds: () => T): Promise<T> {
  for (;;) {
    try {
      return holds();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await sleep(1);
    }
  }
}

async function settling(root: string, seconds: number): Promise<void> {
  const rows: string[][] = [];
  for (const rate of RATES) {
    const directory = mkdtempSync(join(root, 'settling-'));
    const made = await openBenchStore(directory, 'bench');
    await promised(reply => made.leave(reply));
    const running = Array.from({ length: PROCESSES }, (_, index) => {
      const values = ['writer', directory, `backend-${index + 1}`, `${seconds}`, `${rate / PROCESSES}`];
      const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...values], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      return text(child.stdout);
    });
    const watched = await watch(directory);
    const all = (await Promise.all(running)).map(said => JSON.parse(said) as Written);
    watched.end();
    const mean = (figure: keyof Written): number =>
      all.reduce((sum, each) => sum + each[figure], 0) / PROCESSES;
    const lags = watched.lags.toSorted((one, other) => one - other);
    rows.push([
      rate === RATES.at(-1) ? 'as fast as they can' : `at ${number(rate)}/s`,
      number(mean('perSecond') * PROCESSES),
      number(mean('cpuUs')),
      number(mean('p50Ms')),
      number(Math.max(...all.map(each => each.p99Ms))),
      number(lags[lags.length >> 1] ?? Number.NaN),
      number(watched.pages() / all.reduce((sum, { payments }) => sum + payments, 0)),
    ]);
    rmSync(directory, { recursive: true });
  }
  const head = [
    `accepted, intended and settled by ${PROCESSES} processes`,
    'payments/s',
    'CPU us a payment',
    'write p50 ms',
    'p99 ms',
    'index lag p50 ms',
    'WAL pages a payment',
  ];
  console.log(`${table(head, rows)}\n`);
}

async function summaries(sizes: readonly number[]): Promise<void> {
  const rows: string[][] = [];
  const fillings = new Fillings();
  for (const payments of sizes) {
    const { directory, firstMs, lastMs } = await fillings.of(payments, () => {});
    const store = await openBenchStore(directory, 'bench');
    const counted = async (fromMs: number, toMs: number): Promise<number> =>
      (await promised<Summary>(reply => store.summary(fromMs, toMs, reply))).default.count;
    assert.equal(await counted(-Infinity, Infinity), payments);
    const next = seededBelow(1);
    const times: number[] = [];
    for (let round = 0; round < 2000; round++) {
      const [fromMs, toMs] = [0, 1]
        .map(() => firstMs + next(lastMs - firstMs))
        .toSorted((one, other) => one - other) as [number, number];
      const at = performance.now();
      const count = await counted(fromMs, toMs);
      times.push(performance.now() - at);
      assert.equal(count, toMs - fromMs + 1);
    }
    await promised(reply => store.leave(reply));
    times.sort((one, other) => one - other);
    rows.push([number(payments), number(times[1000]!), number(times[1980]!), number(times.at(-1)!)]);
  }
  fillings.dispose();
  console.log(`${table(['summary over', 'p50 ms', 'p99 ms', 'max ms'], rows)}\n`);
}

const [first, ...rest] = process.argv.slice(2);
if (first === 'writer') {
  const [directory, name, seconds, perSecond] = rest as [string, string, string, string];
  await writer(directory, name, Number(seconds), Number(perSecond));
  process.exit();
}
const root = mkdtempSync(join(tmpdir(), 'soquete-bench-'));
try {
  await settling(root, Number(first) || 5);
  await summaries(process.argv.includes('--large') ? [1e4, 1e5, 1e6, 1e7] : [1e4, 1e5, 1e6]);
} finally {
  rmSync(root, { recursive: true });
}
