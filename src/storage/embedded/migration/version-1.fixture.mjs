// Writes `version-1.fixture.gz`, a store as version 1 left it, with that version's own code:
//
//   git archive 60a77b2 | tar -x -C DIR    (with its node_modules)
//   node src/storage/embedded/migration/version-1.fixture.mjs DIR
//
// Payments by number: 1 to 9 settled on default, 10 to 14 on fallback, 15 to 19 waiting (15 after a refusal), 20 sent to
// fallback, 21 pinned to default, 22 and 23 of an instance that had left, 30 to 39 in the logs only, 40 to 42 in a log of
// an earlier term, 50 to 59 in a log of a generation that was purged. All were killed.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';

const source = resolve(process.argv[2]);
const load = path => import(join(source, 'src', path));
const { SqliteStore } = await load('storage/embedded/sqlite/store.ts');
const { FileLog } = await load('storage/embedded/file-log.ts');
const { Batch } = await load('storage/batch.ts');
const { put, markRow, settleRow, attemptRow, idOf } = await load('testing/stores.ts');

const directory = mkdtempSync(join(tmpdir(), 'version-1-'));
const options = { directory, boot: 'the boot of the fixture' };
const [one, two] = [new SqliteStore(options), new SqliteStore(options)];
const first = one.join('backend-1');
one.purge();
const before = new FileLog(directory, 'backend-1', first, false);
log(before, 50, 59);
const joined = { generation: 2, term: 1 };
const early = new FileLog(directory, 'backend-1', { generation: 2, term: 0 }, false);
log(early, 40, 42);

function log(file, from, to) {
  for (let n = from; n <= to; n++) {
    const view = new DataView(idOf(n).buffer);
    file.append(
      [0, 4, 8, 12].map(at => view.getInt32(at)),
      1000 + n,
      1_700_000_000_000 + n,
    );
  }
  file.write();
}

function write(store, epoch, fill) {
  const batch = new Batch(epoch, 2);
  fill(batch);
  return [...store.write(epoch, 2, batch.rows, batch.count).results];
}

const acceptedAtMs = 1_700_000_000_000;
const puts = (from, to) => batch => {
  for (let n = from; n <= to; n++) put(batch, n, { cents: 1000 + n, acceptedAtMs: acceptedAtMs + n });
};
const epochOne = one.join('backend-1').epoch;
const epochTwo = two.join('backend-2').epoch;
const seqs = [0, ...write(one, epochOne, puts(1, 14)), ...write(two, epochTwo, puts(15, 21))];
const sent = (n, processor) => ({
  seq: seqs[n],
  state: 1,
  processor,
  requestedAtMs: acceptedAtMs + n + 10,
  attempts: 1,
  tries: 1,
});
write(one, epochOne, batch => {
  for (let n = 1; n <= 14; n++) {
    const processor = n < 10 ? 0 : 1;
    markRow(batch, sent(n, processor));
    const requestedAtMs = acceptedAtMs + n + 10;
    settleRow(batch, {
      seq: seqs[n],
      processor,
      requestedAtMs,
      cents: 1000 + n,
      settledAtMs: requestedAtMs + 5,
    });
  }
});
write(two, epochTwo, batch => {
  attemptRow(batch, {
    ...sent(15, 0),
    acceptedAtMs: acceptedAtMs + 40, // when it ended
    state: 2, // its outcome
    cents: 7, // how long it took
  });
  markRow(batch, { ...sent(15, 0), state: 0 });
  markRow(batch, sent(20, 1));
  markRow(batch, { ...sent(21, 0), state: 2 });
});
const three = new SqliteStore(options);
const epochThree = three.join('backend-3').epoch;
write(three, epochThree, puts(22, 23));
three.leave();
log(new FileLog(directory, 'backend-1', joined, false), 1, 3);
log(new FileLog(directory, 'backend-1', joined, false), 30, 34);
log(new FileLog(directory, 'backend-2', joined, false), 34, 39);
one.takeChecker('');
one.report(0, true, 30);
one.sync();
two.sync();

const files = {};
for (const name of readdirSync(directory, { recursive: true })) {
  if (/^payments\.db(-wal)?$|^log\/.*\.log$/.test(name))
    files[name] = readFileSync(join(directory, name), 'base64');
}
const packed = gzipSync(JSON.stringify(files), { level: 9 });
writeFileSync(new URL('./version-1.fixture.gz', import.meta.url), packed);
console.log(Object.keys(files).join(' '), packed.length, 'bytes');
rmSync(directory, { recursive: true });
process.exit(0);
