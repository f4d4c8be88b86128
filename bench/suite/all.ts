/** What `npm run bench` knows. */
import { accept } from './accept.ts';
import type { Definition } from './benchmark.ts';
import { sockets } from './sockets.ts';

export const DEFINITIONS: readonly Definition[] = [sockets, accept];

/** Scripts beside bench.ts that measure one part alone. */
export const SCRIPTS: Readonly<Record<string, string>> = {
  parser: 'the HTTP and JSON parsers, in this process',
  'http-ceiling': 'the HTTP server alone',
  store: 'the store and the log alone',
  processors: 'the simulated processors alone',
};
