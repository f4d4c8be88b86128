/**
 * As many payments as a number of connections can carry, each with an id of its own.
 *
 * wrk where it is installed: it needs a tenth of the processor that autocannon needs, so it measures the
 * server and not itself. Autocannon everywhere else, and beside it to show the difference.
 */
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { type ChildProcesses, program } from '../../src/testing/processes.ts';

export interface LoadResult {
  /** Answers 202 a second. */
  readonly perSecond: number;
  readonly accepted: number;
  /** Answers other than 202, and requests without one. */
  readonly refused: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export type Generator = 'wrk' | 'autocannon';

export const bestGenerator = (): Generator => (program('wrk') !== undefined ? 'wrk' : 'autocannon');

/** wrk takes no less; a shorter load is some payments on each connection, however long that takes: a test. */
const SHORTEST_SECONDS = 1;
const SHORT_PAYMENTS = 8;
/** For an answer: where the machine is busy, each of many connections may wait for long. */
export const PATIENCE_SECONDS = 90;

export interface LoadOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly generator?: Generator;
}

export function load(children: ChildProcesses, options: LoadOptions): Promise<LoadResult> {
  const isShort = options.seconds < SHORTEST_SECONDS;
  return isShort || (options.generator ?? bestGenerator()) === 'autocannon'
    ? cannon(options)
    : wrk(children, options);
}

const script = fileURLToPath(new URL('payments.lua', import.meta.url));

async function wrk(
  children: ChildProcesses,
  { url, connections, seconds }: LoadOptions,
): Promise<LoadResult> {
  const args = ['-t1', `-c${connections}`, `-d${Math.round(seconds)}`, '-s', script];
  const child = children.spawn('wrk', 'wrk', [...args, `${url}/payments`, '--', String(randomInt(2 ** 32))]);
  await child.exited;
  const json = /JSON(\{.*\})/.exec(child.said())?.[1];
  if (json === undefined) throw new Error(`wrk said nothing of use:\n${child.said()}`);
  const result = JSON.parse(json) as Omit<LoadResult, 'accepted' | 'perSecond'> & {
    requests: number;
    seconds: number;
  };
  const accepted = result.requests - result.refused;
  return { ...result, accepted, perSecond: accepted / result.seconds };
}

async function cannon({ url, connections, seconds }: LoadOptions): Promise<LoadResult> {
  const run = randomInt(2 ** 32)
    .toString(16)
    .padStart(8, '0');
  let count = 0;
  const body = (): string => {
    const number = (count++).toString(16).padStart(12, '0');
    return `{"correlationId":"${run}-0000-4000-8000-${number}","amount":19.90}`;
  };
  const result = await autocannon({
    url: `${url}/payments`,
    connections,
    ...(seconds < SHORTEST_SECONDS ? { amount: connections * SHORT_PAYMENTS } : { duration: seconds }),
    timeout: PATIENCE_SECONDS,
    sampleInt: 100,
    requests: [
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        setupRequest: request => ({ ...request, body: body() }),
      },
    ],
  });
  return {
    perSecond: result['2xx'] / result.duration,
    accepted: result['2xx'],
    refused: result.non2xx,
    failed: result.errors + result.timeouts,
    p50: result.latency.p50,
    p99: result.latency.p99,
    p999: result.latency.p99_9,
    max: result.latency.max,
  };
}
