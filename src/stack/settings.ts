/** What the launcher takes from the environment: its own settings, and what each of its children is given. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { environmentReader } from '../settings/environment.ts';
import { oneOf, portNumber, someText } from '../settings/grammar.ts';

export interface Settings {
  readonly port: number;
  /** Where HAProxy shows its statistics; undefined for nowhere. */
  readonly statsPort: number | undefined;
  readonly runDir: string;
  /** `http` and `tcp` are HAProxy's modes; `none` lets the kernel spread connections over the backends. */
  readonly proxy: 'http' | 'tcp' | 'none';
  /** Where HAProxy is; undefined where it is not installed. */
  readonly haproxy: string | undefined;
  /** The ports of the processors to simulate, those left out that the environment names by URL. */
  readonly simulated: Readonly<Record<'default' | 'fallback', number | undefined>>;
}

/** Throws `UnusableSetting`. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const read = environmentReader(
    env,
    (name, text, takes) => `${name} takes ${takes}, not ${JSON.stringify(text)}`,
  );
  const proxy = read('PROXY', 'http', { ...oneOf('http', 'tcp', 'none'), takes: 'http, tcp or none' });
  const port = read('PORT', undefined, portNumber(1));
  const ports = {
    default: read('PROCESSOR_DEFAULT_PORT', 8001, portNumber(1)),
    fallback: read('PROCESSOR_FALLBACK_PORT', 8002, portNumber(1)),
  };
  return {
    port: port ?? 9999,
    // A second stack on another port is not to stumble over the statistics of the first.
    statsPort: read('STATS_PORT', port === undefined ? 9998 : undefined, portNumber(1)),
    runDir: read('RUN_DIR', './run', someText('a folder')),
    proxy,
    haproxy: proxy === 'none' ? undefined : findProgram('haproxy', env['PATH']),
    simulated: {
      default: env['PROCESSOR_DEFAULT_URL'] ? undefined : ports.default,
      fallback: env['PROCESSOR_FALLBACK_URL'] ? undefined : ports.fallback,
    },
  };
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
