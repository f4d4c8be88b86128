/**
 * The engines beside each other, without HTTP and without processors: three instances that accept payments,
 * each with the intent to send it, and settle them.
 *
 *   node bench/stores.ts [SECONDS of each row, 3]
 *
 * Each instance has so many payments in hand; one that is settled makes room for the next. How batches are
 * made: one payment in each; up to 100, or what came within 10 ms; and all that came while the batch before
 * was on its way (natural, what backends do). Then the natural batch at 1,000 payments a second.
 */
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SENT, SETTLED } from '../src/domain/payment.ts';
import * as column from '../src/storage/batch.ts';
import { Batch, INSERT, SETTLE } from '../src/storage/batch.ts';
import { type Joined, promised, type Store, type Written } from '../src/storage/ports.ts';
import { PostgresStore } from '../src/storage/postgres/postgres-store.ts';
import { parsePostgresUrl } from '../src/storage/postgres/url.ts';
import { RedisStore } from '../src/storage/redis/redis-store.ts';
import { parseRedisUrl } from '../src/storage/redis/url.ts';
import { systemClock } from '../src/system-clock.ts';
import { installedPostgres, PostgresServer } from '../src/testing/postgres-server.ts';
import { installedRedis, RedisServer } from '../src/testing/redis-server.ts';
import { openBenchStore } from './suite/fill.ts';
import { number, table } from './tools/table.ts';

const NAMES = ['a', 'b', 'c'];
const IN_HAND = 100;
const CENTS = 1990;
const PAGE_MAX = 1024;
const SOME = 100;
const SOME_MS = 10;
const PACED = 1000;
/** In `/proc/PID/stat`: a hundredth of a second each. */
const TICK_MS = 10;

type Batching = 'single' | '100 or 10 ms' | 'natural';

interface Row {
  readonly words: Int32Array;
  readonly kind: number;
  readonly seq: number;
  readonly atMs: number;
  readonly done: (result: number) => void;
}

/** Gathers rows into batches as `batching` says; one is on its way at a time. */
class Gatherer {
  readonly #store: Store;
  readonly #joined: Joined;
  readonly #batching: Batching;
  #rows: Row[] = [];
  #isAtWork = false;
  #isDue = false;
  #number = 0;

  constructor(store: Store, joined: Joined, batching: Batching) {
    this.#store = store;
    this.#joined = joined;
    this.#batching = batching;
  }

  add(words: Int32Array, kind: number, seq: number): Promise<number> {
    return new Promise(done => {
      const isFirst = this.#rows.push({ words, kind, seq, atMs: Date.now(), done }) === 1;
      if (this.#batching !== '100 or 10 ms') setImmediate(() => this.#send());
      else if (this.#rows.length >= SOME) this.#send();
      else if (isFirst) {
        setTimeout(() => {
          this.#isDue = true;
          this.#send();
        }, SOME_MS);
      }
    });
  }

  #send(): void {
    const isSome = this.#batching === '100 or 10 ms';
    if (this.#isAtWork || this.#rows.length === 0 || (isSome && !this.#isDue && this.#rows.length < SOME))
      return;
    const count = this.#batching === 'single' ? 1 : isSome ? SOME : PAGE_MAX;
    const rows = this.#rows.slice(0, count);
    this.#rows = this.#rows.slice(count);
    this.#isAtWork = true;
    this.#isDue = false;
    const batch = new Batch(this.#joined.epoch, this.#joined.generation, rows.length);
    batch.number = ++this.#number;
    for (const row of rows) fill(batch, row);
    promised<Written>(reply => this.#store.write(batch, reply)).then(({ results }) => {
      this.#isAtWork = false;
      for (const [at, row] of rows.entries()) row.done(results[at]!);
      this.#isDue ||= this.#rows.length > 0;
      this.#send();
    });
  }
}

function fill(batch: Batch, { words, kind, seq, atMs }: Row): void {
  const start = batch.add(kind);
  const { rows } = batch;
  rows.set(words, start + column.ID);
  rows[start + column.SEQ] = seq;
  rows[start + column.ORIGIN] = batch.epoch;
  rows[start + column.CENTS] = CENTS;
  rows[start + column.ACCEPTED_AT] = atMs;
  rows[start + column.STATE] = kind === INSERT ? SENT : SETTLED;
  rows[start + column.REQUESTED_AT] = atMs;
  rows[start + column.ATTEMPTS] = 1;
  rows[start + column.SETTLED_AT] = kind === SETTLE ? atMs : 0;
}

/** `perSecond`: of all together; undefined: as many as it takes. */
async function run(stores: readonly Store[], batching: Batching, seconds: number, perSecond?: number) {
  const times: number[] = [];
  let settled = 0;
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  const endAt = startedAt + seconds * 1000;
  const pay = async (gatherer: Gatherer): Promise<void> => {
    const words = randomFillSync(new Int32Array(4));
    const at = performance.now();
    const seq = await gatherer.add(words, INSERT, 0);
    times.push(performance.now() - at);
    assert.ok(seq > 0);
    assert.equal(await gatherer.add(words, SETTLE, seq), 1);
    settled += 1;
  };
  await Promise.all(
    stores.map(async (store, index) => {
      const joined = await promised<Joined>(reply => store.join(NAMES[index]!, reply));
      const gatherer = new Gatherer(store, joined, batching);
      if (perSecond === undefined) {
        const keepPaying = async () => {
          while (performance.now() < endAt) await pay(gatherer);
        };
        await Promise.all(Array.from({ length: IN_HAND }, keepPaying));
        return;
      }
      const paid: Promise<void>[] = [];
      while (performance.now() < endAt) {
        const due = ((performance.now() - startedAt) / 1000) * (perSecond / stores.length);
        while (paid.length < due) paid.push(pay(gatherer));
        await sleep(1);
      }
      await Promise.all(paid);
    }),
  );
  const tookMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpuBefore);
  times.sort((one, other) => one - other);
  const at = (part: number): number => times[Math.floor(times.length * part)]!;
  const perSecond_ = (settled / tookMs) * 1000;
  return { settled, perSecond: perSecond_, p50: at(0.5), p99: at(0.99), cpuUs: (user + system) / settled };
}

interface MeasuredServer {
  readonly pid: number;
  /** What it has written to its log so far, in bytes. */
  written(): Promise<number>;
}

/** Processor time of a server and of all its processes, in ms. */
function cpuMs(server: MeasuredServer): number {
  const statOf = (pid: string): string[] => {
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
      return text.slice(text.lastIndexOf(')') + 2).split(' ');
    } catch {
      return [];
    }
  };
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(pid => [pid, statOf(pid)] as const)
    .filter(([pid, stat]) => Number(pid) === server.pid || Number(stat[1]) === server.pid)
    .reduce((sum, [, stat]) => sum + (Number(stat[11]) + Number(stat[12])) * TICK_MS, 0);
}

const seconds = Number(process.argv[2] ?? 3);
const HEAD = [
  'engine',
  'commit',
  'batch',
  'settled/s',
  'p50 ms',
  'p99 ms',
  'client µs',
  'server µs',
  'log bytes',
];
const lines: string[][] = [];

async function line(
  engine: string,
  commit: string,
  batching: Batching,
  stores: readonly Store[],
  perSecond?: number,
  server?: MeasuredServer,
): Promise<void> {
  const written = async () => (server === undefined ? 0 : server.written());
  const [cpuBefore, writtenBefore] = [server === undefined ? 0 : cpuMs(server), await written()];
  const { settled, ...figures } = await run(stores, batching, seconds, perSecond);
  const serverUs = server === undefined ? 0 : ((cpuMs(server) - cpuBefore) * 1000) / settled;
  const bytes = ((await written()) - writtenBefore) / settled;
  lines.push([
    ...[engine, commit, perSecond === undefined ? batching : `${batching}, ${perSecond}/s`],
    ...[number(figures.perSecond), figures.p50.toFixed(1), figures.p99.toFixed(1)],
    ...[
      number(figures.cpuUs),
      server === undefined ? '' : number(serverUs),
      server === undefined ? '' : number(bytes),
    ],
  ]);
}

/** Each way to make batches, and then the natural one at 1,000 payments a second. */
async function linesOf(
  engine: string,
  commit: string,
  stores: readonly Store[],
  server: MeasuredServer,
): Promise<void> {
  for (const batching of ['single', '100 or 10 ms', 'natural'] as const)
    await line(engine, commit, batching, stores, undefined, server);
  await line(engine, commit, 'natural', stores, PACED, server);
  for (const store of stores) await promised(reply => store.leave(reply));
}

const directory = mkdtempSync(join(tmpdir(), 'soquete-stores-'));
const embedded = await Promise.all(NAMES.map(name => openBenchStore(directory, name)));
await line('sqlite', 'kernel', 'natural', embedded);
await line('sqlite', 'kernel', 'natural', embedded, PACED);
for (const store of embedded) await promised(reply => store.leave(reply));
rmSync(directory, { recursive: true });

for (const binaries of installedPostgres()) {
  await using server = await PostgresServer.start({ binaries });
  const measured: MeasuredServer = {
    pid: server.pid,
    written: async () => Number((await server.query(`SELECT pg_current_wal_lsn() - '0/0' AS at`))[0]!['at']),
  };
  for (const ackAfter of ['commit', 'parse'] as const) {
    const url = parsePostgresUrl(server.url('postgres', `schema=${ackAfter}_`))!;
    const stores: PostgresStore[] = [];
    for (const application of NAMES)
      stores.push(await PostgresStore.open({ url, clock: systemClock, ackAfter, application }));
    const commit = ackAfter === 'commit' ? 'on' : 'off';
    const engine = `PostgreSQL ${binaries.version}`;
    await linesOf(engine, commit, stores, measured);
  }
}
for (const program of installedRedis()) {
  for (const appendfsync of ['everysec', 'always']) {
    await using server = await RedisServer.start({ program, settings: { appendonly: 'yes', appendfsync } });
    const measured: MeasuredServer = {
      pid: server.pid,
      written: async () =>
        Number(/aof_current_size:(\d+)/.exec(String(await server.ask('INFO', 'persistence')))![1]),
    };
    const url = parseRedisUrl(server.url())!;
    const stores: RedisStore[] = [];
    for (const application of NAMES)
      stores.push(await RedisStore.open({ url, clock: systemClock, ackAfter: 'commit', application }));
    await linesOf(program.name, appendfsync, stores, measured);
  }
}
console.log(table(HEAD, lines));
