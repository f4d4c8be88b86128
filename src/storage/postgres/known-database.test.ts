/** What a promoted standby is believed to have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServerState } from './connection.ts';
import { lsnOf } from './history.ts';
import { KnownDatabase } from './known-database.ts';

const upTo = (text: string) => ({ lsn: lsnOf(text), inserted: lsnOf(text) });

const BEFORE: ServerState = {
  ...{ system: '7', timeline: 1, started: '100.5', ...upTo('1/10') },
  ...{ standbys: 's', isFsync: true, version: 180_000, address: 'one' },
};
const PROMOTED = { timeline: 2, started: '7', ...upTo('1/20'), standbys: '' };

const CASES = [
  ['a standby that every commit waited for', {}, PROMOTED, 'commit', true],
  ['one that none waited for', { standbys: '' }, PROMOTED, 'commit', false],
  ['one that commits waited for that were acknowledged before', {}, PROMOTED, 'parse', false],
  ['another cluster', {}, { ...PROMOTED, system: '8' }, 'commit', false],
  ['an earlier timeline', {}, { ...PROMOTED, timeline: 0 }, 'commit', false],
  ['a shorter history', {}, upTo('1/1'), 'commit', false],
  ['an older backup', {}, { ...PROMOTED, ...upTo('1/1') }, 'commit', false],
] as const;

for (const [what, before, now, ackAfter, hadAll] of CASES) {
  test(`${what} ${hadAll ? 'has' : 'may lack'} what was acknowledged`, async () => {
    const known = new KnownDatabase({ ackAfter });
    assert.equal(await known.check({ ...BEFORE, ...before }), undefined);
    assert.equal((await known.check({ ...BEFORE, ...now }))?.reason, 'lost');
    assert.ok(known.loss !== undefined);
    known.forget();
    assert.equal(await known.check({ ...BEFORE, ...now }), undefined);
    assert.deepEqual([known.loss, known.hadAll], [undefined, hadAll]);
    known.joined();
    assert.equal(known.hadAll, false);
  });
}

test('what the settings are now counts, not what they were when it connected', async () => {
  const known = new KnownDatabase({ ackAfter: 'commit' });
  await known.check(BEFORE);
  known.isSynchronous = false;
  await known.check({ ...BEFORE, ...PROMOTED });
  known.forget();
  await known.check({ ...BEFORE, ...PROMOTED });
  assert.equal(known.hadAll, false);
});

test('a second one is not believed to have what the first one had', async () => {
  const known = new KnownDatabase({ ackAfter: 'commit' });
  await known.check(BEFORE);
  await known.check({ ...BEFORE, ...PROMOTED });
  known.forget();
  await known.check({ ...BEFORE, ...PROMOTED, timeline: 3 });
  assert.equal(known.hadAll, false);
});
