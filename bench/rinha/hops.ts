/** Where each payment was at which moment, from the client's write to the client's read, on one clock. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../../src/testing/until.ts';
import { quantile } from '../tools/statistics.ts';
import { table } from '../tools/table.ts';
import type { BackendHops } from './hops-preload.ts';

/** What a payment passes through; each ends where the next begins. */
const HOPS = [
  'to the backend: the kernel, HAProxy, a turn of the event loop',
  'in the backend: parsed, and in the log',
  'in the backend: from the log to the answer',
  'back: the kernel, HAProxy, the client',
] as const;
type Hops = readonly [number, number, number, number];

/** What a client knows of a payment: ms of the monotonic clock when it was written, and when answered. */
export interface ClientHop {
  readonly id: string;
  readonly sentMs: number;
  readonly answeredMs: number;
}

export interface FollowedHops extends Disposable {
  /** For the environment of the backends. */
  readonly env: NodeJS.ProcessEnv;
  /** Asks the backends, which must run still. */
  table(sent: readonly ClientHop[], backendPids: readonly number[]): Promise<string>;
}

export function followHops(): FollowedHops {
  const folder = mkdtempSync(join(tmpdir(), 'soquete-hops-'));
  const preload = fileURLToPath(new URL('hops-preload.ts', import.meta.url));
  return {
    env: { HOPS_DIR: folder, NODE_OPTIONS: `--import=${preload}` },
    async table(sent, backendPids) {
      for (const pid of backendPids) process.kill(pid, 'SIGUSR2');
      const noted = () => readdirSync(folder).filter(file => file.endsWith('.json'));
      await until(() => noted().length === backendPids.length, 'the notes of the backends');
      const read = (file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as BackendHops;
      return hopsTable(sent, noted().map(read));
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Of all, and of the slowest 1 %: how long each hop took, and of how many it was the longest. */
export function hopsTable(sent: readonly ClientHop[], backends: readonly BackendHops[]): string {
  const passed = new Map(
    backends.flatMap(({ payments, collections }) =>
      payments.map(payment => [payment[0], { payment, collections }] as const),
    ),
  );
  const followed = sent
    .flatMap(({ id, sentMs, answeredMs }) => {
      const there = passed.get(id);
      if (there === undefined) return [];
      const [, came, logged, left] = there.payment;
      const isCollected = there.collections.some(([from, to]) => from < answeredMs && to > sentMs);
      const hops: Hops = [came - sentMs, logged - came, left - logged, answeredMs - left];
      return [{ totalMs: answeredMs - sentMs, hops, isCollected }];
    })
    .sort((a, b) => a.totalMs - b.totalMs);
  if (followed.length === 0) return 'No payment was followed.';
  const slowest = followed.slice(-Math.ceil(followed.length / 100));
  const rows = HOPS.map((name, hop) => {
    const sorted = followed.map(({ hops }) => hops[hop]!).sort((a, b) => a - b);
    const slow = slowest.map(({ hops }) => hops[hop]!);
    const longest = slowest.filter(({ hops }) => hops[hop] === Math.max(...hops)).length;
    return [
      name,
      ...[0.5, 0.99].map(share => quantile(sorted, share).toFixed(2)),
      (slow.reduce((sum, ms) => sum + ms, 0) / slow.length).toFixed(2),
      `${((longest / slow.length) * 100).toFixed(0)} %`,
    ];
  });
  const collected = slowest.filter(({ isCollected }) => isCollected).length;
  return [
    table(['hop', 'p50, ms', 'p99, ms', 'slowest 1 %, mean', 'longest of the slowest'], rows),
    `${followed.length} of ${sent.length} payments followed; the slowest ${slowest.length} took ` +
      `${slowest[0]!.totalMs.toFixed(2)} ms or more; in ${collected} of them its backend collected garbage meanwhile`,
  ].join('\n');
}
