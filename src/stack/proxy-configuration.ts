/** HAProxy's configuration for the backends that there are. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { PROJECT_FOLDER } from './project.ts';
import { BACKENDS_SHIPPED, type Settings } from './settings.ts';

/** A line of a server, once for each backend; what it tracks has the same name. */
const SERVER = /^\s*server backend-\d+\b/;
const FIRST = /backend-1\b/g;

/**
 * The path of the configuration: the one in `haproxy/` names three backends, and for another number a copy of
 * it is written to the folder of the sockets.
 */
export function proxyConfiguration({ proxy, backends, runDir }: Settings): string {
  const shipped = join(PROJECT_FOLDER, 'haproxy', proxy === 'tcp' ? 'tcp.cfg' : 'haproxy.cfg');
  if (backends.length === BACKENDS_SHIPPED) return shipped;
  const own = resolve(runDir, 'haproxy.cfg');
  writeFileSync(own, serversFor(readFileSync(shipped, 'utf8'), backends));
  return own;
}

/** A configuration with the lines of its first server for each of `backends`, in place of the others. */
export function serversFor(configuration: string, backends: readonly string[]): string {
  return configuration
    .split('\n')
    .flatMap(line => {
      if (!SERVER.test(line)) return line;
      if (line.search(FIRST) < 0) return [];
      return backends.map(name => line.replaceAll(FIRST, name));
    })
    .join('\n');
}
