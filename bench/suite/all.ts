/** What `npm run bench` knows. */
import { accept } from './accept.ts';
import type { Definition } from './benchmark.ts';
import { cost } from './cost.ts';
import { faults } from './faults.ts';
import { memory } from './memory.ts';
import { settle } from './settle.ts';
import { sockets } from './sockets.ts';
import { spike } from './spike.ts';
import { start } from './start.ts';
import { summary } from './summary.ts';

export const DEFINITIONS: readonly Definition[] = [
  sockets,
  accept,
  settle,
  summary,
  start,
  faults,
  spike,
  memory,
  cost,
];

/** Scripts beside bench.ts that measure one part alone. */
export const SCRIPTS: Readonly<Record<string, string>> = {
  parser: 'the HTTP and JSON parsers, in this process',
  'http-ceiling': 'the HTTP server alone',
  store: 'the store and the log alone',
  processors: 'the simulated processors alone',
  rinha: 'the challenge: 60 seconds of growing load, failing processors, audits, and a score',
};
