/** A database server that is gone without a word: no reset, no refusal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../system-clock.ts';
import { installedPostgres, PostgresServer } from '../../testing/postgres-server.ts';
import { TcpProxy } from '../../testing/tcp-proxy.ts';
import { NameTakenError } from '../ports.ts';
import { PostgresStore } from './postgres-store.ts';
import { parsePostgresUrl } from './url.ts';

const [binaries] = installedPostgres();
const skip = binaries === undefined && 'PostgreSQL for tests is not installed';

test('another one is used, which is found once for all connections, and has the name again', {
  skip,
}, async () => {
  await using server = await PostgresServer.start({ binaries: binaries! });
  await using first = await TcpProxy.start(server.port);
  await using second = await TcpProxy.start(server.port);
  const url = parsePostgresUrl(
    `postgres://soquete@127.0.0.1:${first.port},127.0.0.1:${second.port}/postgres`,
  )!;
  const open = (application: string) =>
    PostgresStore.open({ url, clock: systemClock, ackAfter: 'commit', application, instance: 'backend-1' });
  const store = await open('one');
  try {
    const before = first.connections;
    first.drop('toServer');
    first.drop('toClient');
    // As the server does by itself when nothing is acknowledged.
    await server.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'one'`,
    );
    await store.reopen();
    assert.equal(first.connections - before, 1);
    await assert.rejects(open('two'), NameTakenError);
  } finally {
    await new Promise<void>(resolve => store.leave(() => resolve()));
  }
});
