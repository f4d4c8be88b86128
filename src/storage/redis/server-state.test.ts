import assert from 'node:assert/strict';
import { test } from 'node:test';
import { redisDurabilityOf, redisStateOf, refusalOfServer } from './server-state.ts';

const info = (more: Readonly<Record<string, string>> = {}): string => {
  const fields = {
    run_id: 'r',
    redis_version: '7.0.15',
    role: 'master',
    connected_slaves: '0',
    aof_enabled: '1',
    maxmemory_policy: 'noeviction',
    ...more,
  };
  return `# Server\r\n${Object.entries(fields)
    .map(([name, value]) => `${name}:${value}\r\n`)
    .join('')}`;
};

test('a server that forgets, or has no functions, is refused', () => {
  const refusal = (more: Readonly<Record<string, string>>) =>
    refusalOfServer(redisStateOf(info(more), 'everysec'), 'commit');
  assert.equal(refusal({}), undefined);
  assert.match(refusal({ maxmemory_policy: 'volatile-lru' })!, /noeviction/);
  assert.match(refusal({ redis_version: '6.2.1' })!, /7 or newer/);
});

test('flush needs a file that is written and synced with each batch', () => {
  const refusal = (aof: string, appendfsync: string | undefined) =>
    refusalOfServer(redisStateOf(info({ aof_enabled: aof }), appendfsync), 'flush');
  assert.equal(refusal('1', 'always'), undefined);
  assert.match(refusal('1', 'everysec')!, /needs appendfsync always on the server: set it/);
  assert.match(refusal('1', undefined)!, /CONFIG GET/);
  assert.match(refusal('0', 'always')!, /needs appendonly yes and appendfsync always/);
});

test('what a 202 survives is said by what the server is set to', () => {
  const said = (aof: string, appendfsync: string, ackAfter: 'commit' | 'flush', replicas: number) =>
    redisDurabilityOf(redisStateOf(info({ aof_enabled: aof }), appendfsync), ackAfter, replicas);
  assert.match(said('0', 'always', 'commit', 0).survives, /keeps nothing when it ends/);
  assert.match(said('1', 'everysec', 'commit', 0).survives, /last two seconds/);
  assert.match(said('1', 'no', 'commit', 1).survives, /kernel has not written.*its replica lacks/);
  assert.deepEqual(
    [said('1', 'always', 'commit', 2).waitsFor, said('1', 'always', 'flush', 2).waitsFor],
    [0, 2],
  );
  assert.match(said('1', 'always', 'flush', 2).survives, /its 2 replicas have it: WAIT/);
});
