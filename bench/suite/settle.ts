/**
 * Payments accepted and settled per second, from the first request to the last settlement, against what
 * undici alone can post to the same processors: that does no more than the last step.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { AdminClient } from '../../src/processor-simulator/admin-client.ts';
import { simulatedProcessors } from '../../src/testing/backends.ts';
import { until } from '../../src/testing/until.ts';
import { load } from '../tools/load.ts';
import { startSoquete } from '../tools/soquete.ts';
import { benchmark, type Contender, type Definition } from './benchmark.ts';
import { CONNECTIONS } from './load-phase.ts';

export const settleBenchmark: Definition = {
  name: 'settle',
  about: 'payments accepted and settled per second, end to end',
  open: ({ small }) => {
    const contenders = [undiciAlone(1), soquete, undiciAlone(3)];
    const columns = [
      { figure: 'perSecond', title: 'settled/s', ratio: true },
      { figure: 'acceptedPerSecond', title: 'accepted/s' },
    ] as const;
    return benchmark(columns, small ? contenders.slice(0, 2) : contenders);
  },
};

/** All of a burst have to be settled within this. */
const PATIENCE_MS = 120_000;

const soquete: Contender = {
  name: 'soquete, three backends',
  run: async ({ children, seconds }) => {
    const processors = await simulatedProcessors(children);
    const { url } = await startSoquete(children, { processors });
    const options = { url, connections: CONNECTIONS };
    const warmUp = await load(children, { ...options, seconds: Math.min(seconds, 1) });
    await settled(processors.urls, warmUp.accepted);
    const before = await recorded(processors.urls);
    const startedAt = performance.now();
    const result = await load(children, { ...options, seconds });
    assert.equal(result.refused + result.failed, 0);
    await settled(processors.urls, before + result.accepted);
    const tookSeconds = (performance.now() - startedAt) / 1000;
    return {
      perSecond: result.accepted / tookSeconds,
      acceptedPerSecond: result.perSecond,
      work: (await recorded(processors.urls)) - before,
    };
  },
};

const poster = fileURLToPath(new URL('undici-poster.ts', import.meta.url));

function undiciAlone(processes: number): Contender {
  return {
    name: processes === 1 ? 'undici alone' : `undici alone, ${processes} processes`,
    run: async ({ children, seconds }) => {
      const { urls } = await simulatedProcessors(children);
      const connections = String(Math.ceil(CONNECTIONS / processes));
      const posters = Array.from({ length: processes }, () =>
        children.spawn('poster', process.execPath, [poster, urls[0], String(seconds), connections]),
      );
      await Promise.all(posters.map(({ exited }) => exited));
      const reports = posters.map(child => {
        const json = /JSON(\{.*\})/.exec(child.said())?.[1];
        assert.ok(json !== undefined, child.said());
        return JSON.parse(json) as { processed: number; seconds: number };
      });
      const processed = reports.reduce((sum, one) => sum + one.processed, 0);
      assert.equal(await recorded(urls), processed);
      return { perSecond: processed / Math.max(...reports.map(one => one.seconds)), work: processed };
    },
  };
}

const settled = (urls: readonly string[], payments: number): Promise<void> =>
  until(async () => (await recorded(urls)) >= payments, 'all payments to be settled', PATIENCE_MS);

/** How many payments the processors have, together. */
async function recorded(urls: readonly string[]): Promise<number> {
  const counts = await Promise.all(
    urls.map(async url => {
      await using admin = new AdminClient(url);
      return (await admin.summary()).count;
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
