/** What the launcher takes from the environment: its own settings, and what each of its children is given. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** `http` and `tcp` are HAProxy's modes; `none` lets the kernel spread connections over the backends. */
export const PROXIES = ['http', 'tcp', 'none'] as const;
export type Proxy = (typeof PROXIES)[number];

export interface Settings {
  readonly port: number;
  /** Where HAProxy shows its statistics; undefined for nowhere. */
  readonly statsPort: number | undefined;
  readonly runDir: string;
  readonly proxy: Proxy;
  /** Where HAProxy is; undefined where it is not installed. */
  readonly haproxy: string | undefined;
  /** The ports of the processors to simulate, those left out that the environment names by URL. */
  readonly simulated: Readonly<Record<'default' | 'fallback', number | undefined>>;
}

/** A setting that cannot be used; the message is one line that says what to mend. */
export class Unusable extends Error {
  override name = 'Unusable';
}

export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const proxy = env['PROXY'] || 'http';
  if (!isProxy(proxy)) throw new Unusable(`PROXY takes http, tcp or none, not ${JSON.stringify(proxy)}`);
  const ports = {
    default: portIn(env, 'PROCESSOR_DEFAULT_PORT', 8001),
    fallback: portIn(env, 'PROCESSOR_FALLBACK_PORT', 8002),
  };
  return {
    port: portIn(env, 'PORT', 9999),
    // A second stack on another port is not to stumble over the statistics of the first.
    statsPort: env['STATS_PORT'] || !env['PORT'] ? portIn(env, 'STATS_PORT', 9998) : undefined,
    runDir: env['RUN_DIR'] || './run',
    proxy,
    haproxy: proxy === 'none' ? undefined : findProgram('haproxy', env['PATH']),
    simulated: {
      default: env['PROCESSOR_DEFAULT_URL'] ? undefined : ports.default,
      fallback: env['PROCESSOR_FALLBACK_URL'] ? undefined : ports.fallback,
    },
  };
}

function isProxy(text: string): text is Proxy {
  return (PROXIES as readonly string[]).includes(text);
}

function portIn(env: NodeJS.ProcessEnv, name: string, standard: number): number {
  const text = env[name];
  if (text === undefined || text === '') return standard;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) {
    throw new Unusable(`${name} takes a port from 1 to 65535, not ${JSON.stringify(text)}`);
  }
  return port;
}

/** An ordinary user's PATH on Debian lacks the folders where servers are installed. */
const SERVER_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];

export function findProgram(name: string, path = ''): string | undefined {
  for (const folder of [...path.split(delimiter).filter(Boolean), ...SERVER_FOLDERS]) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // Not here: look in the next folder.
    }
  }
  return undefined;
}
