/** A database whose disk is full, and has room again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LoopDisk, noLoopDisk } from '../../chaos/loop-disk.ts';
import { PostgresServer, postgresOf } from '../../testing/postgres-server.ts';
import { joinedAs, persist } from '../contract/losing.fixture.ts';
import { needsPostgres, newSchema, PostgresStand } from './stand.fixture.ts';

const stand = PostgresStand.forTests();

test('a database without room says so for as long as it has none', {
  skip: noLoopDisk ?? needsPostgres.skip,
}, async () => {
  await using disk = new LoopDisk(256);
  const settings = { max_wal_size: '64MB', min_wal_size: '32MB' };
  await using server = await PostgresServer.start({ binaries: postgresOf(), parent: disk.path, settings });
  const one = await joinedAs(await stand.open(newSchema(), { port: server.port }), 'a');
  const ask = () => persist(() => one.write(() => []));
  assert.deepEqual(await ask(), [], 'there is room');
  let accepted = 0;
  const fill = async (): Promise<void> => {
    for (;;) {
      const numbers = Array.from({ length: 100 }, (_, n) => accepted + n);
      await persist(() => one.write(rows => numbers.map(n => rows.put(n))));
      accepted += numbers.length;
    }
  };
  const giveBack = await disk.fill();
  await assert.rejects(fill(), { reason: 'full' });
  for (let time = 0; time < 3; time++) await assert.rejects(ask(), { reason: 'full' });
  giveBack();
  assert.deepEqual(await ask(), []);
  assert.equal((await persist(() => one.write(rows => rows.put(accepted)))).length, 1);
});
