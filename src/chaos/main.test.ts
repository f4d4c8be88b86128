import assert from 'node:assert/strict';
import { test } from 'node:test';
import { installedPostgres } from '../testing/postgres-server.ts';
import { noRedis } from '../testing/redis-server.ts';
import { playChaos } from './main.ts';
import { failOverBehind } from './redis-failover.ts';

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

test('a failover of Redis to a replica that lacks the end settles nothing twice, and names the loss', {
  skip: noRedis,
}, async () => {
  const said: string[] = [];
  const { recorded, named, lost } = await failOverBehind({
    ...{ payments: 600, connections: 8, seed: 5 },
    say: line => said.push(line),
  });
  const what = said.join('\n');
  assert.equal(recorded.counts.twice, 0, what);
  assert.ok(lost.length > 0 && named.length > 0, what);
});
