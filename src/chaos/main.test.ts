import assert from 'node:assert/strict';
import { test } from 'node:test';
import { installedPostgres } from '../testing/postgres-server.ts';
import { noRedis } from '../testing/redis-server.ts';
import { failOverBehind, isAsSaid } from './failover.ts';
import { playChaos } from './main.ts';

test('nothing is lost or double while parts of the real stack are killed and paused', async () => {
  const said: string[] = [];
  const disagreements = await playChaos({
    payments: 3000,
    connections: 8,
    seed: 11,
    everyMs: 250,
    say: line => said.push(line),
  });
  assert.equal(disagreements, 0, said.join('\n'));
});

const SERVERS = [
  {
    store: 'postgres',
    injured: 'the database is killed and its connections are cut as well',
    skip: installedPostgres().length === 0 && 'PostgreSQL for tests is not installed',
  },
  { store: 'redis', injured: 'Redis is killed, full, asleep and cut off as well', skip: noRedis },
] as const;
for (const { store, injured, skip } of SERVERS)
  test(`nothing is lost or double while ${injured}`, { skip }, async () => {
    const said: string[] = [];
    const disagreements = await playChaos({
      payments: 300,
      connections: 8,
      seed: 3,
      everyMs: 500,
      store,
      say: line => said.push(line),
    });
    assert.equal(disagreements, 0, said.join('\n'));
  });

const PAIRS = [
  ...installedPostgres().map(({ version }) => ({ store: 'postgres', version, skip: false }) as const),
  { store: 'redis', version: undefined, skip: noRedis },
] as const;
for (const { store, version, skip } of PAIRS)
  test(`a failover of ${store} ${version ?? ''} to a standby that lacks the end settles nothing twice, and names the loss`, {
    skip,
  }, async () => {
    const said: string[] = [];
    const findings = await failOverBehind({
      ...{ payments: 300, connections: 8, seed: 5, store, version },
      say: line => said.push(line),
    });
    assert.ok(isAsSaid(findings), said.join('\n'));
  });
