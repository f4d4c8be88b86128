/**
 * What several benchmarks do: start constant servers behind HAProxy, drive a load, and check what came of it.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ChildProcesses, listening } from '../../src/testing/processes.ts';
import { type Generator, type LoadResult, load } from '../tools/load.ts';
import { balancedUrl } from '../tools/proxy.ts';
import type { Measurements } from './benchmark.ts';

export const CONNECTIONS = 64;
/** Long enough for V8 to have compiled what is hot. */
const WARM_UP_SECONDS = 1;

/** Three servers without any work to do, behind HAProxy on Unix sockets; the URL to load. */
export async function constantServers(children: ChildProcesses, kind: 'raw' | 'node:http'): Promise<string> {
  const script = fileURLToPath(new URL('constant.ts', import.meta.url));
  const paths = [1, 2, 3].map(number => join(children.directory, `constant-${number}.sock`));
  await Promise.all(
    paths.map(path =>
      listening(children.spawn('constant server', process.execPath, [script, kind, path]), {
        socketPath: path,
      }),
    ),
  );
  return await balancedUrl(children, paths);
}

export interface LoadPhase extends LoadResult {
  /** With those of the warm-up. */
  readonly acceptedInAll: number;
}

/** Warms up, then measures. Whatever is not a 202 is a failure of the benchmark. */
export async function loadPhase(
  children: ChildProcesses,
  url: string,
  seconds: number,
  { connections = CONNECTIONS, generator }: { connections?: number; generator?: Generator } = {},
): Promise<LoadPhase> {
  const options = { url, connections, ...(generator === undefined ? {} : { generator }) };
  const warmUp = await load(children, { ...options, seconds: Math.min(seconds, WARM_UP_SECONDS) });
  const result = await load(children, { ...options, seconds });
  for (const { accepted, refused, failed } of [warmUp, result]) {
    assert.ok(accepted > 0, 'nothing was accepted');
    assert.equal(refused + failed, 0, 'some requests were not answered with 202');
  }
  return { ...result, acceptedInAll: warmUp.accepted + result.accepted };
}

/** `work` as it was counted by somebody else than the generator, if it was. */
export const figuresOf = (
  { accepted, perSecond, p50, p99, p999, max }: LoadResult,
  work = accepted,
): Measurements => ({ perSecond, p50, p99, p999, max, work });

export const LOAD_COLUMNS = [
  { figure: 'perSecond', title: 'payments/s', ratio: true },
  { figure: 'p50', title: 'p50 ms' },
  { figure: 'p99', title: 'p99 ms' },
] as const;
