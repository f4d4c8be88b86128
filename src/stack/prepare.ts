/** What has to be so before anything is started: ports that are free, a folder for the sockets. */
import { accessSync, constants, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { isSystemError } from '../domain/system-error.ts';
import { makeDirectory } from '../make-directory.ts';
import { readConfig, SOCKET_PATH_BYTES_MAX } from '../settings/backend.ts';
import { onOneLine, UnusableSetting } from '../settings/grammar.ts';
import { backendCommand, socketPath } from './commands.ts';
import { accepts, portProblem } from './ready.ts';
import type { Settings } from './settings.ts';

const POLL_MS = 50;
/** A port that another stack is just leaving gets this long to become free. */
const PORT_PATIENCE_MS = 1_000;

/**
 * Finds out whether the backends can use what they are given, before anything is made or started. Throws
 * `UnusableSetting`.
 */
export function checkBackends(settings: Settings, env: NodeJS.ProcessEnv): void {
  for (const name of settings.backends) {
    const { length } = Buffer.from(socketPath(name, settings));
    if (settings.haproxy !== undefined && length > SOCKET_PATH_BYTES_MAX) {
      throw new UnusableSetting(
        `RUN_DIR=${onOneLine(settings.runDir)} cannot be used: the path of a socket in it has ${length} bytes, and the system takes ${SOCKET_PATH_BYTES_MAX}; choose a shorter one`,
      );
    }
    readConfig(backendCommand(name, settings, env).env);
  }
}

/**
 * Finds out whether all ports are free. Rejects with `UnusableSetting`. Returns the addresses to listen on.
 */
export async function findPortsFree(settings: Settings): Promise<readonly string[]> {
  const { hosts, optionalHost, port, statsPort, haproxy, simulated, tls } = settings;
  const wanted: [variable: string, host: string, port: number | undefined][] = [
    ...hosts.map((host): [string, string, number] => ['PORT', host, port]),
    ...hosts.map((host): [string, string, number | undefined] => ['TLS_PORT', host, tls?.port]),
    ['STATS_PORT', '127.0.0.1', haproxy === undefined ? undefined : statsPort],
    ['PROCESSOR_DEFAULT_PORT', '127.0.0.1', simulated.default],
    ['PROCESSOR_FALLBACK_PORT', '127.0.0.1', simulated.fallback],
  ];
  await Promise.all(
    wanted.map(async ([variable, host, wantedPort]) => {
      if (wantedPort === undefined) return;
      const problem = await lastingPortProblem(host, wantedPort);
      if (problem === undefined) return;
      throw new UnusableSetting(
        problem === MISSING_ADDRESS
          ? `HOST=${host} cannot be used: this machine has no such address`
          : `port ${wantedPort} ${problem}: end what listens there, or choose another with ${variable}=`,
      );
    }),
  );
  if (optionalHost === undefined || haproxy === undefined) return hosts;
  return (await portProblem(optionalHost, port)) === undefined ? [...hosts, optionalHost] : hosts;
}

const MISSING_ADDRESS = 'cannot be used (EADDRNOTAVAIL)';

async function lastingPortProblem(host: string, port: number): Promise<string | undefined> {
  const deadline = performance.now() + PORT_PATIENCE_MS;
  for (;;) {
    const problem = await portProblem(host, port);
    if (problem === undefined || problem === MISSING_ADDRESS || performance.now() >= deadline) return problem;
    await new Promise(wake => setTimeout(wake, POLL_MS));
  }
}

/**
 * Makes the folder of the sockets, and removes those that a crash left behind, never one that still answers.
 * Rejects with `UnusableSetting`.
 */
export async function clearRunDirectory(settings: Settings): Promise<void> {
  const runDir = resolve(settings.runDir);
  const unusable = (error: unknown, what: string): UnusableSetting => {
    const { code } = error as NodeJS.ErrnoException;
    if (!isSystemError(error) && code === undefined) throw error;
    return new UnusableSetting(
      `RUN_DIR=${onOneLine(settings.runDir)} cannot be used: ${what} (${code}); choose a folder that this user can write in`,
    );
  };
  try {
    makeDirectory(runDir);
    accessSync(runDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unusable(error, `${onOneLine(runDir)} is no folder to write in`);
  }
  for (const name of settings.backends) {
    const path = socketPath(name, settings);
    if (await accepts({ socketPath: path })) {
      throw new UnusableSetting(
        `${path} is served by another stack: end that one, or choose another folder with RUN_DIR=`,
      );
    }
    try {
      rmSync(path, { force: true });
    } catch (error) {
      throw unusable(error, `${onOneLine(path)} stands where a socket has to be, and cannot be removed`);
    }
  }
}
