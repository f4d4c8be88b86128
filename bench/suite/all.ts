/** What `npm run bench` knows. */
import { accept } from './accept.ts';
import type { Definition } from './benchmark.ts';
import { cost } from './cost.ts';
import { faults } from './faults.ts';
import { growth } from './growth.ts';
import { history } from './history.ts';
import { httpCeiling, httpCeilingProxied } from './http-ceiling.ts';
import { memory } from './memory.ts';
import { counting, watching } from './observe.ts';
import { pages } from './pages.ts';
import { postgresHistory } from './postgres-history.ts';
import { refused } from './refused.ts';
import { settleBenchmark } from './settle.ts';
import { sockets } from './sockets.ts';
import { spike } from './spike.ts';
import { start } from './start.ts';
import { summary } from './summary.ts';

export const DEFINITIONS: readonly Definition[] = [
  sockets,
  accept,
  httpCeiling,
  httpCeilingProxied,
  settleBenchmark,
  summary,
  start,
  faults,
  refused,
  counting,
  watching,
  pages,
  spike,
  memory,
  growth,
  history,
  postgresHistory,
  cost,
];

/** Scripts beside bench.ts that measure one part alone, and about how long each takes. */
export const SCRIPTS: Readonly<Record<string, { readonly about: string; readonly seconds: number }>> = {
  parser: { about: 'the HTTP and JSON parsers, in this process', seconds: 20 },
  store: { about: 'the store and the log alone', seconds: 30 },
  stores: { about: 'the engines beside each other, by how they make batches', seconds: 60 },
  wire: { about: "the log's records against JSON and MessagePack, in this process", seconds: 20 },
  retention: { about: 'a month in half a minute: disk and memory with RETENTION_DAYS=3', seconds: 40 },
  backup: { about: 'payments a second, and what each costs, with backups and without', seconds: 150 },
  processors: { about: 'the simulated processors alone', seconds: 20 },
  rinha: {
    about: 'the challenge: 60 seconds of growing load, failing processors, audits, and a score',
    seconds: 65,
  },
};
