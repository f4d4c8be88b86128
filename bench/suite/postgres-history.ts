/**
 * What a long history costs where the store is PostgreSQL: a stack that starts on it, then summaries of
 * random windows and old ids, while 500 payments a second come in. Nothing of the history is in memory when
 * the database starts.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Client } from 'undici';
import { seededBelow } from '../../src/domain/random.ts';
import { windowQuery } from '../../src/processor-simulator/admin-client.ts';
import type { ResultRow } from '../../src/storage/postgres/connection.ts';
import { type ReadFunction, summaryIn } from '../../src/storage/postgres/reading.ts';
import { callOf } from '../../src/storage/postgres/statements.ts';
import { installedPostgres, PostgresServer } from '../../src/testing/postgres-server.ts';
import { launchStack } from '../../src/testing/stack.ts';
import { startUsers } from '../rinha/users.ts';
import { cpuMs } from '../tools/process-usage.ts';
import { latencyOf, median, Samples } from '../tools/statistics.ts';
import { benchmark, type Contender, type Definition, type Measurements, type Round } from './benchmark.ts';
import {
  AFTER_FILLING,
  fillPostgres,
  OLD_CENTS,
  OLD_PER_MS,
  oldId,
  type PostgresHistory,
  WHILE_FILLED,
} from './long-postgres-history.ts';
import { firstAcceptedMs } from './start.ts';

/** Together 500 payments a second. */
const FLOW = { users: 50, thinkMs: 100, cents: OLD_CENTS } as const;
/** Until V8 and the server have what they always need. */
const WARM_UP_SECONDS = 1;
const FORGOTTEN_BYTES_MIN = 1e6;
/** So many windows, asked for without a payment in between. */
const COSTED = 200;

const COLUMNS = [
  { figure: 'first', title: 'ms to the first 202', ratio: true },
  { figure: 'p50', title: 'summary p50 ms' },
  { figure: 'p99', title: 'p99 ms' },
  { figure: 'max', title: 'max ms' },
  { figure: 'oldP50', title: 'old id p50 ms' },
  { figure: 'oldP99', title: 'p99 ms' },
  { figure: 'newP50', title: '202 p50 ms' },
  { figure: 'newP99', title: 'p99 ms' },
  { figure: 'pages', title: 'pages a summary' },
  { figure: 'serverMs', title: 'server CPU ms', mayBeZero: true },
  { figure: 'bytes', title: 'bytes stored a payment' },
] as const;

export const postgresHistory: Definition = {
  name: 'postgres-history',
  about:
    'a long history in PostgreSQL (the oldest there is): summaries and old ids, while 500 a second come in',
  open: ({ small, large, keep }) => {
    const sizes = small ? [1e4] : large ? [1e5, 1e7, 1e8] : [1e5, 1e6];
    const fillings = new Map<number, Promise<Filled>>();
    const stored = (payments: number): Contender => ({
      name: `${payments.toLocaleString('en-US')} stored`,
      run: async round => {
        const filled = fillings.get(payments) ?? fill(payments, round.tell, keep);
        fillings.set(payments, filled);
        return asked(round, await filled, payments);
      },
    });
    return benchmark(COLUMNS, sizes.map(stored), {
      dispose: async () => {
        for (const filled of fillings.values()) await (await filled).server[Symbol.asyncDispose]();
      },
    });
  },
};

interface Filled {
  readonly server: PostgresServer;
  readonly history: PostgresHistory;
}

/** With `keep` in a folder there, which has what the history is beside the data once it is whole. */
async function fill(payments: number, tell: Round['tell'], keep?: string): Promise<Filled> {
  const binaries = installedPostgres().at(-1);
  assert.ok(binaries, 'PostgreSQL for tests is not installed: npm install');
  if (keep === undefined) {
    const server = await PostgresServer.start({ binaries, settings: WHILE_FILLED });
    return { server, history: await fillPostgres(server, payments, tell) };
  }
  const folder = resolve(keep, `postgres-${binaries.version}-${payments}`);
  const kept = join(folder, 'history.json');
  if (existsSync(kept)) {
    const server = await PostgresServer.start({ binaries, folder, settings: AFTER_FILLING });
    return { server, history: JSON.parse(readFileSync(kept, 'utf8')) as PostgresHistory };
  }
  rmSync(join(folder, 'data'), { recursive: true, force: true });
  const server = await PostgresServer.start({ binaries, folder, settings: WHILE_FILLED });
  const history = await fillPostgres(server, payments, tell);
  // Nothing of it waited for the disk so far.
  await server.stop();
  spawnSync('sync', ['-f', folder]);
  writeFileSync(kept, JSON.stringify(history));
  return { server, history };
}

async function asked(
  { number, seconds }: Round,
  { server, history: { firstMs, lastMs, bytes } }: Filled,
  payments: number,
): Promise<Measurements> {
  await server.stop();
  forget(server.data);
  await server.launch(AFTER_FILLING);
  await using stack = await launchStack({ env: { STORE_URL: server.url(), LOG_LEVEL: 'info' } });
  const where = { host: '127.0.0.1', port: stack.port };
  const first = await firstAcceptedMs(where, stack.launcher.startedAtMs);
  const durationMs = (WARM_UP_SECONDS + seconds) * 1000;
  const flow = startUsers({ ...where, ...FLOW, durationMs, rampMs: 100 });
  await sleep(WARM_UP_SECONDS * 1000);
  const [summaries, oldOnes] = [new Samples(), new Samples()];
  const client = new Client(stack.url);
  const timed = async (samples: Samples, method: 'GET' | 'POST', path: string, body?: string) => {
    const askedAt = performance.now();
    const answer = await client.request({ method, path, body: body ?? null });
    const text = await answer.body.text();
    samples.add(performance.now() - askedAt);
    return { status: answer.statusCode, text };
  };
  const next = seededBelow(1 + number);
  const windows: [number, number][] = [];
  const endAt = performance.now() + seconds * 1000;
  while (performance.now() < endAt) {
    const fromMs = firstMs + next(lastMs - firstMs);
    const toMs = fromMs + next(lastMs - fromMs);
    windows.push([fromMs, toMs]);
    const { text } = await timed(summaries, 'GET', `/payments-summary${windowQuery({ fromMs, toMs })}`);
    assert.deepEqual(JSON.parse(text), sumsOf(toMs - fromMs + 1), 'a summary is wrong');
    const old = 1 + next(payments);
    const correlationId = oldId(old);
    const shown = JSON.parse((await timed(oldOnes, 'GET', `/payments/${correlationId}`)).text);
    const requestedAt = new Date(firstMs + Math.floor((old - 1) / OLD_PER_MS)).toISOString();
    const processor = old % OLD_PER_MS === 0 ? 'fallback' : 'default';
    assert.deepEqual(
      [shown.status, shown.requestedAt, shown.processor, shown.amount],
      ['settled', requestedAt, processor, OLD_CENTS / 100],
      'an old payment is wrong',
    );
    for (const [cents, status] of [
      [OLD_CENTS, 202],
      [OLD_CENTS + 1, 409],
    ] as const) {
      const body = JSON.stringify({ correlationId, amount: cents / 100 });
      assert.equal((await timed(oldOnes, 'POST', '/payments', body)).status, status);
    }
  }
  await flow.done;
  await client.close();
  const [old, fresh] = [latencyOf(oldOnes), latencyOf(flow.latencyMs)];
  return {
    first,
    ...latencyOf(summaries),
    ...{ oldP50: old.p50, oldP99: old.p99, newP50: fresh.p50, newP99: fresh.p99 },
    ...(await costOf(server, windows)),
    bytes: bytes / payments,
    work: flow.accepted,
  };
}

/** What the server has to do for a summary of these windows, whatever else the machine does. */
async function costOf(server: PostgresServer, windows: readonly (readonly [number, number])[]) {
  const client = new pg.Client({ connectionString: server.url() });
  await client.connect();
  const ask = async (text: string, values: readonly unknown[] = []): Promise<ResultRow[]> =>
    (await client.query<Record<string, unknown>>({ text, values: [...values] })).rows;
  try {
    const pages: number[] = [];
    const explained: ReadFunction = async (name, values, types) => {
      const { text } = callOf('soquete', name, values, types, 'SELECT * FROM');
      const [row] = await ask(`EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`, values);
      const [{ Plan: plan }] = row!['QUERY PLAN'] as [{ Plan: Record<string, number> }];
      pages.push(plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!);
      return [];
    };
    const sample = windows.slice(0, COSTED);
    for (const [fromMs, toMs] of sample) await summaryIn(explained, fromMs, toMs);
    const [{ pid } = { pid: 0 }] = await ask('SELECT pg_backend_pid() AS pid');
    const before = cpuMs(Number(pid));
    const plain: ReadFunction = (name, values, types) =>
      ask(callOf('soquete', name, values, types, 'SELECT * FROM').text, values);
    for (const [fromMs, toMs] of sample) await summaryIn(plain, fromMs, toMs);
    return { pages: median(pages), serverMs: (cpuMs(Number(pid)) - before) / sample.length };
  } finally {
    await client.end();
  }
}

/** What a summary over so many milliseconds of the history has to say. */
function sumsOf(milliseconds: number) {
  const [onFallback, onDefault] = [milliseconds, milliseconds * (OLD_PER_MS - 1)];
  const sums = (count: number) => ({ totalRequests: count, totalAmount: (count * OLD_CENTS) / 100 });
  return { default: sums(onDefault), fallback: sums(onFallback) };
}

/** Has the kernel let go of the files; those of the catalogue are a thousand small ones. */
function forget(directory: string): void {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    if (!entry.isFile() || statSync(file).size < FORGOTTEN_BYTES_MIN) continue;
    spawnSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
  }
}
