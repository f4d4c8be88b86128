/**
 * Damages each record of a log that holds every kind of them, and opens what is left: whatever stands whole
 * around it counts as it did when it was written.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLOSED, idText, SETTLED, WAITING } from '../../domain/payment.ts';
import { seededBelow } from '../../domain/random.ts';
import { attemptRow, holdRow, idOf, markRow, seed, settleRow } from '../../testing/stores.ts';
import { Batch } from '../batch.ts';
import { KNOWN, StoreFault } from '../ports.ts';
import { type Engine, EngineStand } from './engine.fixture.ts';
import { copyOfMemoryIndex } from './index/schema.ts';
import { BatchView, readBatch } from './shared-log/decoder.ts';
import { Order } from './shared-log/order.ts';
import * as recordKinds from './shared-log/record-kinds.ts';
import * as record from './shared-log/records.ts';
import {
  logSegmentName,
  positionOf,
  SEGMENT_HEADER_BYTES,
  segmentsAmong,
  storeIdOf,
} from './shared-log/segments.ts';

const STORE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);

interface Written {
  readonly segments: readonly Uint8Array[];
  readonly index: Uint8Array;
}

/** What three instances leave that join, work, die, are adopted, purge, come back and are killed. */
async function written(): Promise<Written> {
  const stand = new EngineStand(STORE);
  const sync = stand.files.sync.bind(stand.files);
  stand.files.sync = (fd, done) => {
    sync(fd, done);
    setImmediate(() => stand.files.endSyncs());
  };
  stand.segmentBytes = 1500;
  const index = stand.database.serialize();
  const [a, b, c] = [await stand.open(), await stand.open(), await stand.open()];
  for (const [engine, name] of [
    [a, 'a'],
    [b, 'b'],
    [c, 'c'],
  ] as const)
    await engine.join(name);
  await a.store.rememberUrls(['http://one', 'http://two']);
  await a.accept(900);
  await b.store.purge();
  for (const [engine, name] of [
    [a, 'a'],
    [b, 'b'],
    [c, 'c'],
  ] as const)
    await engine.join(name);
  await a.store.takeChecker('');
  await a.store.report(0, true, 5);
  for (let n = 1; n <= 9; n++) await [a, b, c][n % 3]!.accept(n, n + 100);
  stand.index();
  for (const n of [1, 2, 3]) await settle([a, b, c][n % 3]!, n);
  await change(a, 4, (batch, payment) => markRow(batch, payment, { requestedAtMs: 5 }));
  await change(a, 4, (batch, payment) => attemptRow(batch, payment, { requestedAtMs: 5 }));
  await change(b, 7 + 0 * 4, (batch, payment) => holdRow(batch, payment, { requestedAtMs: 5 }));
  await c.store.beat('{}');
  const dead = c.joined!.epoch;
  await a.store.fence('c', dead, 1);
  await b.store.adopt('b');
  for (const n of [5, 8]) await settle(b, n);
  const again = await (await stand.open()).join('c');
  for (let n = 10; n <= 14; n++) await again.accept(n);
  stand.index();
  for (const n of [10, 11]) await settle(again, n);
  await a.store.leave();
  const late = await (await stand.open()).join('d');
  for (let n = 20; n <= 28; n++) await late.accept(n);
  for (const n of [20, 21]) await settle(late, n);
  for (let n = 30; n <= 33; n++) await again.accept(n);
  for (const n of [30, 31]) await settle(again, n);
  const count = segmentsAmong(stand.files.list('/store/log')).length;
  return { segments: Array.from({ length: count }, (_, at) => stand.segment(at + 1).slice()), index };
}

async function settle(engine: Engine, n: number): Promise<void> {
  await engine.settle((await engine.payment(n))!);
}

async function change(
  engine: Engine,
  n: number,
  fill: (batch: Batch, payment: NonNullable<Awaited<ReturnType<Engine['payment']>>>) => void,
): Promise<void> {
  const batch = new Batch(engine.joined!.epoch, engine.joined!.generation);
  fill(batch, (await engine.payment(n))!);
  await engine.store.write(batch);
}

interface Place {
  readonly segment: number;
  readonly from: number;
  readonly to: number;
  readonly kinds: readonly number[];
  readonly recordsAt: readonly number[];
  /** The ids that it accepts, and those that it settles, as it counts. */
  readonly accepts: Set<string>;
  readonly books: Set<string>;
  readonly purges: boolean;
}

/** The batches of a log, each with what it did. */
function placesOf({ segments }: Written): Place[] {
  const places: Place[] = [];
  let place: Place;
  const order = new Order(storeIdOf(STORE).mark, (kind, _start, batch, at) => {
    const id = idText(batch.source.bytes.subarray(at + 8, at + 24));
    if (kind === record.ACCEPT) place.accepts.add(id);
    if (kind === record.BOOK) place.books.add(id);
  });
  segments.forEach((bytes, index) => {
    const source = { bytes, view: new DataView(bytes.buffer) };
    const batch = new BatchView();
    for (let at = SEGMENT_HEADER_BYTES; at < bytes.length; at += batch.byteLength) {
      assert(readBatch(source, at, bytes.length, batch));
      const recordsAt: number[] = [];
      for (let next = batch.recordsAt; next < at + batch.byteLength; ) {
        recordsAt.push(next);
        next += record.recordBytes(source.view, next);
      }
      place = {
        ...{ segment: index + 1, from: at, to: at + batch.byteLength, recordsAt },
        kinds: recordsAt.map(each => record.recordKind(source.view, each)),
        ...{ accepts: new Set(), books: new Set() },
        purges: recordsAt.some(each => record.recordKind(source.view, each) === record.PURGE),
      };
      order.feed(batch, positionOf(index + 1, at));
      places.push(place);
    }
  });
  return places;
}

/** Where a bit is turned in a batch, by what stands there. */
const DAMAGE: Readonly<Record<string, (place: Place) => number>> = {
  magic: ({ from }) => from + 1,
  version: ({ from }) => from + 4,
  'length of the batch': ({ from }) => from + 8,
  epoch: ({ from }) => from + 20,
  'sum of the header': ({ from }) => from + 41,
  'size of a record': ({ recordsAt }) => recordsAt.at(-1)!,
  'kind of a record': ({ recordsAt }) => recordsAt.at(-1)! + 2,
  'sum of a record': ({ recordsAt }) => recordsAt.at(-1)! + 5,
  'body of a record': ({ to }) => to - 3,
};

async function opened({ segments, index }: Written, ...names: string[]) {
  const stand = new EngineStand(STORE);
  stand.database = copyOfMemoryIndex(index);
  segments.forEach((bytes, at) => {
    stand.files.createWhole(`/store/log/${logSegmentName(at + 1)}`, bytes);
  });
  const engines: Engine[] = [];
  for (const name of names) engines.push(await (await stand.open()).join(name));
  return { stand, engines };
}

const total = async (engine: Engine): Promise<number> => {
  const { default: one, fallback } = await engine.store.summary(-Infinity, Infinity);
  return one.count + fallback.count;
};

/** What a log has to say still, in which some batches cannot be read. */
function expected(places: readonly Place[], isHit: (place: Place) => boolean) {
  const known = new Set<string>();
  const settled = new Set<string>();
  // What is behind the last purge, which later batches prove.
  const purge = places.findLastIndex(({ purges }) => purges);
  for (const place of places.slice(purge + 1).filter(each => !isHit(each))) {
    for (const id of place.accepts) known.add(id);
    for (const id of place.books) settled.add(id);
  }
  return { known, settled };
}

async function check(log: Written, places: readonly Place[], isHit: (place: Place) => boolean, what: string) {
  const { known, settled } = expected(places, isHit);
  const { stand, engines } = await opened(log, 'a', 'b');
  const ids = Array.from({ length: 200 }, (_, n) => n);
  const numberOf = new Map(ids.map(n => [idText(idOf(n)), n]));
  for (const time of ['before', 'after'] as const) {
    for (const engine of engines) {
      for (const id of known) {
        const found = await engine.payment(numberOf.get(id)!);
        assert.ok(
          found !== undefined,
          `${what}: payment ${numberOf.get(id)} is lost (${time} the index moved)`,
        );
        if (settled.has(id))
          assert.equal(found.state, SETTLED, `${what}: ${numberOf.get(id)} is not settled`);
      }
      assert.equal(await total(engine), settled.size, `${what}: settlements (${time} the index moved)`);
    }
    for (let round = 0; round < 3; round++) stand.index();
  }
  const [first, other] = engines as [Engine, Engine];
  assert.ok((await first.accept(500))[0]! > 0, what);
  assert.deepEqual(await other.accept(500), [KNOWN], what);
  return stand;
}

test('the log of this test holds every kind of record that an engine writes', async () => {
  const kinds = new Set(placesOf(await written()).flatMap(place => place.kinds));
  const all = Object.entries(recordKinds).filter(([name]) => name !== 'LAST_PAYMENT_KIND');
  const missing = all.filter(([, value]) => !kinds.has(value as number)).map(([name]) => name);
  assert.deepEqual(missing, ['ACT', 'EMPTY']);
});

test(`several parts overwritten, zeroed or cut out at once: the same (SEED=${seed})`, async () => {
  const log = await written();
  const places = placesOf(log);
  const below = seededBelow(seed);
  for (let round = 0; round < 60; round++) {
    const segments = log.segments.map(bytes => bytes.slice());
    const ranges = Array.from({ length: 1 + below(4) }, () => {
      const segment = 1 + below(segments.length);
      const bytes = segments[segment - 1]!;
      const from = SEGMENT_HEADER_BYTES + below(bytes.length - SEGMENT_HEADER_BYTES);
      const to = Math.min(bytes.length, from + 1 + below([4, 100, 700][below(3)]!));
      const byte = [0, 0xff, 0xfe, 0xaa][below(4)]!;
      return { segment, from, to, byte };
    });
    for (const { segment, from, to, byte } of ranges) segments[segment - 1]!.fill(byte, from, to);
    const isHit = (place: Place): boolean =>
      log.segments[place.segment - 1]!.subarray(place.from, place.to).some(
        (byte, at) => segments[place.segment - 1]![place.from + at] !== byte,
      );
    // Whatever is behind a purge that nothing else proves is of the time before it.
    if (places.filter(isHit).some(({ purges }) => purges)) continue;
    await check({ ...log, segments }, places, isHit, JSON.stringify(ranges));
  }
});

test('a log that is cut at any byte of its last batches has what stands in front of that', async () => {
  const log = await written();
  const places = placesOf(log);
  const last = log.segments.length;
  const bytes = log.segments.at(-1)!;
  for (let cut = bytes.length - 200; cut < bytes.length; cut += 3) {
    const segments = log.segments.map((each, at) => (at === last - 1 ? each.slice(0, cut) : each));
    const isCut = (place: Place): boolean => place.segment === last && place.to > cut;
    await check({ ...log, segments }, places, isCut, `cut at ${cut}`);
  }
});

for (const [what, where] of Object.entries(DAMAGE)) {
  test(`a bit turned in any batch, in the ${what}: all that stands whole around it counts as it did`, async () => {
    const log = await written();
    const places = placesOf(log);
    const failures: string[] = [];
    for (const place of places) {
      const segments = log.segments.map(bytes => bytes.slice());
      segments[place.segment - 1]![where(place)]! ^= 4;
      const name = `${what} of ${place.segment}:${place.from} (kinds ${place.kinds})`;
      await check({ ...log, segments }, places, each => each === place, name).then(
        ({ damaged }) => {
          const isSaid = damaged.some(
            ([segment, from, to]) => segment === place.segment && from <= place.from && to >= place.from,
          );
          if (!isSaid) failures.push(`${name}: not reported, but ${JSON.stringify(damaged)}`);
        },
        (error: unknown) =>
          void failures.push(
            `${name}: ${error instanceof StoreFault ? error.detail : (error as Error).message}`,
          ),
      );
    }
    assert.deepEqual(failures, []);
  });
}

test('damage under living instances, which have read what stood there, is found: they agree again, and lose nothing', async () => {
  const stand = new EngineStand(STORE);
  const a = await (await stand.open()).join('a');
  const b = await (await stand.open()).join('b');
  await a.accept(1);
  const from = stand.segment().length;
  await a.accept(2);
  await a.settle((await a.payment(2))!);
  await b.accept(3);
  await a.accept(4);
  stand.segment()[from + 60]! ^= 4;
  // The index comes upon it.
  stand.index();
  assert.deepEqual(
    stand.damaged.map(([segment, at]) => [segment, at]),
    [[1, from]],
  );
  await assert.rejects(a.accept(5), { reason: 'lost' });
  await a.raw.reopen();
  await a.join('a');
  // The other has been ended by that, and has read what is not there any more.
  await assert.rejects(b.accept(6), { reason: 'fenced' });
  await assert.rejects(b.store.join('b'), { reason: 'lost' });
  await b.raw.reopen();
  await b.join('b');
  for (const engine of [a, b]) assert.deepEqual(await engine.found(1, 2, 3, 4, 5, 6), [1, 2, 3, 4]);
  for (const engine of [a, b]) assert.equal(await total(engine), 1);
  assert.ok((await b.payment(3))!.isUncertain);
  // One more each, so a number that differs shows.
  const [[of7], [of8]] = [await a.accept(7), await b.accept(8)];
  assert.equal(of8, of7! + 1);
  for (let round = 0; round < 3; round++) stand.index();
  for (const engine of [a, b]) assert.deepEqual(await engine.found(1, 2, 3, 4, 7, 8), [1, 2, 3, 4, 7, 8]);
  assert.equal((await b.payment(2))!.state, SETTLED);
  for (const engine of [a, b]) assert.equal(await total(engine), 1);
});

/** One instance accepts a payment and goes on with it, `change`; then the acceptance is damaged. */
async function withoutAcceptance(fill: Parameters<typeof change>[2]) {
  const stand = new EngineStand();
  const a = await (await stand.open()).join('a');
  const from = stand.segment().length;
  await a.accept(1);
  await change(a, 1, fill);
  stand.segment()[from + 60]! ^= 4;
  return { stand, b: await (await stand.open()).join('b'), c: await (await stand.open()).join('c') };
}

test('a payment whose acceptance is damaged, and its intent is not, is accepted anew by the one that it comes to again', async () => {
  const { stand, b, c } = await withoutAcceptance((batch, payment) =>
    markRow(batch, payment, { requestedAtMs: 5 }),
  );
  assert.equal(await c.payment(1), undefined);
  const [seq] = await c.accept(1);
  assert.ok(seq! > 0, `its client is answered as if it was another one's: ${seq}`);
  assert.deepEqual(await b.accept(1), [KNOWN]);
  const owned = await Promise.all([b, c].map(engine => engine.store.take(0, 9)));
  assert.deepEqual(
    owned.map(payments => payments.map(({ seq, state, isUncertain }) => [seq, state, isUncertain])),
    [[], [[seq, WAITING, true]]],
  );
  await settle(c, 1);
  for (let round = 0; round < 3; round++) {
    for (const engine of [b, c]) assert.equal(await total(engine), 1);
    stand.index();
  }
});

test('a held payment whose acceptance is damaged is no payment until it comes again', async () => {
  const { stand, b, c } = await withoutAcceptance((batch, payment) =>
    holdRow(batch, payment, { requestedAtMs: 5 }),
  );
  const held = async (): Promise<number[]> =>
    (await Promise.all([b, c].map(engine => engine.store.takeHeld(1e9, 9)))).flat().map(({ cents }) => cents);
  assert.deepEqual(await held(), []);
  assert.ok((await c.accept(1))[0]! > 0);
  assert.deepEqual([await held(), (await c.store.take(0, 9)).length], [[], 1]);
  for (let round = 0; round < 3; round++) stand.index();
  assert.deepEqual([await held(), (await c.store.take(0, 9)).length], [[], 1]);
});

test('a settled payment whose acceptance is damaged is known, before the index has it and behind', async () => {
  const { stand, b, c } = await withoutAcceptance((batch, payment) =>
    settleRow(batch, payment, { requestedAtMs: 5 }),
  );
  for (let round = 0; round < 4; round++) {
    for (const engine of [b, c]) {
      const { state, acceptedAtMs } = (await engine.payment(1))!;
      assert.deepEqual([state, acceptedAtMs], [SETTLED, 5]);
    }
    // The tail lets go of what two marks are behind.
    await b.accept(10 + round);
    stand.index();
  }
});

test('a closed payment whose acceptance is damaged is closed, before the index has it and behind', async () => {
  const stand = new EngineStand();
  const a = await (await stand.open()).join('a');
  const from = stand.segment().length;
  await a.accept(1);
  const given = { processor: undefined, requestedAtMs: 0, atMs: 9, who: 'ana', text: 'as agreed' };
  const acted = a.store.act({ ...given, id: idOf(1), kind: 'close' });
  stand.files.endSyncs();
  assert.equal(await acted, 'done');
  const { cents } = (await a.payment(1))!;
  stand.segment()[from + 60]! ^= 4;
  const [b, c] = [await (await stand.open()).join('b'), await (await stand.open()).join('c')];
  for (let round = 0; round < 4; round++) {
    for (const engine of [b, c]) {
      const payment = (await engine.payment(1))!;
      assert.deepEqual([payment.state, payment.cents, payment.reason], [CLOSED, cents, 'as agreed']);
      assert.deepEqual(await engine.accept(1), [KNOWN]);
    }
    // The tail lets go of what two marks are behind.
    await b.accept(10 + round);
    stand.index();
  }
});
