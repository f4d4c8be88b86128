/** One page that is asked for as often as some connections can: by wrk, or by autocannon without it. */
import assert from 'node:assert/strict';
import autocannon from 'autocannon';
import { type ChildProcesses, program } from '../../src/testing/processes.ts';
import { PATIENCE_SECONDS } from './load.ts';

export interface HammerOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
}

/** Fails when an answer is not a success. */
export async function hammer(
  children: ChildProcesses,
  { url, connections, seconds }: HammerOptions,
): Promise<{ readonly count: number; readonly perSecond: number }> {
  // What is made once is not what is measured.
  await (await fetch(url)).arrayBuffer();
  // wrk takes no less than a second.
  if (seconds < 1 || program('wrk') === undefined) {
    const result = await autocannon({ url, connections, amount: connections * 8, timeout: PATIENCE_SECONDS });
    assert.equal(result.non2xx + result.errors, 0, `${url} was refused`);
    return { count: result['2xx'], perSecond: result['2xx'] / result.duration };
  }
  const child = children.spawn('wrk', 'wrk', ['-t1', `-c${connections}`, `-d${Math.round(seconds)}`, url]);
  await child.exited;
  const said = child.said();
  assert.doesNotMatch(said, /Non-2xx|connect [1-9]|read [1-9]|write [1-9]/, said);
  const count = Number(/(\d+) requests in/.exec(said)?.[1]);
  const perSecond = Number(/Requests\/sec: +([\d.]+)/.exec(said)?.[1]);
  assert.ok(count > 0 && perSecond > 0, said);
  return { count, perSecond };
}
