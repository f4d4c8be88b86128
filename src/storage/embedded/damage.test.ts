/** On real files: what is left of a log whose bytes were damaged before the index had them. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { PINNED, SENT, SETTLED, type StoredPayment } from '../../domain/payment.ts';
import { systemClock } from '../../system-clock.ts';
import { asked, idOf, put, settleRow } from '../../testing/stores.ts';
import { until } from '../../testing/until.ts';
import { Batch } from '../batch.ts';
import { openStore } from '../open.ts';
import type { Joined } from '../ports.ts';
import type { LogDamage } from './damage.ts';

const PAYMENTS = 200;

function emptyDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'soquete-damage-'));
  t.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

async function open(t: TestContext, directory: string, instance: string) {
  const damage: LogDamage[] = [];
  const store = await openStore({
    ...{
      store: { is: 'sqlite', directory },
      ackAfter: 'commit',
      instance,
      clock: systemClock,
      chance: Math.random,
    },
    ...{ mustExist: false, isDiskDoubtful: false },
    events: { damaged: found => void damage.push(found), notIndexed: () => {} },
  });
  const ask = asked(store);
  t.after(() => ask.leave());
  const write = async (
    { epoch, generation }: Joined,
    fill: (batch: Batch) => void,
  ): Promise<Float64Array> => {
    const batch = new Batch(epoch, generation);
    fill(batch);
    return (await ask.write(batch)).results;
  };
  const indexed = () => new Promise(reply => store.latest(1, reply));
  const known = async (): Promise<StoredPayment[]> => {
    const found = await Promise.all(Array.from({ length: PAYMENTS }, (_, n) => ask.find(idOf(n))));
    return found.filter(payment => payment !== undefined);
  };
  return { ask, write, indexed, known, damage };
}

/**
 * What a kill leaves of 200 acknowledged payments of which the index has none, and where their batches begin.
 */
async function killed(t: TestContext, isSettledOf: (n: number) => boolean = () => false) {
  const live = emptyDirectory(t);
  const segment = join(live, 'log', '0000000001.log');
  const { ask, write, indexed } = await open(t, live, 'backend-1');
  const joined = await ask.join('backend-1');
  await indexed();
  const batches: number[] = [];
  // Without a turn of the event loop in between, so the index does not move.
  for (let n = 0; n < PAYMENTS; n++) {
    batches.push(readFileSync(segment).length);
    await write(joined, batch => put(batch, n, { state: SENT, processor: 0, requestedAtMs: 5, attempts: 1 }));
    if (!isSettledOf(n)) continue;
    const payment = (await ask.find(idOf(n)))!;
    await write(joined, batch => settleRow(batch, payment, { requestedAtMs: 5 }));
  }
  batches.push(readFileSync(segment).length);
  const directory = emptyDirectory(t);
  cpSync(live, directory, { recursive: true });
  const path = join(directory, 'log', '0000000001.log');
  const change = (edit: (bytes: Uint8Array) => void): void => {
    const bytes = readFileSync(path);
    edit(bytes);
    writeFileSync(path, bytes);
  };
  return { directory, path, batches, change };
}

test('one bit turned in a log of 200 payments costs the one that it hit, which is kept and reported once', async t => {
  const { directory, batches, change } = await killed(t);
  const [from, to] = [batches[9]!, batches[10]!];
  let hit: Uint8Array | undefined;
  change(bytes => {
    bytes[from + 60]! ^= 4;
    hit = Uint8Array.from(bytes.subarray(from, to));
  });
  const [first, other] = await Promise.all([
    open(t, directory, 'backend-1'),
    open(t, directory, 'backend-2'),
  ]);
  const keptAs = join(directory, 'log', 'damaged', `0000000001-${from}-${to}`);
  assert.deepEqual(
    [...first.damage, ...other.damage],
    [{ is: 'damaged', segment: 1, from, to, records: 2, keptAs }],
  );
  assert.deepEqual(new Uint8Array(readFileSync(keptAs)), hit);

  // What was lost may have been an intent, so a term begins and what waits is pinned.
  const joined = await first.ask.join('backend-1');
  assert.equal(joined.term, 2);
  assert.equal((await other.ask.join('backend-2')).term, 2);
  for (const { known } of [first, other]) assert.equal((await known()).length, PAYMENTS - 1);
  const taken = await first.ask.take(0, 1000);
  assert.equal(taken.length, PAYMENTS - 1);
  // It may have been one to the other processor, so both are asked for each, and for what was forgotten.
  assert.ok(taken.every(({ isUncertain }) => isUncertain));
  assert.ok(joined.asksFirstUntilMs > systemClock.wallMs() && !joined.isCalm);
  await first.write(joined, batch => put(batch, 9, { acceptedAtMs: systemClock.wallMs() }));
  assert.equal((await first.ask.find(idOf(9)))?.isUncertain, true);
  assert.equal((await other.known()).length, PAYMENTS);
});

test('the same with bytes overwritten in several places, and with the end cut off', async t => {
  const { directory, path, batches, change } = await killed(t);
  change(bytes => {
    bytes.fill(0xaa, batches[20]! + 30, batches[23]! - 10);
    bytes.fill(0, batches[60]!, batches[62]!);
    bytes[batches[100]! + 2] = 0x51;
  });
  truncateSync(path, batches[150]! - 5);
  const { ask, write, indexed, known, damage } = await open(t, directory, 'backend-1');
  // Nothing whole is behind the end that is cut off: it may yet be written.
  assert.deepEqual(
    damage.map(({ is, from, to }) => [is, from, to]),
    [
      ['damaged', batches[20], batches[23]],
      ['damaged', batches[60], batches[62]],
      ['damaged', batches[100], batches[101]],
    ],
  );
  const joined = await ask.join('backend-1');
  assert.deepEqual(damage.at(-1)?.is, 'torn');
  assert.equal((await known()).length, 149 - 3 - 2 - 1);
  assert.equal(readdirSync(join(directory, 'log', 'damaged')).length, 4);
  await write(joined, batch => put(batch, 1000));
  await indexed();
  assert.equal((await known()).length, 149 - 3 - 2 - 1);
});

test('a payment whose acceptance is damaged and whose settlement is whole is settled', async t => {
  const { directory, batches, change } = await killed(t, n => n % 2 === 0);
  change(bytes => {
    bytes[batches[10]! + 60]! ^= 4; // accepted and sent; its settlement is the batch behind
    bytes[batches[13]! - 3]! ^= 4; // the settlement of 12
    bytes[batches[15]! + 60]! ^= 4;
  });
  const { ask, write, indexed, known, damage } = await open(t, directory, 'backend-1');
  assert.equal(damage.length, 3);
  const joined = await ask.join('backend-1');
  await indexed();
  const { default: total } = await ask.summary(-Infinity, Infinity);
  assert.equal(total.count, PAYMENTS / 2 - 1);
  // Once a mark of the index is in the log.
  await until(
    async () => (await ask.find(idOf(10))) !== undefined,
    'the payment that is only booked is known',
  );
  const found = await known();
  assert.equal(found.length, PAYMENTS - 1);
  assert.equal((await ask.find(idOf(10)))?.state, SETTLED);
  // Its owner had sent it: only the same processor can say what became of it.
  assert.equal((await ask.find(idOf(12)))?.state, SENT);
  // All that are owed are taken, and settled once.
  const taken = await ask.take(0, 1000);
  assert.equal(taken.length, PAYMENTS / 2);
  for (const payment of taken) {
    await write(joined, batch => settleRow(batch, payment, { requestedAtMs: 5 }));
  }
  await indexed();
  assert.equal((await ask.summary(-Infinity, Infinity)).default.count, PAYMENTS - 1);
  assert.deepEqual(await ask.take(0, 1000), []);
  assert.ok(found.every(({ state }) => state !== PINNED));
});

test('where the end is cut off and nobody lives, whole batches may be missing too: what is unsettled is uncertain', async t => {
  const { directory, path, batches } = await killed(t);
  truncateSync(path, batches[150]! - 5);
  const both = await Promise.all([open(t, directory, 'backend-1'), open(t, directory, 'backend-2')]);
  const joined = await both[0].ask.join('backend-1');
  assert.equal(joined.term, 2);
  assert.ok(joined.asksFirstUntilMs > systemClock.wallMs() && !joined.isCalm);
  assert.equal((await both[1].ask.join('backend-2')).term, 2);
  const taken = await both[0].ask.take(0, 1000);
  assert.equal(taken.length, 149);
  assert.ok(taken.every(({ isUncertain }) => isUncertain));
});

test('where somebody lives, a write that was cut short is what a dead one left: no term begins', async t => {
  const { directory, path, batches } = await killed(t);
  const living = await open(t, directory, 'backend-2');
  const { epoch, term } = await living.ask.join('backend-2');
  appendFileSync(path, readFileSync(path).subarray(batches[9]!, batches[10]! - 5));
  const opened = open(t, directory, 'backend-1');
  await living.ask.beat('');
  const joined = await (await opened).ask.join('backend-1');
  assert.equal(joined.term, term);
  assert.ok(joined.epoch > epoch);
  assert.equal((await living.known()).length, PAYMENTS);
});
