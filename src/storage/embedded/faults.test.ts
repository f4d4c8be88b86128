/** What the embedded engine makes of a disk that fails, and of files that are not as it left them. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { PINNED } from '../../domain/payment.ts';
import { put } from '../../testing/stores.ts';
import { Batch } from '../batch.ts';
import { KNOWN, OTHER_AMOUNT, StoreFault, StoreOpenError } from '../ports.ts';
import { EngineStand } from './engine.fixture.ts';
import { openIndexFile } from './index/schema.ts';
import { indexFile, logFolder } from './index/tables.ts';
import { INDEX_LAG } from './indexing.ts';
import { crc32 } from './shared-log/crc32.ts';
import { encodeSegmentHeader, logSegmentName, segmentsAmong, storeIdOf } from './shared-log/segments.ts';

for (const [code, reason] of [
  ['ENOSPC', 'full'],
  ['EDQUOT', 'full'],
  ['EMFILE', 'busy'],
  ['ENFILE', 'busy'],
  ['ENOMEM', 'busy'],
] as const) {
  test(`a write that fails with ${code} changes nothing, and works again later`, async () => {
    const stand = new EngineStand();
    const one = await (await stand.open()).join('a');
    const other = await (await stand.open()).join('b');
    await one.accept(1);
    stand.files.failNext = code;
    await assert.rejects(one.accept(2, 3), { reason });
    assert.deepEqual(await other.found(1, 2, 3), [1]);
    assert.equal((await one.store.look()).instances[0]!.unsettled, 1);
    assert.deepEqual(await one.accept(3, 4), [2, 3]);
    stand.index();
    assert.deepEqual(await other.found(1, 2, 3, 4), [1, 3, 4]);
    assert.deepEqual([stand.damaged, stand.notIndexed], [[], []]);
  });
}

test('what was appended and could not be read is unanswered, and its results are there when it comes again', async () => {
  const stand = new EngineStand();
  const one = await (await stand.open()).join('a');
  const other = await (await stand.open()).join('b');
  await other.accept(1);
  const batch = new Batch(one.joined!.epoch, one.joined!.generation);
  put(batch, 1, { cents: 5 });
  put(batch, 2);
  batch.number = 1;
  stand.files.onHalf = () => {
    stand.files.failRead = 'ENOMEM';
  };
  const unanswered = { reason: 'unanswered' };
  await assert.rejects(one.store.write(batch), unanswered);
  await assert.rejects(one.store.write(batch), unanswered);
  await assert.rejects(one.store.beat(''), unanswered);
  stand.files.failRead = undefined;
  // What others ask in between reads it, and goes on with the numbers behind it.
  await one.store.look();
  await one.store.beat('');
  stand.index();
  stand.index();
  for (let times = 0; times < 2; times++)
    assert.deepEqual([...(await one.store.write(batch)).results], [OTHER_AMOUNT, 2]);
  assert.deepEqual(await one.accept(3), [3]);
  assert.equal((await other.store.look()).instances[0]!.unsettled, 2);
});

test('beats, joins, leases and purges fail the same way, and can be asked again', async () => {
  const stand = new EngineStand();
  const one = await (await stand.open()).join('a');
  const late = await stand.open();
  const calls: (() => Promise<unknown>)[] = [
    () => one.store.beat('{}'),
    () => one.store.takeChecker(''),
    () => one.store.report(0, true, 5),
    () => late.join('b'),
  ];
  for (const call of calls) {
    stand.files.failNext = 'ENOSPC';
    await assert.rejects(call(), { reason: 'full' });
    await call();
  }
  stand.files.failNext = 'ENOSPC';
  await assert.rejects(one.store.purge(), { reason: 'full' });
  const { instances, generation } = await one.store.look();
  assert.deepEqual([instances.map(({ name }) => name), generation], [['a', 'b'], 1]);
});

test('a disk that is lost is reported, and opened anew, with a new term', async () => {
  const stand = new EngineStand();
  const one = await (await stand.open()).join('a');
  const other = await (await stand.open()).join('b');
  await one.accept(1);
  stand.index();
  stand.files.failNext = 'EIO';
  await assert.rejects(one.accept(2), { reason: 'lost' });
  stand.files.failOpen = 'EIO';
  await assert.rejects(one.raw.reopen(), StoreOpenError);
  await assert.rejects(one.store.look(), { reason: 'lost' }, 'until it is there');
  stand.files.failOpen = undefined;
  await one.raw.reopen();
  await one.join('a');
  assert.deepEqual([one.joined?.term, one.joined?.pinned], [2, 1]);
  assert.equal((await one.payment(1))?.state, PINNED);
  assert.equal((await other.store.look()).term, 2);
  assert.deepEqual(await one.accept(1, 2), [KNOWN, 2]);
});

test('a sync that fails is reported to all who waited for it', async () => {
  const stand = new EngineStand();
  const one = await (await stand.open()).join('a');
  const answers: unknown[] = [];
  one.raw.purge(answer => answers.push(answer));
  one.raw.purge(answer => answers.push(answer));
  stand.files.endSyncs(new Error('gone'));
  stand.files.endSyncs(new Error('gone'));
  assert.deepEqual(
    answers.map(answer => answer instanceof StoreFault && answer.reason),
    ['lost', 'lost'],
  );
});

test('no descriptor for the next segment makes a batch wait, and none that counts is reported as failed', async () => {
  const stand = new EngineStand();
  stand.segmentBytes = 600;
  const one = await (await stand.open()).join('a');
  const other = await (await stand.open()).join('b');
  const accepted: number[] = [];
  for (let n = 1; n <= 60; n++) {
    const by = n % 2 ? one : other;
    stand.files.failOpen = n % 5 === 0 ? undefined : 'EMFILE';
    try {
      await by.accept(n);
      accepted.push(n);
    } catch (error) {
      assert.equal((error as StoreFault).reason, 'busy');
    }
  }
  stand.files.failOpen = undefined;
  const all = Array.from({ length: 60 }, (_, index) => index + 1);
  assert.deepEqual(await one.found(...all), accepted);
  assert.ok(accepted.length > 15 && accepted.length < 60);
  stand.index();
  assert.deepEqual(await other.found(...all), accepted);
  assert.ok(segmentsAmong(stand.files.list('/store/log')).length > 3);
});

test('a write that was cut short is passed over, with what others wrote behind it', async () => {
  for (let cut = 1; cut < 88; cut += 7) {
    const stand = new EngineStand();
    const one = await (await stand.open()).join('a');
    const other = await (await stand.open()).join('b');
    await one.accept(1);
    // Killed in the middle of its write.
    stand.files.halfOf = cut;
    stand.files.onHalf = () => {
      throw new Error('killed');
    };
    await assert.rejects(one.accept(2), /killed/);
    assert.deepEqual(await other.accept(3), [2]);
    const late = await stand.open();
    assert.deepEqual(await late.found(1, 2, 3), [1, 3]);
    stand.index();
    assert.deepEqual(await late.found(1, 2, 3), [1, 3]);
    const [[segment, from, to] = [0, 0, 0]] = stand.damaged;
    assert.deepEqual([segment, to - from], [1, cut]);
  }
});

test('of a log with one bit turned only the batch that has it is lost, and that is reported', async () => {
  const sizes = new EngineStand();
  const first = await (await sizes.open()).join('a');
  await first.accept(1);
  const begin = sizes.segment().length;
  await first.accept(2, 3);
  const end = sizes.segment().length;
  for (let at = begin; at < end; at += 5) {
    const stand = new EngineStand();
    const one = await (await stand.open()).join('a');
    await one.accept(1);
    await one.accept(2, 3);
    await one.accept(4);
    stand.segment()[at]! ^= 1 << (at % 8);
    const late = await (await stand.open()).join('b');
    assert.deepEqual(await late.found(1, 2, 3, 4), [1, 4], `a bit of byte ${at}`);
    const [from, to] = [
      Math.min(...stand.damaged.map(each => each[1])),
      Math.max(...stand.damaged.map(each => each[2])),
    ];
    assert.deepEqual([from, to], [begin, end]);
    assert.deepEqual(await late.accept(2), [3]);
  }
});

test('a log of another version refuses the start, and says what to do', async () => {
  const stand = new EngineStand();
  const one = await (await stand.open()).join('a');
  const at = stand.segment().length;
  await one.accept(1);
  const bytes = stand.segment();
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  bytes[at + 4] = 9;
  view.setUint32(at + 40, crc32(bytes, at, at + 40), true);
  await assert.rejects(stand.open(), refusal(/version 9.*knows 1.*: run (the newer|that) one/));
  view.setUint8(7, 9);
  view.setUint32(28, crc32(bytes, 0, 28), true);
  await assert.rejects(stand.open(), refusal(/version 9.*knows 1.*: run (the newer|that) one/));
});

test("another store's segment refuses the start, and says what to do", async () => {
  const stand = new EngineStand();
  const other = storeIdOf(Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1));
  stand.files.createWhole(`/store/log/${logSegmentName(1)}`, encodeSegmentHeader(other, 1, 1));
  await assert.rejects(stand.open(), refusal(/0000000001\.log is of another store.*(put|take|restore)/));
});

test('a log whose segments are gone refuses the start, and says what to do', async () => {
  const stand = new EngineStand();
  const one = await (await stand.open()).join('a');
  await one.accept(1);
  stand.index();
  stand.files.remove(`/store/log/${logSegmentName(1)}`);
  await assert.rejects(stand.open(), refusal(/0000000001\.log is not there.*(bring|put|restore)/));
  assert.deepEqual(segmentsAmong(stand.files.list('/store/log')), [], 'nothing is begun anew');
});

test('a log that lost what the index has goes on behind it, and nothing is accepted twice', async () => {
  const stand = new EngineStand();
  const one = await (await stand.open()).join('a');
  await one.accept(1);
  stand.rest(1000);
  await one.accept(2, 3);
  stand.index();
  await one.accept(4);
  stand.losePower();
  // Two that start at once, on another run of the machine.
  const both = [await stand.open(2), await stand.open(2)];
  const [again, other] = [await both[0]!.join('a'), await both[1]!.join('b')];
  assert.deepEqual(await again.found(1, 2, 3, 4), [1, 2, 3]);
  assert.deepEqual(await other.accept(2, 4), [KNOWN, 4]);
  assert.deepEqual(await again.accept(4, 5), [KNOWN, 5]);
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(await again.found(1, 2, 3, 4, 5), [1, 2, 3, 4, 5]);
    const late = await stand.open(2);
    assert.deepEqual(await late.found(1, 2, 3, 4, 5), [1, 2, 3, 4, 5]);
    stand.rest(1000);
  }
  assert.deepEqual(
    (await again.store.take(0, 9)).map(({ seq, state }) => [seq, state]),
    [
      [1, PINNED],
      [2, PINNED],
      [3, PINNED],
      [5, 0],
    ],
  );
});

test('an index that lost what the log has is moved on before anybody asks it', async () => {
  const stand = new EngineStand();
  const one = await (await stand.open()).join('a');
  await one.accept(1);
  stand.index();
  const saved = stand.database.serialize();
  for (const n of [2, 3, 4]) {
    await one.accept(n);
    stand.rest(INDEX_AND_SYNC_MS);
  }
  stand.database = new DatabaseSync(':memory:');
  stand.database.deserialize(saved);
  const again = await (await stand.open()).join('a');
  assert.deepEqual(await again.found(1, 2, 3, 4), [1, 2, 3, 4]);
  assert.deepEqual(await again.accept(3, 5), [KNOWN, 5]);
  assert.equal((await again.store.take(0, 9)).length, 5);
});

test('an index that lost all but its tables is moved on before anybody asks it', async () => {
  const stand = new EngineStand();
  const saved = stand.database.serialize();
  const one = await (await stand.open()).join('a');
  for (const n of [1, 2, 3]) {
    await one.accept(n);
    stand.rest(INDEX_AND_SYNC_MS);
  }
  stand.database = new DatabaseSync(':memory:');
  stand.database.deserialize(saved);
  const again = await (await stand.open()).join('a');
  assert.deepEqual(await again.found(1, 2, 3), [1, 2, 3]);
  assert.deepEqual(await again.accept(1, 5), [KNOWN, 4]);
});

const INDEX_AND_SYNC_MS = INDEX_LAG.ms + 1000;

test('a log without its index refuses the start before it makes another one', () => {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-faults-'));
  try {
    openIndexFile({ directory }).close();
    mkdirSync(join(directory, logFolder), { recursive: true });
    writeFileSync(join(directory, logFolder, logSegmentName(3)), '');
    for (const file of readdirSync(directory).filter(name => name.startsWith(indexFile)))
      renameSync(join(directory, file), join(tmpdir(), `${file}.moved`));
    for (const mustExist of [false, true]) {
      assert.throws(
        () => openIndexFile({ directory, mustExist }),
        (error: Error) => {
          assert.ok(error instanceof StoreOpenError);
          assert.match(error.message, /^STORE_URL: .*payments\.db.*(bring|put|restore)/);
          assert.doesNotMatch(error.message, /take another directory|\n/);
          return true;
        },
      );
      assert.deepEqual(readdirSync(directory), [logFolder], 'nothing was made');
    }
  } finally {
    rmSync(directory, { recursive: true });
    rmSync(join(tmpdir(), `${indexFile}.moved`), { force: true });
  }
});

/** One line that names the setting and matches. */
function refusal(pattern: RegExp): (error: unknown) => boolean {
  return error => {
    assert.ok(error instanceof StoreOpenError, String(error));
    assert.match(error.message, /^STORE_URL: [^\n]*$/);
    assert.match(error.message, pattern);
    return true;
  };
}

test('a start without a descriptor to spare, at whatever call, never takes a segment of another store for its own', async () => {
  const other = encodeSegmentHeader(storeIdOf(Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1)), 2, 1);
  for (const isForeign of [true, false]) {
    const stand = new EngineStand();
    await (await (await stand.open()).join('a')).accept(1);
    if (isForeign) stand.files.createWhole('/store/log/0000000002.log', other);
    const { files } = stand;
    let left = 0;
    for (const name of ['list', 'openToAppend', 'createWhole'] as const) {
      const call = files[name].bind(files) as (...values: unknown[]) => never;
      files[name] = (...values: unknown[]) => {
        left -= 1;
        if (left === 0)
          throw Object.assign(new Error('too many open files'), { code: 'EMFILE', syscall: 'open' });
        return call(...values);
      };
    }
    let refused = 0;
    for (let at = 1; ; at++) {
      left = at;
      const opened = await stand.open().catch((error: unknown) => error as Error);
      if (opened instanceof StoreOpenError) refused += 1;
      else if (left <= 0) assert.ok(opened instanceof StoreOpenError, `opened without descriptor ${at}`);
      if (left > 0) {
        assert.equal(opened instanceof StoreOpenError, isForeign);
        break;
      }
      assert.match((opened as Error).message, /descriptors|another store/);
    }
    assert.ok(refused > 3);
  }
});

test('a log that is removed or replaced while it is in use takes no more than the next beat', async () => {
  for (const isReplaced of [false, true]) {
    const stand = new EngineStand();
    const one = await (await stand.open()).join('a');
    await one.store.beat('');
    const bytes = stand.segment().slice();
    stand.files.remove('/store/log/0000000001.log');
    if (isReplaced) stand.files.createWhole('/store/log/0000000001.log', bytes);
    await assert.rejects(one.store.beat(''), { reason: 'lost', detail: /removed or replaced/ });
    if (isReplaced) assert.equal((await (await stand.open()).join('b')).joined?.epoch, 2);
    else await assert.rejects(stand.open(), /0000000001\.log is not there any more/);
  }
});

test('the start that finds the end of the log lost says so, even if it has no descriptors to go on', async () => {
  const stand = new EngineStand();
  const { files } = stand;
  await (await (await stand.open()).join('a')).accept(1, 2);
  stand.index();
  stand.losePower();
  const create = files.createWhole.bind(files);
  files.createWhole = (path, bytes) => {
    files.failOpen = 'EMFILE';
    return create(path, bytes);
  };
  await assert.rejects(stand.open(2), /EMFILE/);
  assert.deepEqual(
    stand.damaged.map(([segment]) => segment),
    [1],
  );
  files.createWhole = create;
  files.failOpen = undefined;
  const anew = await (await stand.open(2)).join('a');
  assert.ok((await anew.payment(1))!.isUncertain);
  assert.equal(stand.damaged.length, 1);
});
