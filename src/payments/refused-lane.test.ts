/** Payments that processors refuse as they are cost the others nothing, however many there are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AttemptResult } from '../domain/outcome.ts';
import { HELD_REFUSED, idText, idTextWords, type ProcessorIndex, SETTLED } from '../domain/payment.ts';
import { EventLoop } from '../simulation/event-loop.ts';
import { MemoryState } from '../storage/memory/state.ts';
import { type InstanceStand, instanceStand } from '../testing/fakes.ts';

const idOf = (number: number, isBad: boolean): string =>
  `${isBad ? '00000000' : '11111111'}-0000-4000-8000-${number.toString(16).padStart(12, '0')}`;
const isBad = (id: string): boolean => id.startsWith('00000000');

type Answer = (to: ProcessorIndex) => AttemptResult;

interface Refused {
  readonly stand: InstanceStand;
  readonly parts: { readonly breakers: readonly { readonly circuit: string }[] };
  /** From acceptance to settlement, of each good payment. */
  readonly delaysMs: number[];
  /** Attempts on bad payments. */
  badAttempts: number;
}

/** `bad` payments come in at once, which are answered so, then good ones at 100 a second for `seconds`. */
async function run(bad: number, seconds: number, answer: Answer): Promise<Refused> {
  const parts: { current?: Refused['parts'] } = {};
  const seen = { delaysMs: [] as number[], badAttempts: 0 };
  const stand = instanceStand({
    post(to, { correlationId }) {
      if (!isBad(correlationId)) return { status: 200 };
      seen.badAttempts += 1;
      return answer(to);
    },
    change(given) {
      parts.current = given;
      return {
        ...given,
        queueCapacity: 2 ** 15,
        concurrency: 64,
        policy: { defaultAttempts: 5, backoffMinMs: 100, backoffMaxMs: 2000, fallbackAfterMs: 30_000 },
        events: { ...given.events, settled: (_to, _cents, waitedMs) => void seen.delaysMs.push(waitedMs) },
      };
    },
  });
  const start = stand.instance.start();
  await stand.pass(50);
  await start;
  for (let number = 0; number < bad; number++) accept(stand, idOf(number, true));
  // Nobody can know that they are bad before each has been tried once.
  await stand.pass(1000);
  for (let number = 0; number < seconds * 100; number++) {
    await stand.pass(10);
    accept(stand, idOf(number, false));
  }
  await stand.pass(1000);
  return Object.assign(seen, { stand, parts: parts.current! });
}

function accept({ instance }: InstanceStand, id: string): void {
  assert.equal(instance.accept(idTextWords(id), 1990), 1);
  void instance.commit(1);
}

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length * share)]!;

const heldIn = ({ state }: InstanceStand): number =>
  [...state.payments.values()].filter(({ held }) => held === HELD_REFUSED).length;

for (const [what, bad, answer] of [
  ['1,000 payments that both processors refuse', 1000, () => ({ status: 400 })],
  ['10,000 payments that both processors refuse', 10_000, () => ({ status: 404 })],
  ['payments that make both processors fail', 4, () => ({ status: 500 })],
] as const) {
  test(`beside ${what}, good ones are settled as if these were not there`, async () => {
    const [without, beside] = [await run(0, 15, answer), await run(bad, 15, answer)];
    for (const { delaysMs } of [without, beside]) assert.equal(delaysMs.length, 1500, 'all are settled');
    // What fails may be the processor, until others are settled there.
    const longest = answer().status === 500 ? 0.99 : 0.9999;
    for (const share of [0.5, longest]) {
      const [usual, now] = [percentile(without.delaysMs, share), percentile(beside.delaysMs, share)];
      assert.ok(now <= usual * 2, `${share}: ${now} ms, ${usual} ms without them`);
    }
    const { stand, parts } = beside;
    assert.deepEqual(
      parts.breakers.map(({ circuit }) => circuit),
      ['closed', 'closed'],
    );
    await stand.pass(200_000);
    assert.equal(heldIn(stand), bad, 'the bad ones are held');
    const inMemory = stand.instance.session!.pool.size;
    assert.ok(inMemory <= 16, `${inMemory} of them are in memory`);
  });
}

test('a held payment is tried ever more seldom, on each processor, and settled once one takes it', async () => {
  let isMended = false;
  const sentTo: [ProcessorIndex, number][] = [];
  const clock = { nowMs: () => 0 };
  const { stand } = await run(1, 0, to => {
    sentTo.push([to, clock.nowMs()]);
    return { status: isMended ? 200 : 400 };
  });
  clock.nowMs = () => stand.loop.nowMs;
  await stand.pass(60_000);
  const before = sentTo.length;
  await stand.pass(2 * 3_600_000);
  const later = sentTo.slice(before);
  assert.ok(later.length >= 8 && later.length <= 60, `${later.length} attempts in two hours`);
  assert.deepEqual([...new Set(later.map(([to]) => to))].sort(), [0, 1]);
  const lastTry = later.at(-1)![1];
  const pauses = later.map(([, atMs], at) => atMs - (later[at - 1]?.[1] ?? atMs));
  assert.ok(Math.max(...pauses) <= 3_600_000 + 10_000, 'at least once an hour');
  assert.ok(lastTry > 0);
  isMended = true;
  await stand.pass(3_700_000);
  const [payment] = stand.state.payments.values();
  assert.deepEqual([payment!.state, payment!.held], [SETTLED, 0]);
});

test('a restart forgets no hold, and waits for the next try', async () => {
  const [state, loop] = [new MemoryState(), new EventLoop()];
  const refuse = { state, loop, post: (): AttemptResult => ({ status: 400 }) };
  const first = instanceStand(refuse);
  const started = first.instance.start();
  await first.pass(50);
  await started;
  accept(first, idOf(1, true));
  await first.pass(15_000);
  const [payment] = state.payments.values();
  assert.equal(payment!.held, HELD_REFUSED, idText(payment!.id));
  const stopped = first.instance.stop();
  await first.pass(100);
  await stopped;
  const again = instanceStand(refuse);
  const restarted = again.instance.start();
  await again.pass(50);
  await restarted;
  await again.pass(1000);
  assert.equal(again.sent.length, 0);
  await again.pass(60_000);
  assert.deepEqual(
    again.sent.slice(0, 2).map(({ to }) => to),
    [0, 1],
  );
});
