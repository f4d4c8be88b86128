import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Coverage } from './coverage.ts';
import { WALL_START_MS } from './event-loop.ts';
import { KINDS, NO_RATES } from './plan.ts';
import { SETTLES_WITHIN_MS, simulate, World } from './world.ts';

/** `npm run simulate` takes thousands. */
const SEEDS = 200;
const FIRST = Number(process.env['SEED'] ?? 1);

test(`whatever breaks, nothing is lost or settled twice (SEED=${FIRST})`, async () => {
  const tally = new Coverage();
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const report = await simulate(seed);
    tally.add(report);
    assert.deepEqual(report.violations, [], `npm run simulate -- --seed ${seed}\n${report.trace.join('\n')}`);
  }
  assert.ok(tally.settled > SEEDS * 10, 'payments were settled');
  // One that is held is tried again after half a minute at the latest, as it is asked for each 5 s.
  assert.ok(tally.settledInMsMax < SETTLES_WITHIN_MS * 0.75, 'what heals settles soon');
  const idle = KINDS.filter(kind => tally.met(kind) === 0);
  assert.ok(idle.length <= 1, `never struck: ${idle.join(', ')}`);
});

test('the same seed gives the same run', async () => {
  const [one, other] = [await simulate(FIRST), await simulate(FIRST)];
  assert.deepEqual(one, other);
});

test('with default down for good, all is on fallback within FALLBACK_AFTER_MS and a second', async () => {
  const fallbackAfterMs = 2000;
  const world = new World(1, false, {
    plan: plan => ({
      ...plan,
      policy: { defaultAttempts: 5, backoffMinMs: 100, backoffMaxMs: 2000, fallbackAfterMs },
      payments: 300,
      breakMs: 9000,
      queueCapacity: 1024,
      concurrency: 64,
      burstMax: 12,
      storeIsRemote: true,
      rates: { ...NO_RATES },
    }),
  });
  world.processors[0].failing = true;
  const report = await world.run();
  assert.deepEqual(report.violations, []);
  const waits = [...world.memory.payments.values()].map(
    payment => payment.settledAtMs - payment.acceptedAtMs,
  );
  assert.equal(waits.length, 300);
  assert.ok(Math.max(...waits) <= fallbackAfterMs + 1000, `one waited ${Math.max(...waits)} ms`);
  const byDefault = [...world.memory.payments.values()].filter(payment => payment.processor === 0);
  assert.ok(byDefault.every(payment => payment.acceptedAtMs > WALL_START_MS + 9000 - fallbackAfterMs - 1000));
});

test('with default slow and full, none waits beyond FALLBACK_AFTER_MS, and default is never idle', async () => {
  const fallbackAfterMs = 3000;
  const delayMs = 1000;
  const [concurrency, breakMs] = [2, 9000];
  const world = new World(1, false, {
    plan: plan => ({
      ...plan,
      policy: { defaultAttempts: 5, backoffMinMs: 100, backoffMaxMs: 2000, fallbackAfterMs },
      attemptTimeoutMs: 3000,
      payments: 300,
      breakMs,
      queueCapacity: 1024,
      concurrency,
      burstMax: 3,
      storeIsRemote: true,
      rates: { ...NO_RATES },
    }),
  });
  world.eventLoop.after(1, undefined, () => {
    world.processors[0].delayMs = delayMs;
  });
  const report = await world.run();
  assert.deepEqual(report.violations, []);
  const payments = [...world.memory.payments.values()];
  assert.equal(payments.length, 300);
  const waits = payments.map(payment => payment.settledAtMs - payment.acceptedAtMs);
  assert.ok(Math.max(...waits) <= fallbackAfterMs + delayMs + 500, `one waited ${Math.max(...waits)} ms`);
  const byDefault = payments.filter(payment => payment.processor === 0);
  const turns = (world.backends.length * concurrency * breakMs * 0.9) / delayMs;
  assert.ok(byDefault.length >= turns * 0.9, `${byDefault.length} of ${turns} turns with default were taken`);
  const atOnce = payments.filter(({ processor }, at) => processor === 1 && waits[at]! < fallbackAfterMs / 2);
  assert.ok(atOnce.length > 100, `${atOnce.length} went to fallback before they had waited for long`);
});
