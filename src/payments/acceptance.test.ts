import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cents } from '../domain/money.ts';
import { writeIdBytes } from '../domain/payment.ts';
import { MemoryState, untouched } from '../storage/memory/state.ts';
import { StoreFault } from '../storage/ports.ts';
import { fakeFeed, type InstanceStand, instanceStand, type StandOptions } from '../testing/fakes.ts';
import type { AckAfter } from './acceptance.ts';
import { ACCEPTED, CONFLICT, UNAVAILABLE } from './api.ts';

const id = (number: number): Int32Array => Int32Array.of(number, 0, 0, 7);

interface AcceptStand extends InstanceStand {
  /** What the logs answer to `flushed`, in the order in which they were asked. */
  readonly flushes: PromiseWithResolvers<boolean>[];
  /** Segments of which a log was told that the store has one payment more. */
  readonly releases: number[];
  /** Other amounts of these first words were accepted elsewhere. */
  readonly conflicts: Set<number>;
}

/** An instance that has joined, whose processors never answer and whose flushes end when a test says so. */
async function acceptStand(ackAfter: AckAfter, options: StandOptions = {}): Promise<AcceptStand> {
  const flushes: PromiseWithResolvers<boolean>[] = [];
  const releases: number[] = [];
  const conflicts = new Set<number>();
  const stand = instanceStand({
    post: () => undefined,
    ...options,
    change: parts => ({
      ...parts,
      ackAfter,
      queueCapacity: 8,
      openLog: joined => {
        const log = parts.openLog(joined);
        log.flushed = () => {
          const flush = Promise.withResolvers<boolean>();
          flushes.push(flush);
          return flush.promise;
        };
        log.stored = segment => void releases.push(segment);
        return log;
      },
      openFeed: () => ({ ...fakeFeed(), conflicts: words => conflicts.has(words[0]!) }),
    }),
  });
  const start = stand.instance.start();
  await stand.pass(50);
  await start;
  return Object.assign(stand, { flushes, releases, conflicts });
}

/** A store in which another instance has put these payments; all ids are uncertain there. */
function storeWith(...numbers: readonly number[]): MemoryState {
  const state = new MemoryState();
  for (const number of numbers) {
    const bytes = new Uint8Array(16);
    writeIdBytes(id(number), 0, bytes, 0);
    state.put({ ...untouched, id: bytes, owner: 'backend-2', cents: 1990 as Cents, acceptedAtMs: 1 });
  }
  return state;
}

/** As long as the ids are not loaded, none is certain to be new. */
function loadNoIds(stand: InstanceStand): void {
  stand.fault = call => (call === 'ids' ? new StoreFault('busy', 'not now') : undefined);
  stand.instance.session!.knownIds.load();
}

const size = ({ instance }: InstanceStand): number => instance.session!.pool.size;

/** What an acceptance that asks the store comes to. */
async function asked(stand: InstanceStand, number: number, cents: number): Promise<unknown> {
  const acceptance = stand.instance.accept(id(number), cents);
  assert.ok(acceptance instanceof Promise, 'the store is not asked');
  const settled = acceptance.catch((error: unknown) => error);
  await stand.pass(10);
  return settled;
}

test('commit: when the log refuses, all acceptances of the turn are refused, and their slots are free', async () => {
  const stand = await acceptStand('commit');
  const { instance } = stand;
  for (const number of [1, 2, 3]) assert.equal(instance.accept(id(number), 1990), ACCEPTED);
  assert.equal(size(stand), 3);
  stand.logs[0]!.isFull = true;
  assert.equal(instance.commit(), false);
  assert.equal(size(stand), 0);
  await stand.pass(500);
  assert.equal(stand.state.payments.size, 0);
  assert.equal(stand.sent.length, 0);
});

test('commit: the turn after a refused one is kept, with the same payments', async () => {
  const stand = await acceptStand('commit');
  const { instance } = stand;
  instance.accept(id(1), 1990);
  stand.logs[0]!.isFull = true;
  instance.commit();
  stand.logs[0]!.isFull = false;
  assert.equal(await asked(stand, 1, 1990), ACCEPTED);
  assert.equal(instance.accept(id(2), 1990), ACCEPTED);
  assert.equal(instance.commit(), true);
  assert.equal(size(stand), 2);
  assert.deepEqual(stand.logs[0]!.written, [1990, 1990]);
});

test('commit: a turn in which nothing was accepted has nothing to refuse', async () => {
  const stand = await acceptStand('commit');
  stand.instance.accept(id(1), 1990);
  stand.logs[0]!.isFull = true;
  assert.equal(stand.instance.commit(), false);
  stand.logs[0]!.isFull = false;
  assert.equal(stand.instance.commit(), true);
});

test('parse: the answer does not wait for the log, and a log that refuses loses nothing of a living process', async () => {
  const stand = await acceptStand('parse');
  const { instance } = stand;
  stand.logs[0]!.isFull = true;
  assert.equal(instance.accept(id(1), 1990), ACCEPTED);
  assert.equal(instance.commit(), true);
  assert.equal(size(stand), 1);
  await stand.pass(500);
  assert.equal(stand.sent.length, 1);
});

test('parse: the log is written soon, once for several turns', async () => {
  const stand = await acceptStand('parse');
  const [log] = stand.logs;
  let writes = 0;
  const write = log!.write.bind(log);
  log!.write = () => {
    writes += 1;
    return write();
  };
  for (const number of [1, 2, 3]) {
    stand.instance.accept(id(number), number);
    assert.equal(stand.instance.commit(), true);
  }
  assert.equal(writes, 0);
  await stand.pass(10);
  assert.equal(writes, 1);
  assert.deepEqual(log!.written, [1, 2, 3]);
  stand.instance.accept(id(4), 4);
  stand.instance.commit();
  await stand.pass(10);
  assert.deepEqual(log!.written, [1, 2, 3, 4]);
});

for (const ackAfter of ['parse', 'commit', 'flush'] as const) {
  test(`${ackAfter}: what was accepted in a session that has ended since is refused`, async () => {
    const stand = await acceptStand(ackAfter);
    assert.equal(stand.instance.accept(id(1), 1990), ACCEPTED);
    stand.state.instance('backend-1').epoch += 1;
    await stand.pass(700);
    assert.deepEqual(stand.states, ['joining', 'live', 'fenced', 'live']);
    const kept = stand.instance.commit();
    stand.flushes[0]?.resolve(true);
    assert.equal(await kept, false);
    assert.equal(size(stand), 0);
    await stand.pass(300);
    assert.equal(stand.state.payments.size, 0);
  });
}

test('flush: the answer waits for the disk, and so does the payment', async () => {
  const stand = await acceptStand('flush');
  assert.equal(stand.instance.accept(id(1), 1990), ACCEPTED);
  const kept = stand.instance.commit();
  await stand.pass(200);
  assert.equal(stand.sent.length, 0);
  stand.flushes[0]!.resolve(true);
  assert.equal(await kept, true);
  await stand.pass(200);
  assert.equal(stand.sent.length, 1);
});

test('flush: when the log refuses, all acceptances of the turn are refused, and their slots are free', async () => {
  const stand = await acceptStand('flush');
  for (const number of [1, 2]) stand.instance.accept(id(number), 1990);
  stand.logs[0]!.isFull = true;
  assert.equal(await stand.instance.commit(), false);
  assert.equal(stand.flushes.length, 0);
  assert.equal(size(stand), 0);
});

test('flush: when the disk refuses, so are they, and the log waits for the store to have none of them', async () => {
  const stand = await acceptStand('flush');
  for (const number of [1, 2]) stand.instance.accept(id(number), 1990);
  const kept = stand.instance.commit();
  stand.flushes[0]!.resolve(false);
  assert.equal(await kept, false);
  assert.equal(size(stand), 0);
  assert.deepEqual(stand.releases, [1, 1]);
  await stand.pass(500);
  assert.equal(stand.sent.length, 0);
});

test('flush: an answer that rests on a payment which the disk then refused is refused as well', async () => {
  const stand = await acceptStand('flush');
  assert.equal(stand.instance.accept(id(1), 1990), ACCEPTED);
  const first = stand.instance.commit();
  // The same payment in the next turn: it is known, so nothing of it is written again.
  assert.equal(stand.instance.accept(id(1), 1990), ACCEPTED);
  const second = stand.instance.commit();
  stand.flushes[0]!.resolve(false);
  assert.equal(await first, false);
  stand.flushes[1]!.resolve(true);
  assert.equal(await second, false);
  assert.equal(stand.instance.accept(id(2), 1990), ACCEPTED);
  const third = stand.instance.commit();
  stand.flushes[2]!.resolve(true);
  assert.equal(await third, true);
});

test('flush: two turns that wait for the disk at once keep each their own payments', async () => {
  const stand = await acceptStand('flush');
  stand.instance.accept(id(1), 1990);
  const first = stand.instance.commit();
  stand.instance.accept(id(2), 1990);
  const second = stand.instance.commit();
  stand.flushes[0]!.resolve(true);
  stand.flushes[1]!.resolve(true);
  assert.deepEqual(await Promise.all([first, second]), [true, true]);
  await stand.pass(200);
  assert.deepEqual(
    stand.sent.map(({ request }) => request.correlationId.slice(0, 8)),
    ['00000001', '00000002'],
  );
});

test('flush: a flush that ends in a later session is refused, and touches nothing of that session', async () => {
  const stand = await acceptStand('flush');
  stand.instance.accept(id(1), 1990);
  const kept = stand.instance.commit();
  stand.state.instance('backend-1').epoch += 1;
  await stand.pass(700);
  assert.equal(stand.states.at(-1), 'live');
  stand.instance.accept(id(2), 1990);
  stand.flushes[0]!.resolve(true);
  assert.equal(await kept, false);
  assert.equal(size(stand), 1);
});

test('a payment that is at work here is accepted again with its amount, and with no other', async () => {
  const stand = await acceptStand('commit');
  const { instance } = stand;
  instance.accept(id(1), 1990);
  instance.commit();
  await stand.pass(100);
  assert.equal(instance.accept(id(1), 1990), ACCEPTED);
  assert.equal(instance.accept(id(1), 1991), CONFLICT);
  assert.equal(instance.commit(), true);
  assert.equal(size(stand), 1);
  assert.deepEqual(stand.logs[0]!.written, [1990]);
});

test('an amount that conflicts with what another instance accepted is a conflict, without asking the store', async () => {
  const stand = await acceptStand('commit');
  stand.conflicts.add(1);
  assert.equal(stand.instance.accept(id(1), 1990), CONFLICT);
  assert.equal(stand.instance.accept(id(2), 1990), ACCEPTED);
  assert.equal(size(stand), 1);
});

test('an id that is not certain to be new is asked of the store', async () => {
  const stand = await acceptStand('commit', { state: storeWith(1) });
  assert.equal(await asked(stand, 1, 1990), ACCEPTED, 'known, with its amount');
  assert.equal(await asked(stand, 1, 1991), CONFLICT, 'known, with another');
  assert.equal(size(stand), 0);
  loadNoIds(stand);
  assert.equal(await asked(stand, 2, 1990), ACCEPTED, 'unknown');
  assert.equal(size(stand), 1);
  assert.deepEqual(stand.logs[0]!.written, [1990], 'it is kept without a commit');
  stand.fault = call => (call === 'find' ? new StoreFault('busy', 'not now') : undefined);
  assert.equal(await asked(stand, 1, 1990), UNAVAILABLE, 'the store does not say');
});

test('what the store does not know is refused when the log is full', async () => {
  const stand = await acceptStand('commit');
  loadNoIds(stand);
  stand.logs[0]!.isFull = true;
  assert.equal(await asked(stand, 1, 1990), UNAVAILABLE);
  assert.equal(size(stand), 0);
});

test('two requests that ask the store of one id at once make one payment, or a conflict', async () => {
  const stand = await acceptStand('commit');
  loadNoIds(stand);
  const { instance } = stand;
  const answers = Promise.all([1990, 1990, 1991].map(cents => instance.accept(id(1), cents)));
  await stand.pass(10);
  assert.deepEqual(await answers, [ACCEPTED, ACCEPTED, CONFLICT]);
  assert.equal(size(stand), 1);
});

test('the id and the trace that the store was asked for are those of the call, though the caller uses them again', async () => {
  const stand = await acceptStand('commit');
  loadNoIds(stand);
  const [scratch, trace] = [id(1), Int32Array.of(1, 2, 3, 4, 1)];
  const acceptance = stand.instance.accept(scratch, 1990, trace);
  scratch.fill(9);
  trace.fill(9);
  await stand.pass(200);
  assert.equal(await acceptance, ACCEPTED);
  const [{ request }] = stand.sent as [(typeof stand.sent)[0]];
  assert.equal(request.correlationId, '00000001-0000-0000-0000-000000000007');
  assert.match(request.traceparent!, /^00-00000001000000020000000300000004-/);
});

test('an error that nobody expects of the store is not taken for its absence', async () => {
  const stand = await acceptStand('commit');
  loadNoIds(stand);
  const bug = new TypeError('a bug');
  const { store } = stand;
  store.find = () => {
    throw bug;
  };
  assert.equal(await asked(stand, 1, 1990), bug);
});

test('a full queue takes no more, and takes again when there is room', async () => {
  const stand = await acceptStand('commit');
  const { instance } = stand;
  for (let number = 1; number <= 8; number++) assert.equal(instance.accept(id(number), 1990), ACCEPTED);
  assert.equal(instance.accept(id(9), 1990), UNAVAILABLE);
  assert.equal(instance.commit(), true);
  assert.equal(instance.accept(id(8), 1990), ACCEPTED, 'known all the same');
});
