/**
 * The environment of a backend, read once: one frozen Config, or one line that names the variable and what
 * it takes.
 */
import { REFUSAL_STATUSES } from '../domain/outcome.ts';
import { POSTGRES_URL_TAKES, type PostgresUrl, parsePostgresUrl } from '../storage/postgres/url.ts';
import { parseRedisUrl, REDIS_URL_TAKES, type RedisUrl } from '../storage/redis/url.ts';
import { type Environment, environmentReader } from './environment.ts';
import {
  decimalNumber,
  instantMs,
  oneOf,
  processorAddress,
  type SettingReader,
  someText,
  UnusableSetting,
  wholeNumber,
  zeroOrOne,
} from './grammar.ts';
import { hostNames, networks, PRIVATE_NETWORKS, readToken } from './networks.ts';
import { refusalStatuses } from './refusal-statuses.ts';
import { readArchiveDirectory, readRetention } from './retention.ts';

/** What has to have happened before a payment is acknowledged. */
export type AckAfter = 'parse' | 'commit' | 'flush';

export type Config = ReturnType<typeof readConfig>;

export type Listen =
  | { readonly is: 'unix'; readonly path: string }
  | { readonly is: 'tcp'; readonly host: string; readonly port: number };

/** The directory of the embedded store and of its log, or a database. */
export type StoreSetting =
  | { readonly is: 'sqlite'; readonly directory: string }
  | { readonly is: 'postgres'; readonly url: PostgresUrl }
  | { readonly is: 'redis'; readonly url: RedisUrl };

const STANDARD_STORE: StoreSetting = { is: 'sqlite', directory: './data' };
const STANDARD_LISTEN: Listen = { is: 'unix', path: './run/backend-1.sock' };

/** Reads a backend's configuration. Throws `UnusableSetting`. An empty value counts as unset. */
export function readConfig(environment: Environment) {
  const read = environmentReader(environment);
  const milliseconds = (min: number, max: number) => wholeNumber(min, max, 'milliseconds');
  const config = {
    instance: read('INSTANCE', 'backend-1', instanceName),
    listen: read('LISTEN', STANDARD_LISTEN, listen),
    processorUrls: [
      read('PROCESSOR_DEFAULT_URL', 'http://payment-processor-default:8080', processorAddress),
      read('PROCESSOR_FALLBACK_URL', 'http://payment-processor-fallback:8080', processorAddress),
    ] as const,
    store: readStoreSetting(environment),
    ackAfter: read('ACK_AFTER', 'commit', oneOf('parse', 'commit', 'flush')),
    queueCapacity: read('QUEUE_CAPACITY', 262_144, wholeNumber(16, 2 ** 24, 'payments')),
    /** Of the store's disk, for what is accepted; undefined: by its size; 0: nothing is kept free. */
    diskReserveMb: read('DISK_RESERVE_MB', undefined, wholeNumber(0, 2 ** 20, 'MiB')),
    /** 3 × 128 leave most of the 800 that a processor takes to others, and to backends that are replaced. */
    workerConcurrency: read('WORKER_CONCURRENCY', 128, wholeNumber(1, 1024, 'attempts')),
    defaultAttempts: read('DEFAULT_ATTEMPTS', 5, wholeNumber(1, 1000, 'attempts')),
    attemptTimeoutMs: read('ATTEMPT_TIMEOUT_MS', 10_000, milliseconds(1, 600_000)),
    backoffMinMs: read('BACKOFF_MIN_MS', 100, milliseconds(1, 600_000)),
    backoffMaxMs: read('BACKOFF_MAX_MS', 2000, milliseconds(1, 600_000)),
    fallbackAfterMs: read('FALLBACK_AFTER_MS', 30_000, milliseconds(0, 2 ** 31 - 1)),
    /** Shares of an amount, by processor; undefined: not said. They change nothing but what is shown. */
    processorFees: [
      read('PROCESSOR_DEFAULT_FEE', undefined, decimalNumber(0, 1)),
      read('PROCESSOR_FALLBACK_FEE', undefined, decimalNumber(0, 1)),
    ] as const,
    /** The networks that are served what belongs to operations. */
    opsFrom: read('OPS_FROM', networks.read(PRIVATE_NETWORKS)!, networks),
    /** What a request for it has to bring as well, if anything. */
    opsToken: readToken(environment, 'OPS_TOKEN'),
    publicHosts: read('PUBLIC_HOST', new Set<string>(), hostNames),
    /** Where a client's address comes from: our proxy's X-Forwarded-For, the socket, or nowhere. */
    /** Connections of one address at once, where our sockets are its clients', and who may have more. */
    limitConnections: read('LIMIT_CONNECTIONS', 1024, wholeNumber(1, 1_000_000, 'connections')),
    limitExempt: read('LIMIT_EXEMPT', networks.read('127.0.0.1,::1')!, networks),
    clientAddress: read('CLIENT_ADDRESS', 'socket', oneOf('forwarded', 'socket', 'unknown')),
    /** Payments that an earlier address of a processor may have are held: otherwise no backend starts. */
    urlChangedHolds: read('PROCESSOR_URL_CHANGED', undefined, oneOf('hold')) === 'hold',
    /** By which a processor itself refuses a payment, so that it may go elsewhere. */
    refusalStatuses: read('REFUSAL_STATUSES', REFUSAL_STATUSES, refusalStatuses),
    /** Undefined: settled payments are kept in the store for ever. */
    retention: readRetention(environment),
    archiveDirectory: readArchiveDirectory(environment),
    allowPurge: read('ALLOW_PURGE', false, zeroOrOne),
    logLevel: read('LOG_LEVEL', 'info', oneOf('debug', 'info', 'warn', 'error')),
    /** For the processors' own sums, which are compared with ours where it is given. */
    adminToken: readToken(environment, 'PROCESSOR_ADMIN_TOKEN'),
    /**
     * Payments requested before are left out of the comparison: a simulated processor begins with empty
     * books.
     */
    auditFromMs: read('AUDIT_FROM', 0, instantMs),
    /** Whether the dashboard may break the processors: only for simulated ones. */
    processorControls: read('PROCESSOR_CONTROLS', false, zeroOrOne),
  };
  if (config.backoffMinMs > config.backoffMaxMs) {
    throw new UnusableSetting(
      `BACKOFF_MIN_MS=${config.backoffMinMs} cannot be used: it takes at most BACKOFF_MAX_MS (${config.backoffMaxMs})`,
    );
  }
  return Object.freeze(config);
}

/** Throws `UnusableSetting`. */
export const readStoreSetting = (environment: Environment): StoreSetting =>
  environmentReader(environment)('STORE_URL', STANDARD_STORE, store);

const instanceName = someText(
  '1 to 64 letters, digits, dots, dashes or underscores',
  /^[A-Za-z0-9._-]{1,64}$/,
);

/** The longest path of a Unix socket on Linux, without the NUL that ends it. */
export const SOCKET_PATH_BYTES_MAX = 107;

const listen: SettingReader<Listen> = {
  takes: 'unix:/path.sock or tcp:host:port',
  read(text) {
    const path = /^unix:(.+)$/s.exec(text)?.[1];
    if (path !== undefined) {
      return Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX ? { is: 'unix', path } : undefined;
    }
    const [, host, port] = /^tcp:(\[[0-9a-fA-F:]+\]|[^:\s]+):(\d{1,5})$/.exec(text) ?? [];
    if (host === undefined || Number(port) > 65_535) return undefined;
    return { is: 'tcp', host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
  },
};

const store: SettingReader<StoreSetting> = {
  takes: `sqlite:DIR, ${POSTGRES_URL_TAKES}, or ${REDIS_URL_TAKES}`,
  read(text) {
    const directory = /^sqlite:(.+)$/s.exec(text)?.[1];
    if (directory !== undefined) return { is: 'sqlite', directory };
    const postgres = parsePostgresUrl(text);
    if (postgres !== undefined) return { is: 'postgres', url: postgres };
    const redis = parseRedisUrl(text);
    return redis && { is: 'redis', url: redis };
  },
};
