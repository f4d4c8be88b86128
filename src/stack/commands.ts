/** How each part of the stack is started: program, arguments, environment. */
import { join } from 'node:path';
import { type Command, guarded } from './child.ts';
import { BACKEND_ENVIRONMENT, BACKEND_FLAGS } from './node-flags.ts';
import { PROJECT_FOLDER } from './project.ts';
import { proxyConfiguration } from './proxy-configuration.ts';
import type { Settings } from './settings.ts';

/** What the simulated processors' administration wants at first. */
const SIMULATED_TOKEN = '123';
const STARTED_AT = new Date().toISOString();

export function backendCommand(name: string, settings: Settings, env: NodeJS.ProcessEnv): Command {
  const { simulated, haproxy, proxy, port } = settings;
  const own: NodeJS.ProcessEnv = {
    INSTANCE: `${settings.instancePrefix}${name}`,
    LISTEN:
      haproxy === undefined
        ? `tcp:${inUrl(settings.hosts[0]!)}:${port}`
        : `unix:${socketPath(name, settings)}`,
    CLIENT_ADDRESS: haproxy === undefined ? 'socket' : proxy === 'http' ? 'forwarded' : 'unknown',
    SOQUETE_PARENT_PIPE: '1',
  };
  if (simulated.default !== undefined) own['PROCESSOR_DEFAULT_URL'] = `http://127.0.0.1:${simulated.default}`;
  if (simulated.fallback !== undefined)
    own['PROCESSOR_FALLBACK_URL'] = `http://127.0.0.1:${simulated.fallback}`;
  if (simulated.default !== undefined && simulated.fallback !== undefined) {
    // So the dashboard can compare the books, which begin empty with the simulated processors, and break
    // things.
    if (!env['PROCESSOR_ADMIN_TOKEN_FILE'])
      own['PROCESSOR_ADMIN_TOKEN'] = env['PROCESSOR_ADMIN_TOKEN'] || SIMULATED_TOKEN;
    own['PROCESSOR_CONTROLS'] = env['PROCESSOR_CONTROLS'] || '1';
    own['AUDIT_FROM'] = env['AUDIT_FROM'] || STARTED_AT;
  }
  return {
    name,
    file: process.execPath,
    args: [...BACKEND_FLAGS, join(PROJECT_FOLDER, 'dist/main.js')],
    env: { ...BACKEND_ENVIRONMENT, ...env, ...own },
    stopSignal: 'SIGTERM',
    speaks: true,
  };
}

export function proxyCommand(haproxy: string, settings: Settings, env: NodeJS.ProcessEnv): Command {
  const { limits, tls } = settings;
  return {
    name: 'HAProxy',
    ...guarded(haproxy, ['-f', proxyConfiguration(settings)]),
    // HAProxy replaces variables in the path of a socket, so a folder's name with a `$` must not be part of
    // it.
    cwd: settings.runDir,
    env: {
      ...env,
      SOQUETE_BIND: settings.hosts.map(host => bindAddress(host, settings.port)).join(),
      SOQUETE_STATS: settings.statsPort === undefined ? 'off' : `127.0.0.1:${settings.statsPort}`,
      SOQUETE_RUN: '.',
      SOQUETE_ERRORS: join(PROJECT_FOLDER, 'haproxy/errors'),
      SOQUETE_MAXCONN: String(limits.maxconn),
      SOQUETE_LIMIT_CONNECTIONS: String(limits.connections),
      SOQUETE_LIMIT_CONNECTION_RATE: String(limits.connectionRate),
      SOQUETE_LIMIT_REQUEST_RATE: String(limits.requestRate),
      SOQUETE_LIMIT_PAGE_RATE: String(limits.pageRate),
      SOQUETE_EXEMPT: limits.exempt.join(' '),
      ...(tls !== undefined && {
        SOQUETE_TLS_BIND: settings.hosts.map(host => bindAddress(host, tls.port)).join(),
        SOQUETE_TLS_CERTIFICATE: tls.certificate,
        ...(tls.clientCa !== undefined && { SOQUETE_TLS_CLIENT_CA: tls.clientCa }),
      }),
      SOQUETE_PROXY_PROTOCOL: settings.proxyProtocol ? '1' : '0',
      ...(settings.trustedProxies.length > 0 && { SOQUETE_TRUSTED: settings.trustedProxies.join(' ') }),
    },
    stopSignal: 'SIGUSR1',
    speaks: false,
  };
}

export function processorsCommand({ simulated }: Settings, env: NodeJS.ProcessEnv): Command | undefined {
  const ports = Object.entries(simulated).filter(([, port]) => port !== undefined);
  if (ports.length === 0) return undefined;
  const args = ports.flatMap(([name, port]) => [`--${name}`, String(port)]);
  // HOST is for those who pay, not for the processors.
  args.push('--host', '127.0.0.1');
  return {
    name: 'simulated processors',
    ...guarded(process.execPath, [join(PROJECT_FOLDER, 'dist/processors.js'), ...args]),
    env,
    stopSignal: 'SIGTERM',
    speaks: false,
  };
}

export function socketPath(name: string, { runDir }: Settings): string {
  return join(runDir, `${name}.sock`);
}

/** An address as it stands before a port. */
export const inUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host);

const bindAddress = (host: string, port: number): string =>
  host.includes(':') ? `ipv6@[${host}]:${port}` : `ipv4@${host}:${port}`;
