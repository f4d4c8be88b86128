/** What a session makes of what the store says when it joins, and of the processors' health. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT } from '../domain/payment.ts';
import { CALM_MS } from '../domain/settlement.ts';
import { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Health } from '../processors/port.ts';
import { StoreFault } from '../storage/ports.ts';
import { paymentId } from '../testing/accept-stand.ts';
import { type InstanceStand, instanceStand } from '../testing/fakes.ts';

async function started(stand: InstanceStand): Promise<InstanceStand> {
  const start = stand.instance.start();
  await stand.pass(50);
  await start;
  return stand;
}

/** When processors are asked for an uncertain payment, from the beginning of its session on. */
async function askedAfterMs(isCalm: boolean, askAfterMs: number): Promise<number> {
  let askedMs = Infinity;
  const stand = instanceStand({
    storeMs: 0,
    change(parts) {
      const { store, processors } = parts;
      const join = store.join.bind(store);
      store.join = (name, reply) =>
        join(name, answer =>
          reply(answer instanceof StoreFault ? answer : { ...answer, asksFirstUntilMs: Infinity, isCalm }),
        );
      const find: typeof processors.find = (_to, _id, reply) => {
        askedMs = Math.min(askedMs, stand.loop.nowMs);
        reply({ is: 'absent' });
      };
      return { ...parts, askAfterMs, processors: { ...processors, find } };
    },
  });
  await started(stand);
  stand.instance.accept(paymentId(1), 1990);
  void stand.instance.commit(1);
  await stand.pass(2 * CALM_MS);
  return askedMs;
}

test('nothing is asked before what an earlier session sent can be expected to be recorded', async () => {
  const asked = [
    await askedAfterMs(false, 500),
    await askedAfterMs(true, 500),
    // What left may take longer than the store was calm for.
    await askedAfterMs(true, CALM_MS + 1000),
  ];
  assert.deepEqual(
    asked.map(ms => Math.floor(ms / 100) * 100),
    [500, 0, CALM_MS + 1000],
  );
});

/** A default whose health is what `health` says at each call; its circuit opens for long. */
async function withHealth(health: (call: number) => Health | undefined) {
  let calls = 0;
  const breakers = [
    new CircuitBreaker({
      ...{ failuresMax: 10, failuresFew: 10, failuresSpanMs: 1 },
      ...{ probeMinMs: 60_000, probeMaxMs: 60_000 },
    }),
    new CircuitBreaker(),
  ] as const;
  const stand = instanceStand({
    change: parts => ({
      ...parts,
      breakers,
      policy: { ...parts.policy, fallbackAfterMs: 120_000 },
      processors: {
        ...parts.processors,
        health(to, reply) {
          if (to !== DEFAULT) return;
          const said = health(calls++);
          if (said !== undefined) reply(said);
        },
      },
    }),
  });
  await started(stand);
  await stand.pass(1000);
  return { stand, breaker: breakers[DEFAULT] };
}

const FAILS = { failing: true, minResponseMs: 0 };
const WORKS = { failing: false, minResponseMs: 0 };

test('a bad report opens the circuit; a good one lets a payment that waits leave at once', async () => {
  const { stand, breaker } = await withHealth(call => (call === 0 ? FAILS : WORKS));
  assert.equal(breaker.circuit, 'open');
  stand.instance.accept(paymentId(1), 1990);
  void stand.instance.commit(1);
  await stand.pass(1000);
  assert.equal(stand.sent.length, 0);
  await stand.pass(4000);
  assert.deepEqual(
    stand.sent.map(({ to }) => to),
    [DEFAULT],
  );
  assert.equal(breaker.circuit, 'closed');
});

test('a report counts once', async () => {
  const { stand, breaker } = await withHealth(call => (call === 0 ? FAILS : undefined));
  assert.equal(breaker.circuit, 'open');
  breaker.reported(false, stand.loop.nowMs);
  breaker.succeeded();
  await stand.pass(2000);
  assert.equal(breaker.circuit, 'closed');
});
