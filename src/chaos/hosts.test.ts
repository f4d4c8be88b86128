import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { installedPostgres } from '../testing/postgres-server.ts';
import { ChildProcesses, untilReady } from '../testing/processes.ts';
import { until } from '../testing/until.ts';
import { noMachines } from './machines.ts';

const script = (name: string): string => join(import.meta.dirname, name);

/** Of all processes. */
const namespaces = (): string[] =>
  readdirSync('/proc').flatMap(name => {
    try {
      return [readlinkSync(`/proc/${name}/ns/pid`)];
    } catch {
      return [];
    }
  });

for (const signal of ['SIGINT', 'SIGKILL'] as const)
  test(`nothing is left of machines when their program gets ${signal}`, { skip: noMachines }, async () => {
    await using children = new ChildProcesses();
    const program = children.spawn('machines', process.execPath, [script('machines.fixture.ts')]);
    await untilReady(program, () => program.said().includes('\n'));
    const { namespace, folder } = JSON.parse(program.said()) as { namespace: string; folder: string };
    assert.ok(namespaces().includes(namespace));
    process.kill(program.pid, signal);
    await until(() => !namespaces().includes(namespace), 'all of them to be gone');
    if (signal === 'SIGINT') await until(() => !existsSync(folder), 'its folder to be gone');
  });

const withoutPostgres = installedPostgres().length === 0 && 'PostgreSQL for tests is not installed';

test('two hosts lose their cables one after the other, then their database: all is settled once', {
  skip: noMachines ?? withoutPostgres,
}, async () => {
  await using children = new ChildProcesses();
  const hosts = children.spawn('hosts', process.execPath, [script('hosts.ts'), '--short']);
  assert.equal(await hosts.exited, 0, hosts.said());
  assert.match(
    hosts.said(),
    /cut off from the database: .* it answers 503 after \d+ ms, then it sent \d+ bytes/,
  );
  assert.match(hosts.said(), /lost 0, double 0\nthe books agree\n$/);
});
