/**
 * What it costs to be watched: to count every request without sampling, and to have three dashboards open
 * while somebody scrapes /metrics.
 */

import { absentProcessors, stopBackends, storeDirectory } from '../../src/testing/backends.ts';
import { cpuMs } from '../tools/process-usage.ts';
import { startSoquete } from '../tools/soquete.ts';
import { benchmark, type Column, type Contender, type Definition } from './benchmark.ts';
import { directly, CEILING_COLUMNS as SERVER_COLUMNS } from './http-ceiling.ts';
import { CONNECTIONS, figuresOf, loadPhase } from './load-phase.ts';
import { assertStored } from './store-check.ts';

const COLUMNS: readonly Column[] = [
  { figure: 'perSecond', title: 'payments/s', ratio: true },
  { figure: 'cpu', title: 'CPU µs a payment', ratio: true, bars: true },
  { figure: 'p50', title: 'p50 ms' },
  { figure: 'p99', title: 'p99 ms' },
];

const DASHBOARDS = 3;
/** As often as an open page asks; Prometheus asks every 15 s by default. */
const EVERY_MS = 1000;

export const counting: Definition = {
  name: 'counting',
  about: 'the HTTP server alone, without and with counting each request and what it took',
  open: () =>
    benchmark(SERVER_COLUMNS, [directly('not counting', 'soquete'), directly('counting', 'counting')]),
};

export const watching: Definition = {
  name: 'watching',
  about: 'accepting, with nobody watching and with three dashboards and a scrape of /metrics a second',
  open: () =>
    benchmark(COLUMNS, [contender('nobody watches', 0), contender('three dashboards, metrics', DASHBOARDS)]),
};

function contender(name: string, dashboards: number): Contender {
  return {
    name,
    run: async ({ children, seconds }) => {
      const { url, backends } = await startSoquete(children, { processors: await absentProcessors() });
      const used = (): number => backends.reduce((sum, { pid }) => sum + cpuMs(pid) * 1000, 0);
      const before = used();
      const paths = dashboards === 0 ? [] : ['/metrics', ...Array(dashboards).fill('/dashboard.json')];
      const watchers = paths.map(path => watch(url, path));
      const phase = await loadPhase(children, url, seconds);
      const cpu = (used() - before) / phase.acceptedInAll;
      for (const stop of watchers) await stop();
      await stopBackends(backends);
      const stored = assertStored(storeDirectory(children), phase.acceptedInAll, CONNECTIONS);
      return { ...figuresOf(phase, stored), cpu };
    },
  };
}

/**
 * Asks for a page again and again, as the dashboard does for what is new. Returns what ends that; it throws
 * what went wrong.
 */
function watch(url: string, path: string): () => Promise<void> {
  let stopped = false;
  const asking = (async () => {
    for (let since = 0; !stopped; since = Date.now() - 3 * EVERY_MS) {
      const next = Promise.withResolvers<void>();
      setTimeout(next.resolve, EVERY_MS);
      const answer = await fetch(`${url}${path}${path === '/metrics' ? '' : `?since=${since}`}`);
      const text = await answer.text();
      if (answer.status !== 200 || text.length < 1000) throw new Error(`${path} answered ${answer.status}`);
      if (!stopped) await next.promise;
    }
  })();
  // Until it is asked for, a failure is not unhandled.
  asking.catch(() => {});
  return () => {
    stopped = true;
    return asking;
  };
}
