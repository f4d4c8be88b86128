/** What the launcher takes from the environment: its own settings, and what each of its children is given. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { delimiter, join, resolve } from 'node:path';
import { descriptorsMax } from '../settings/descriptors.ts';
import { environmentReader } from '../settings/environment.ts';
import {
  oneOf,
  portNumber,
  type SettingReader,
  someText,
  UnusableSetting,
  wholeNumber,
  zeroOrOne,
} from '../settings/grammar.ts';
import { networks } from '../settings/networks.ts';

/** As many as the configurations in `haproxy/` name. */
export const BACKENDS_SHIPPED = 3;
const BACKENDS_MAX = 32;

export interface Settings {
  /** The names of the backends, without `instancePrefix`. */
  readonly backends: readonly string[];
  /** The addresses to listen on. */
  readonly hosts: readonly string[];
  /** Of these, one that may be missing on a machine: `localhost` by its other name. */
  readonly optionalHost: string | undefined;
  readonly port: number;
  /** Where HAProxy shows its statistics; undefined for nowhere. */
  readonly statsPort: number | undefined;
  readonly runDir: string;
  /** Of the names of the backends, so that those of several hosts differ. */
  readonly instancePrefix: string;
  /** `http` and `tcp` are HAProxy's modes; `none` lets the kernel spread connections over the backends. */
  readonly proxy: 'http' | 'tcp' | 'none';
  /** Where HAProxy is; undefined where it is not installed. */
  readonly haproxy: string | undefined;
  /** The ports of the processors to simulate, those left out that the environment names by URL. */
  readonly simulated: Readonly<Record<'default' | 'fallback', number | undefined>>;
  readonly limits: Limits;
  /** Networks of proxies in front of us, whose word on a client's address counts. */
  readonly trustedProxies: readonly string[];
  /** Their connections begin with the PROXY protocol. */
  readonly proxyProtocol: boolean;
  readonly tls: Tls | undefined;
}

/** HTTPS beside HTTP. */
export interface Tls {
  readonly port: number;
  /** PEM files: the server's certificates with their key; the authority of clients' certificates. */
  readonly certificate: string;
  readonly clientCa: string | undefined;
}

/** What HAProxy takes, altogether and from one address. */
export interface Limits {
  /** Connections at once, as the system's limit of descriptors allows; further ones wait in the kernel. */
  readonly maxconn: number;
  readonly descriptors: number;
  readonly connections: number;
  /** New ones in a second. */
  readonly connectionRate: number;
  /** In a second. */
  readonly requestRate: number;
  readonly pageRate: number;
  /** Networks that are not limited. */
  readonly exempt: readonly string[];
}

/** Throws `UnusableSetting`. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const read = environmentReader(
    env,
    (name, text, takes) => `${name} takes ${takes}, not ${JSON.stringify(text)}`,
  );
  const proxy = read('PROXY', 'http', { ...oneOf('http', 'tcp', 'none'), takes: 'http, tcp or none' });
  const haproxy = proxy === 'none' ? undefined : findProgram('haproxy', env['PATH']);
  const port = read('PORT', undefined, portNumber(1));
  const ports = {
    default: read('PROCESSOR_DEFAULT_PORT', 8001, portNumber(1)),
    fallback: read('PROCESSOR_FALLBACK_PORT', 8002, portNumber(1)),
  };
  const host = read('HOST', undefined, address);
  const isLoopback = host === undefined || host === 'localhost';
  const backendCount = read('BACKENDS', BACKENDS_SHIPPED, wholeNumber(1, BACKENDS_MAX, 'backends'));
  return {
    backends: Array.from({ length: backendCount }, (_, at) => `backend-${at + 1}`),
    hosts: [isLoopback ? '127.0.0.1' : host],
    optionalHost: isLoopback ? '::1' : undefined,
    port: port ?? 9999,
    // A second stack on another port is not to stumble over the statistics of the first.
    statsPort: read('STATS_PORT', port === undefined ? 9998 : undefined, portNumber(1)),
    runDir: read('RUN_DIR', './run', someText('a folder')),
    instancePrefix: read(
      'INSTANCE_PREFIX',
      '',
      someText('1 to 48 letters, digits, dots, dashes or underscores', /^[A-Za-z0-9._-]{1,48}$/),
    ),
    proxy,
    haproxy,
    simulated: {
      default: env['PROCESSOR_DEFAULT_URL'] ? undefined : ports.default,
      fallback: env['PROCESSOR_FALLBACK_URL'] ? undefined : ports.fallback,
    },
    limits: readLimits(read),
    trustedProxies: read('TRUSTED_PROXIES', [], networkList),
    proxyProtocol: read('PROXY_PROTOCOL', false, zeroOrOne),
    tls: readTls(read, haproxy !== undefined && proxy === 'http'),
  };
}

function readTls(read: ReturnType<typeof environmentReader>, isPossible: boolean): Tls | undefined {
  const port = read('TLS_PORT', undefined, portNumber(1));
  const certificate = read('TLS_CERTIFICATE', undefined, pemFile);
  const clientCa = read('TLS_CLIENT_CA', undefined, pemFile);
  if (port === undefined) {
    if (certificate === undefined && clientCa === undefined) return undefined;
    throw new UnusableSetting(
      'TLS_CERTIFICATE and TLS_CLIENT_CA need TLS_PORT: where clients connect with TLS',
    );
  }
  if (certificate === undefined) throw new UnusableSetting('TLS_PORT needs TLS_CERTIFICATE: a PEM file');
  if (!isPossible) {
    throw new UnusableSetting(
      'TLS_PORT needs PROXY=http, and HAProxy installed: it is HAProxy that speaks TLS',
    );
  }
  return { port, certificate, clientCa };
}

const pemFile: SettingReader<string> = {
  takes: 'a PEM file that this user can read',
  read(text) {
    try {
      return readFileSync(text, 'latin1').includes('-----BEGIN ') ? resolve(text) : undefined;
    } catch {
      return undefined;
    }
  },
};

/** Idle connections take 3 KiB each of HAProxy's memory; those that send 32 KiB and more, while they do. */
const MAXCONN = 16_384;
/** What HAProxy opens beside its connections, with room to spare. */
const OWN_DESCRIPTORS = 48;

function readLimits(read: ReturnType<typeof environmentReader>): Limits {
  const descriptors = descriptorsMax();
  // A connection has two: its client's and its backend's.
  const maxconn = Math.max(16, Math.min(MAXCONN, Math.floor((descriptors - OWN_DESCRIPTORS) / 2)));
  const count = wholeNumber(1, 1_000_000, 'connections');
  return {
    maxconn,
    descriptors,
    connections: read('LIMIT_CONNECTIONS', 1024, count),
    connectionRate: read('LIMIT_CONNECTION_RATE', 2_000, wholeNumber(1, 1_000_000, 'connections a second')),
    requestRate: read('LIMIT_REQUEST_RATE', 20_000, wholeNumber(1, 10_000_000, 'requests a second')),
    pageRate: read('LIMIT_PAGE_RATE', 1_000, wholeNumber(10, 1_000_000, 'pages a second')),
    exempt: read('LIMIT_EXEMPT', ['127.0.0.1', '::1'], networkList),
  };
}

const address: SettingReader<string> = {
  takes: 'an address such as 127.0.0.1, 0.0.0.0 or ::, or localhost',
  read(text) {
    const plain = text.replace(/^\[(.*)\]$/, '$1');
    return isIP(plain) !== 0 || plain === 'localhost' ? plain : undefined;
  },
};

const networkList: SettingReader<readonly string[]> = {
  takes: networks.takes,
  read: text => (networks.read(text) === undefined ? undefined : text.split(/[\s,]+/).filter(Boolean)),
};

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
