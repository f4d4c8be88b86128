/** A store that version 3 wrote, and was killed in: taken over with its index and with its log. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { CLOSED, HELD_REFUSED, PINNED, SENT, SETTLED, WAITING } from '../../../domain/payment.ts';
import { systemClock } from '../../../system-clock.ts';
import { asked, idOf } from '../../../testing/stores.ts';
import { openStore } from '../../open.ts';
import { openMemoryIndex } from '../index/schema.ts';
import { indexFile, schemaVersion } from '../index/tables.ts';

/** What makes the tables, without the sizes and counts that SQLite keeps. */
const shape = (database: DatabaseSync): unknown[] =>
  database
    .prepare("SELECT type, name, tbl_name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY name")
    .all();

test('a store of version 3 is taken over as it was', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-version-3-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const packed = readFileSync(new URL('./version-3.fixture.gz', import.meta.url));
  for (const [name, bytes] of Object.entries(JSON.parse(gunzipSync(packed).toString()))) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), bytes as string, 'base64');
  }
  const versionNow = (): unknown => {
    const database = new DatabaseSync(join(directory, indexFile), { readOnly: true });
    const version = database.prepare('PRAGMA user_version').get()!['user_version'];
    database.close();
    return version;
  };
  assert.equal(versionNow(), 3);
  const store = await openStore({
    ...{ store: { is: 'sqlite', directory }, ackAfter: 'commit', instance: 'backend-2', clock: systemClock },
    ...{ chance: Math.random, mustExist: false, isDiskDoubtful: false },
    events: { damaged: damage => assert.fail(JSON.stringify(damage)), notIndexed: () => {} },
  });
  const ask = asked(store);
  t.after(() => ask.leave());
  assert.equal(versionNow(), schemaVersion);
  const database = new DatabaseSync(join(directory, indexFile), { readOnly: true });
  t.after(() => database.close());
  assert.deepEqual(shape(database), shape(openMemoryIndex(new Uint8Array(8))));

  const ofEach = async (): Promise<unknown[]> => {
    const numbers = Array.from({ length: 34 }, (_, at) => at + 1);
    const found = await Promise.all(numbers.map(n => ask.find(idOf(n))));
    return found.map((payment, at) => {
      if (payment !== undefined)
        assert.deepEqual([payment.cents, payment.acceptedAtMs], [1001 + at, 1_700_000_000_001 + at]);
      return payment && [payment.state, payment.processor];
    });
  };
  const [waiting, none] = [[WAITING, undefined], new Array(8).fill(undefined)];
  assert.deepEqual(await ofEach(), [
    ...new Array(9).fill([SETTLED, 0]),
    ...new Array(5).fill([SETTLED, 1]),
    ...[waiting, waiting, waiting],
    ...[
      [SENT, 0],
      [PINNED, 1],
    ],
    ...[
      [WAITING, 0],
      [CLOSED, undefined],
    ],
    ...none,
    ...[waiting, waiting, waiting, waiting, [SETTLED, 0]],
  ]);
  const { default: byDefault, fallback } = await ask.summary(-Infinity, Infinity);
  assert.deepEqual([byDefault.count, fallback.count], [10, 5]);
  assert.equal((await ask.find(idOf(20)))!.held, HELD_REFUSED);
});
