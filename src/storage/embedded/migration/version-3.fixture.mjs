// Writes `version-3.fixture.gz`, a store as version 3 left it, with that version's own code:
//
//   git archive 5a51b4b | tar -x -C DIR    (with its node_modules)
//   node src/storage/embedded/migration/version-3.fixture.mjs DIR
//
// Payments by number: 1 to 9 settled on default, 10 to 14 on fallback, 15 to 17 waiting, 18 sent to default, 19 pinned to
// fallback, 20 held, 21 closed by hand; 30 to 33 in the log only, 34 settled there. It was killed.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';

const source = resolve(process.argv[2]);
const load = path => import(join(source, 'src', path));
const { openStore } = await load('storage/open.ts');
const { Batch } = await load('storage/batch.ts');
const { asked, attemptRow, holdRow, idOf, markRow, put, settleRow } = await load('testing/stores.ts');
const { systemClock } = await load('system-clock.ts');

const directory = mkdtempSync(join(tmpdir(), 'version-3-'));
const store = await openStore({
  ...{ store: { is: 'sqlite', directory }, ackAfter: 'commit', instance: 'backend-1', clock: systemClock },
  ...{ chance: Math.random, mustExist: false, isDiskDoubtful: false },
  events: { damaged() {}, notIndexed() {} },
});
const ask = asked(store);
const { epoch, generation } = await ask.join('backend-1');
await ask.rememberUrls(['http://one', 'http://two']);
const write = async fill => {
  const batch = new Batch(epoch, generation);
  await fill(batch);
  await ask.write(batch);
};
const find = n => ask.find(idOf(n));
const accept = (from, to) =>
  write(batch => {
    for (let n = from; n <= to; n++) put(batch, n, { cents: 1000 + n, acceptedAtMs: 1_700_000_000_000 + n });
  });
const settle = async (n, processor) => {
  const payment = await find(n);
  const progress = { processor, requestedAtMs: 1_700_000_001_000 + n, attempts: 1 };
  await write(batch => markRow(batch, payment, progress));
  await write(batch => settleRow(batch, payment, progress));
};
await accept(1, 21);
for (let n = 1; n <= 9; n++) await settle(n, 0);
for (let n = 10; n <= 14; n++) await settle(n, 1);
for (const [n, processor] of [
  [18, 0],
  [19, 1],
]) {
  const payment = await find(n);
  await write(batch => markRow(batch, payment, { processor, requestedAtMs: 1_700_000_001_000 + n }));
}
const pinned = await find(19);
await write(batch => attemptRow(batch, pinned, { state: 2, processor: 1, requestedAtMs: 1_700_000_001_019 }));
const held = await find(20);
await write(batch => holdRow(batch, held, { retryAtMs: 1_700_000_100_000 }));
await ask.act({
  ...{ id: idOf(21), kind: 'close', processor: undefined, requestedAtMs: 0 },
  ...{ who: 'somebody', text: 'not wanted', atMs: 1_700_000_002_000 },
});
// To its end, so that what comes next is in the log alone.
await new Promise(moved => store.latest(1, moved));
await accept(30, 34);
await settle(34, 0);
const killed = mkdtempSync(join(tmpdir(), 'version-3-'));
cpSync(directory, killed, { recursive: true });
const names = readdirSync(killed, { recursive: true, withFileTypes: true })
  .filter(entry => entry.isFile())
  .map(({ parentPath, name }) => join(parentPath, name).slice(killed.length + 1));
const files = Object.fromEntries(names.map(name => [name, readFileSync(join(killed, name), 'base64')]));
writeFileSync(new URL('./version-3.fixture.gz', import.meta.url), gzipSync(JSON.stringify(files)));
await ask.leave();
for (const each of [directory, killed]) rmSync(each, { recursive: true });
