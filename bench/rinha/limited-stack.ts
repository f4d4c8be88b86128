/**
 * The stack within the limits of docker-compose.yml, without Docker: HAProxy and each backend in a control
 * group of its own. Clients and processors are outside, as in the challenge.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { proxyCommand } from '../../src/stack/commands.ts';
import { PROJECT_FOLDER } from '../../src/stack/project.ts';
import { findProgram, readSettings } from '../../src/stack/settings.ts';
import { type ProcessorPair, spawnBackend } from '../../src/testing/backends.ts';
import { freePort } from '../../src/testing/ports.ts';
import { type ChildProcesses, listening, untilReady } from '../../src/testing/processes.ts';
import { table } from '../tools/table.ts';
import { Cgroup, type CgroupUsage } from './cgroups.ts';

const BACKENDS = ['backend-1', 'backend-2', 'backend-3'] as const;

interface ProcessLimits {
  readonly cpus: number;
  readonly memoryMiB: number;
}

export interface LimitedStack extends AsyncDisposable {
  readonly url: string;
  /** What each process has used since the last time, but for memory: the most since its start. */
  readonly usage: () => string;
}

/** `children` have to end before the stack is disposed of. */
export async function startLimitedStack(
  children: ChildProcesses,
  processors: ProcessorPair,
  environment: NodeJS.ProcessEnv,
): Promise<LimitedStack> {
  const haproxy = findProgram('haproxy', process.env['PATH']);
  if (haproxy === undefined) throw new Error('HAProxy is not installed');
  const limits = limitsOf(readFileSync(join(PROJECT_FOLDER, 'docker-compose.yml'), 'utf8'));
  const groups = new Map([...BACKENDS, 'haproxy'].map(name => [name, new Cgroup(name, limits(name))]));
  const backends = BACKENDS.map(name =>
    groups.get(name)!.around(() =>
      spawnBackend(children, name, `unix:${join(children.directory, `${name}.sock`)}`, {
        processors,
        environment: { CLIENT_ADDRESS: 'forwarded', ...environment },
      }),
    ),
  );
  for (const backend of backends) await untilReady(backend, () => backend.said().includes('ready'));
  const port = await freePort();
  const settings = readSettings({ PORT: String(port), RUN_DIR: children.directory });
  // It is not started in that folder.
  const env = { ...proxyCommand(haproxy, settings, process.env).env, SOQUETE_RUN: children.directory };
  const proxy = groups
    .get('haproxy')!
    .around(() =>
      children.spawn('HAProxy', haproxy, ['-f', join(PROJECT_FOLDER, 'haproxy/haproxy.cfg')], env),
    );
  await listening(proxy, { host: '127.0.0.1', port });
  const before = new Map([...groups].map(([name, group]) => [name, group.usage()]));
  return {
    url: `http://127.0.0.1:${port}`,
    usage: () => usageTable([...groups].map(([name, group]) => [name, group.usage(), before.get(name)!])),
    async [Symbol.asyncDispose]() {
      for (const group of groups.values()) await group[Symbol.asyncDispose]();
    },
  };
}

function usageTable(
  rows: readonly (readonly [name: string, now: CgroupUsage, before: CgroupUsage])[],
): string {
  const head = ['within its limits', 'CPU s', 'MiB at most', 'throttled', 'of periods', 'throttled ms'];
  return table(
    head,
    rows.map(([name, now, before]) => [
      name,
      (now.cpuSeconds - before.cpuSeconds).toFixed(2),
      now.memoryMiBMax.toFixed(0),
      String(now.throttledPeriods - before.throttledPeriods),
      String(now.periods - before.periods),
      (now.throttledMs - before.throttledMs).toFixed(0),
    ]),
  );
}

/** The limits of a service in a compose file of ours: its own, or those that all backends share. */
function limitsOf(compose: string): (service: string) => ProcessLimits {
  return service => {
    const block = service.startsWith('backend') ? 'x-backend:' : `  ${service}:`;
    const text = compose.slice(compose.indexOf(block));
    const [, cpus, memory] = /limits: \{ cpus: "([\d.]+)", memory: (\d+)M \}/.exec(text) ?? [];
    if (memory === undefined) throw new Error(`docker-compose.yml has no limits for ${service}`);
    return { cpus: Number(cpus), memoryMiB: Number(memory) };
  };
}
