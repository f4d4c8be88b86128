/**
 * How long a summary over a random window takes by how many payments are settled, while payments flow. It
 * must not depend on how many.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'undici';
import { seededBelow } from '../../src/domain/random.ts';
import { windowQuery } from '../../src/processor-simulator/admin-client.ts';
import { simulatedProcessors } from '../../src/testing/backends.ts';
import type { Picture } from '../report/picture.ts';
import { startUsers } from '../rinha/users.ts';
import { startSoquete } from '../tools/soquete.ts';
import { latencyOf, Samples } from '../tools/statistics.ts';
import { benchmark, type Contender, type Definition, type Results } from './benchmark.ts';
import { Fillings } from './fill.ts';

const SIZES = { '10 thousand': 1e4, '100 thousand': 1e5, '1 million': 1e6, '10 million': 1e7 } as const;

/** Until V8 has compiled what is hot. */
const WARM_UP_SECONDS = 0.5;

/** Together 500 payments a second. */
const FLOW = { users: 50, thinkMs: 100 } as const;

export const summary: Definition = {
  name: 'summary',
  about: 'a summary over a random window, by payments settled, while 500 a second come in',
  open: ({ small, large }) => {
    const fillings = new Fillings();
    const sizes = Object.entries(SIZES).slice(0, small ? 1 : large ? 4 : 3);
    const contenders = sizes.map(([name, payments]) => asking(`${name} settled`, payments, fillings));
    const columns = [
      { figure: 'p50', title: 'p50 ms' },
      { figure: 'p99', title: 'p99 ms', ratio: true },
      { figure: 'max', title: 'max ms' },
    ] as const;
    return benchmark(columns, contenders, {
      dispose: () => fillings.dispose(),
      pictures: results => [bySize(results)],
    });
  },
};

function asking(name: string, payments: number, fillings: Fillings): Contender {
  return {
    name,
    run: async ({ number, children, seconds, tell }) => {
      const filled = await fillings.of(payments, tell);
      const processors = await simulatedProcessors(children);
      const { url, port } = await startSoquete(children, {
        processors,
        storeDirectory: filled.directory,
      });
      const flow = startUsers({
        host: '127.0.0.1',
        port,
        ...FLOW,
        durationMs: (WARM_UP_SECONDS + seconds) * 1000,
        rampMs: 100,
        cents: 1990,
      });
      await sleep(WARM_UP_SECONDS * 1000);
      const next = seededBelow(number);
      const samples = new Samples();
      const client = new Client(url);
      const ask = async (query: string): Promise<number> => {
        const { statusCode, body } = await client.request({
          method: 'GET',
          path: `/payments-summary${query}`,
        });
        assert.equal(statusCode, 200);
        const sums = (await body.json()) as Record<'default' | 'fallback', { totalRequests: number }>;
        return sums.default.totalRequests + sums.fallback.totalRequests;
      };
      const endAt = performance.now() + seconds * 1000;
      while (performance.now() < endAt) {
        const fromMs = filled.firstMs + next(payments);
        const toMs = fromMs + next(filled.lastMs - fromMs);
        const askedAt = performance.now();
        const count = await ask(windowQuery({ fromMs, toMs }));
        samples.add(performance.now() - askedAt);
        assert.equal(count, toMs - fromMs + (toMs < filled.lastMs ? 1 : 0), 'a summary is wrong');
      }
      await flow.done;
      assert.ok((await ask('')) >= payments);
      await client.close();
      return { ...latencyOf(samples), perSecond: samples.count / seconds, payments, work: samples.count };
    },
  };
}

const bySize = (results: Results): Picture => ({
  title: 'by settled payments',
  x: { title: 'payments settled', logarithmic: true },
  y: { title: 'ms', logarithmic: true },
  lines: (['p50', 'p99', 'max'] as const).map(figure => ({
    title: figure,
    points: Object.values(results).map(of => [of['payments']!.median, of[figure]!.median]),
  })),
});
