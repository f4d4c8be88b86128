/** A backend as a process: what it says where it cannot keep its promise on a database, and where it can. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { absentProcessors, spawnBackend, startBackends } from '../../testing/backends.ts';
import { freePort } from '../../testing/ports.ts';
import { installedPostgres, PostgresServer } from '../../testing/postgres-server.ts';
import { ChildProcesses } from '../../testing/processes.ts';
import { migrate } from './migrate.ts';
import { parsePostgresUrl } from './url.ts';

const [binaries] = installedPostgres();
const skip = binaries === undefined && 'PostgreSQL for tests is not installed';

let server: PostgresServer;
let children: ChildProcesses;

before(async () => {
  if (binaries === undefined) return;
  server = await PostgresServer.start({ binaries });
  children = new ChildProcesses();
});
after(async () => {
  await children?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

async function refusal(environment: NodeJS.ProcessEnv): Promise<{ status: unknown; said: string }> {
  const backend = spawnBackend(children, 'backend-1', `tcp:127.0.0.1:${await freePort()}`, {
    processors: await absentProcessors(),
    environment: { LOG_LEVEL: 'error', ...environment },
  });
  return { status: await backend.exited, said: backend.said() };
}

test('a start that cannot keep its promise is refused with one line, and status 78', { skip }, async () => {
  await server.query('CREATE ROLE guest LOGIN');
  await startOnce('newer_');
  await server.query('UPDATE newer_.deployment SET version = 99');
  const guest = server.url('postgres', 'schema=guest_').replace('soquete@', 'guest@');
  const cases = [
    [{ STORE_URL: guest }, /the role may not make its tables.*GRANT CREATE ON DATABASE/],
    [{ STORE_URL: server.url('postgres', 'schema=newer_') }, /another soquete \(version 99 of the tables/],
    [{ STORE_URL: server.url(), ACK_AFTER: 'flush' }, /synchronous_standby_names to name a standby/],
    [{ STORE_URL: server.url('nothing') }, /the database does not exist: create it/],
  ] as const;
  for (const [environment, says] of cases) {
    const { status, said } = await refusal(environment);
    assert.deepEqual(status, 78, said);
    assert.match(said, says);
    assert.equal(said.trim().split('\n').length, 1, said);
  }
});

test('a server that is too old is named', { skip }, async () => {
  const url = parsePostgresUrl(server.url())!;
  const nobody = () => Promise.reject(new Error('it is asked for nothing'));
  await assert.rejects(migrate(nobody, url, 140_011), /PostgreSQL 14: it has to be 15 or newer/);
});

test('what a 202 survives is said at the start, by /health and by the dashboard', { skip }, async () => {
  const { address, said } = await startOnce('survives_');
  const promise = 'the death and power loss of any machine of ours';
  assert.ok(said().includes(promise));
  for (const path of ['/health', '/dashboard.json']) {
    const view = (await (await fetch(`http://${address}${path}`)).json()) as { survives: string };
    assert.equal(view.survives, promise);
  }
});

async function startOnce(schema: string) {
  const [backend] = await startBackends(children, {
    ...{ processors: await absentProcessors(), count: 1, wire: 'tcp' },
    environment: { STORE_URL: server.url('postgres', `schema=${schema}`) },
  });
  return { address: backend!.address, said: () => backend!.child.said() };
}
