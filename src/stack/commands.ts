/** How each part of the stack is started: program, arguments, environment. */
import { join } from 'node:path';
import { type Command, guarded } from './child.ts';
import { BACKEND_ENVIRONMENT, BACKEND_FLAGS } from './node-flags.ts';
import { PROJECT_FOLDER } from './project.ts';
import type { Settings } from './settings.ts';

/** What the simulated processors' administration wants at first. */
const SIMULATED_TOKEN = '123';
const STARTED_AT = new Date().toISOString();

export function backendCommand(name: string, settings: Settings, env: NodeJS.ProcessEnv): Command {
  const { simulated, haproxy, port } = settings;
  const own: NodeJS.ProcessEnv = {
    INSTANCE: name,
    LISTEN: haproxy === undefined ? `tcp:0.0.0.0:${port}` : `unix:${socketPath(name, settings)}`,
    SOQUETE_PARENT_PIPE: '1',
  };
  if (simulated.default !== undefined) own['PROCESSOR_DEFAULT_URL'] = `http://127.0.0.1:${simulated.default}`;
  if (simulated.fallback !== undefined)
    own['PROCESSOR_FALLBACK_URL'] = `http://127.0.0.1:${simulated.fallback}`;
  if (simulated.default !== undefined && simulated.fallback !== undefined) {
    // So the dashboard can compare the books, which begin empty with the simulated processors, and break
    // things.
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
  const configuration = join(PROJECT_FOLDER, 'haproxy', settings.proxy === 'tcp' ? 'tcp.cfg' : 'haproxy.cfg');
  return {
    name: 'HAProxy',
    ...guarded(haproxy, ['-f', configuration]),
    env: {
      ...env,
      SOQUETE_BIND: `*:${settings.port}`,
      SOQUETE_STATS: settings.statsPort === undefined ? 'off' : `127.0.0.1:${settings.statsPort}`,
      SOQUETE_RUN: settings.runDir,
      SOQUETE_ERRORS: join(PROJECT_FOLDER, 'haproxy/errors'),
    },
    stopSignal: 'SIGUSR1',
    speaks: false,
  };
}

export function processorsCommand({ simulated }: Settings, env: NodeJS.ProcessEnv): Command | undefined {
  const ports = Object.entries(simulated).filter(([, port]) => port !== undefined);
  if (ports.length === 0) return undefined;
  const args = ports.flatMap(([name, port]) => [`--${name}`, String(port)]);
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
