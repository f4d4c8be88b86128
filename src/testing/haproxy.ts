import { join } from 'node:path';
import { freePort } from './ports.ts';
import { ChildProcesses, listening, program } from './processes.ts';

const FOLDER = join(import.meta.dirname, '../../haproxy');

/** Where HAProxy is; empty where it is not installed. */
export const haproxy = program('haproxy') ?? '';
/** For `skip` of a test that needs it. */
export const withoutHaproxy = haproxy === '' && 'HAProxy is not installed';

export interface RunningProxy extends AsyncDisposable {
  readonly port: number;
}

/**
 * Runs HAProxy with one of the project's configurations, and waits until it listens. `environment` says what
 * is behind it.
 */
export async function startProxy(
  configuration: 'haproxy.cfg' | 'tcp.cfg' | 'cells.cfg' | 'hosts.cfg',
  environment: NodeJS.ProcessEnv,
): Promise<RunningProxy> {
  const children = new ChildProcesses();
  const port = await freePort();
  const proxy = children.spawn('HAProxy', haproxy, ['-f', join(FOLDER, configuration)], {
    SOQUETE_BIND: `127.0.0.1:${port}`,
    SOQUETE_STATS: 'off',
    SOQUETE_ERRORS: join(FOLDER, 'errors'),
    ...environment,
  });
  const running = { port, [Symbol.asyncDispose]: () => children[Symbol.asyncDispose]() };
  try {
    await listening(proxy, { host: '127.0.0.1', port });
    return running;
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}
