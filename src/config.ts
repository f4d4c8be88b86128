/**
 * The environment of a backend, read once: one frozen Config, or one line that names the variable and what
 * it takes.
 */
import type { AckAfter } from './payments/acceptance.ts';

export type Listen =
  | { readonly is: 'unix'; readonly path: string }
  | { readonly is: 'tcp'; readonly host: string; readonly port: number };

export interface Config {
  readonly instance: string;
  readonly listen: Listen;
  readonly processorUrls: readonly [string, string];
  /** The directory of the embedded store and of the logs. */
  readonly storeDirectory: string;
  readonly ackAfter: AckAfter;
  readonly queueCapacity: number;
  readonly workerConcurrency: number;
  readonly defaultAttempts: number;
  readonly attemptTimeoutMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  readonly fallbackAfterMs: number;
  readonly allowPurge: boolean;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** For the processors' own sums, which are compared with ours where it is given. */
  readonly adminToken: string | undefined;
  /**
   * Payments requested before are left out of the comparison: a simulated processor begins with empty books.
   */
  readonly auditFromMs: number;
  /** Whether the dashboard may break the processors: only for simulated ones. */
  readonly processorControls: boolean;
}

/** A value that cannot be used; the message is the line to print. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads a backend's configuration. Throws `ConfigError`. An empty value counts as unset. */
export function readConfig(environment: Environment): Config {
  const read = <T>(
    name: string,
    fallback: string,
    takes: string,
    parse: (text: string) => T | undefined,
  ): T => {
    const text = environment[name] || fallback;
    const value = parse(text);
    if (value === undefined) throw new ConfigError(`${name}=${text} cannot be used: it takes ${takes}`);
    return value;
  };
  const whole = (name: string, fallback: number, min: number, max: number, unit: string): number =>
    read(name, String(fallback), `a whole number of ${unit} from ${min} to ${max}`, text => {
      const value = Number(text);
      return /^\d{1,15}$/.test(text) && value >= min && value <= max ? value : undefined;
    });
  const oneOf = <T extends string>(name: string, fallback: T, values: readonly T[]): T =>
    read(name, fallback, values.join(', '), text => values.find(value => value === text));
  const flag = (name: string): boolean =>
    read(name, '0', '1 or 0', text => (text === '0' || text === '1' ? text === '1' : undefined));

  const config: Config = {
    instance: read('INSTANCE', 'backend-1', '1 to 64 letters, digits, dots, dashes or underscores', text =>
      /^[A-Za-z0-9._-]{1,64}$/.test(text) ? text : undefined,
    ),
    listen: read('LISTEN', 'unix:./run/backend-1.sock', 'unix:/path.sock or tcp:host:port', parseListen),
    processorUrls: [
      read('PROCESSOR_DEFAULT_URL', 'http://payment-processor-default:8080', HTTP_URL, parseUrl),
      read('PROCESSOR_FALLBACK_URL', 'http://payment-processor-fallback:8080', HTTP_URL, parseUrl),
    ],
    storeDirectory: read('STORE_URL', 'sqlite:./data', 'sqlite:DIR', parseStore),
    ackAfter: oneOf('ACK_AFTER', 'commit', ['parse', 'commit', 'flush']),
    queueCapacity: whole('QUEUE_CAPACITY', 262_144, 16, 2 ** 24, 'payments'),
    workerConcurrency: whole('WORKER_CONCURRENCY', 64, 1, 1024, 'attempts'),
    defaultAttempts: whole('DEFAULT_ATTEMPTS', 5, 1, 1000, 'attempts'),
    attemptTimeoutMs: whole('ATTEMPT_TIMEOUT_MS', 10_000, 1, 600_000, 'milliseconds'),
    backoffMinMs: whole('BACKOFF_MIN_MS', 100, 1, 600_000, 'milliseconds'),
    backoffMaxMs: whole('BACKOFF_MAX_MS', 2000, 1, 600_000, 'milliseconds'),
    fallbackAfterMs: whole('FALLBACK_AFTER_MS', 30_000, 0, 2 ** 31 - 1, 'milliseconds'),
    allowPurge: flag('ALLOW_PURGE'),
    logLevel: oneOf('LOG_LEVEL', 'info', ['debug', 'info', 'warn', 'error']),
    adminToken: environment['PROCESSOR_ADMIN_TOKEN'] || undefined,
    auditFromMs: read(
      'AUDIT_FROM',
      '1970-01-01T00:00:00Z',
      'an instant such as 2026-07-10T12:34:56Z',
      text => {
        const ms = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN;
        return Number.isNaN(ms) ? undefined : ms;
      },
    ),
    processorControls: flag('PROCESSOR_CONTROLS'),
  };
  if (config.backoffMinMs > config.backoffMaxMs) {
    throw new ConfigError(
      `BACKOFF_MIN_MS=${config.backoffMinMs} cannot be used: it takes at most BACKOFF_MAX_MS (${config.backoffMaxMs})`,
    );
  }
  return Object.freeze(config);
}

export const HTTP_URL = 'an http:// or https:// address';

/** The text, if it is such an address. */
export function parseUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { protocol } = new URL(text);
  return protocol === 'http:' || protocol === 'https:' ? text : undefined;
}

/** The longest path of a Unix socket on Linux, without the NUL that ends it. */
const SOCKET_PATH_BYTES_MAX = 107;

function parseListen(text: string): Listen | undefined {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    return path !== '' && Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX ? { is: 'unix', path } : undefined;
  }
  const parts = /^tcp:(?<host>\[[0-9a-fA-F:]+\]|[^:\s]+):(?<port>\d{1,5})$/.exec(text)?.groups;
  if (parts === undefined) return undefined;
  const port = Number(parts['port']);
  return port <= 65_535 ? { is: 'tcp', host: parts['host']!.replace(/^\[|\]$/g, ''), port } : undefined;
}

function parseStore(text: string): string | undefined {
  return text.startsWith('sqlite:') && text.length > 'sqlite:'.length
    ? text.slice('sqlite:'.length)
    : undefined;
}
