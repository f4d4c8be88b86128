import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT, FALLBACK } from '../domain/payment.ts';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { AT_WORK_MAX, WAITING_MAX } from './admission.ts';
import type { ProcessorAnswer } from './answer.ts';
import { type Faults, NO_FAULTS } from './faults.ts';
import { SimulatedProcessor } from './processor.ts';

const id = (number: number): Int32Array => Int32Array.of(1, 2, 3, number);
const AT_MS = Date.parse('2026-07-10T12:34:56.000Z');

interface Asked {
  said: ProcessorAnswer | undefined;
  count: number;
}

/** A processor on a virtual clock, and what callers saw. */
function setUp(faults: Partial<Faults> = {}) {
  const clock = new VirtualClock();
  const processor = new SimulatedProcessor(DEFAULT, clock);
  processor.faults = { ...NO_FAULTS, ...faults };
  const ask = (question: (reply: (said: ProcessorAnswer) => void) => void): Asked => {
    const asked: Asked = { said: undefined, count: 0 };
    question(said => {
      asked.said = said;
      asked.count += 1;
    });
    return asked;
  };
  const post = (number: number, cents = 1990): Asked =>
    ask(reply => processor.post(id(number), cents, AT_MS, reply));
  const lookUp = (number: number): Asked => ask(reply => processor.lookUp(id(number), reply));
  const health = (): Asked => ask(reply => processor.health(reply));
  const knows = (number: number): boolean => processor.book.find(id(number)) >= 0;
  return { clock, processor, post, lookUp, health, knows };
}

test('without a delay a payment is answered at once, a second time with 422', () => {
  const { processor, post } = setUp();
  assert.equal(post(1).said?.status, 200);
  assert.equal(post(1).said?.status, 422);
  assert.equal(post(1, 5).said?.status, 422);
  assert.equal(processor.book.size, 1);
});

test('a payment waits the delay before it is recorded', () => {
  const { clock, processor, post, knows } = setUp();
  processor.delayMs = 100;
  const asked = post(1);
  clock.pass(99);
  assert.equal(asked.count, 0);
  assert.equal(knows(1), false);
  clock.pass(1);
  assert.equal(asked.said?.status, 200);
  assert.equal(asked.count, 1);
  assert.equal(knows(1), true);
});

test('whether it fails is decided after the delay, and nothing is recorded then', () => {
  const { clock, processor, post, knows } = setUp();
  processor.delayMs = 100;
  const asked = post(1);
  processor.failing = true;
  clock.pass(100);
  assert.equal(asked.said?.status, 500);
  assert.equal(knows(1), false);
  const next = post(1);
  processor.failing = false;
  clock.pass(100);
  assert.equal(next.said?.status, 200);
});

test('a failing processor says 500 even of a payment that it knows', () => {
  const { processor, post } = setUp();
  post(1);
  processor.failing = true;
  assert.equal(post(1).said?.status, 500);
});

test('of two posts of one payment at once, one is processed', () => {
  const { clock, processor, post } = setUp();
  processor.delayMs = 10;
  const both = [post(1), post(1)];
  clock.pass(10);
  assert.deepEqual(
    both.map(({ said }) => said?.status),
    [200, 422],
  );
});

test('800 are at work, 500 wait for them, the next is refused', () => {
  const { clock, processor, post, lookUp } = setUp();
  processor.delayMs = 100;
  const asked = Array.from({ length: AT_WORK_MAX + WAITING_MAX }, (_, number) => post(number));
  assert.equal(processor.atWork, 800);
  assert.equal(processor.waiting, 500);
  const refused = post(5000).said;
  assert.equal(refused?.status, 429);
  assert.ok(refused !== undefined && refused.retryAfterSeconds > 0);
  assert.equal(lookUp(1).said?.status, 429);
  clock.pass(100);
  assert.equal(asked.filter(({ said }) => said !== undefined).length, 800);
  clock.pass(100);
  assert.ok(asked.every(({ said, count }) => said?.status === 200 && count === 1));
  assert.equal(processor.atWork, 0);
});

test('a look-up shows what was recorded, its instant without a Z', () => {
  const { lookUp, post } = setUp();
  assert.equal(lookUp(1).said?.status, 404);
  post(1);
  const said = lookUp(1).said;
  assert.equal(said?.status, 200);
  assert.equal(
    said?.body,
    '{"correlationId":"00000001-0000-0002-0000-000300000001","amount":19.90,"requestedAt":"2026-07-10T12:34:56.000"}',
  );
});

test('health tells of failing and the delay', () => {
  const { processor, health } = setUp();
  processor.delayMs = 70;
  processor.failing = true;
  assert.equal(health().said?.body, '{"failing":true,"minResponseTime":70}');
});

test('health is answered once in each window of 5 s; two wait for windows of their own, the rest get 429', () => {
  const { clock, health } = setUp();
  clock.pass(3000);
  const asked = [health(), health(), health(), health()];
  assert.deepEqual(
    asked.map(({ said }) => said?.status),
    [200, undefined, undefined, 429],
  );
  assert.equal(asked[3]!.said?.retryAfterSeconds, 2); // the window is fixed, not counted from the first question
  clock.pass(2100);
  assert.deepEqual(
    asked.map(({ said }) => said?.status),
    [200, 200, undefined, 429],
  );
  const late = health(); // behind the one that still waits
  assert.equal(late.count, 0);
  clock.pass(5000);
  assert.equal(asked[2]!.said?.status, 200);
  assert.equal(late.count, 0);
  clock.pass(5000);
  assert.equal(late.said?.status, 200);
  clock.pass(5000);
  assert.equal(health().said?.status, 200);
});

test('the summary has inclusive bounds, and fees of each processor by its rate', () => {
  const { clock, processor, post } = setUp();
  post(1);
  post(2, 1);
  assert.equal(
    processor.summary(AT_MS, AT_MS).body,
    '{"totalRequests":2,"totalAmount":19.91,"totalFee":0.9955,"feePerTransaction":0.05}',
  );
  assert.match(processor.summary(AT_MS + 1, Infinity).body, /"totalRequests":0,"totalAmount":0.00,/);
  assert.match(processor.summary(-Infinity, AT_MS - 1).body, /"totalRequests":0,/);
  const fallback = new SimulatedProcessor(FALLBACK, clock);
  assert.match(fallback.summary(-Infinity, Infinity).body, /"totalFee":0.00,"feePerTransaction":0.15}$/);
});

/** What the caller sees of a first payment under one fault, and whether it is recorded when all is over. */
const BEFALLS: [Partial<Faults>, RegExp, boolean][] = [
  [{ answerLost: 1 }, /^closed 0$/, true],
  [{ lateRecord: 1 }, /^closed 0$/, true],
  [{ hang: 1 }, /^never 0$/, false],
  [{ hangRecorded: 1 }, /^never 0$/, true],
  [{ resetBefore: 1 }, /^reset 0$/, false],
  [{ resetAfter: 1 }, /^reset 0$/, true],
  [{ garbage: 1 }, /^garbage 0$/, false],
  [{ garbageRecorded: 1 }, /^garbage 0$/, true],
  [{ truncated: 1 }, /^cut 200$/, true],
  [{ tooMany: 1 }, /^whole 429$/, false],
  [{ unavailable: 1 }, /^whole 503$/, false],
  [{ gateway: 1 }, /^whole (502|504|408)$/, false],
  [{ gatewayRecorded: 1 }, /^whole (502|504|408)$/, true],
  [{ unavailableRecorded: 1 }, /^whole 503$/, true],
  [{ maintenance: 1 }, /^whole 200$/, false],
  [{ otherAnswer: 1 }, /^whole 200$/, false],
  [{ refusesPayments: 1 }, /^whole 400$/, false],
  [{ failsPayments: 1 }, /^whole 500$/, false],
  [{ twice: 1 }, /^whole 422$/, true],
  [{ failRate: 1 }, /^whole 500$/, false],
];

for (const [faults, seen, recorded] of BEFALLS) {
  const [name] = Object.keys(faults);
  for (const delayMs of [0, 50]) {
    test(`${name} with a delay of ${delayMs} ms is ${recorded ? '' : 'not '}recorded`, () => {
      const { clock, processor, post, knows } = setUp({ ...faults, lateMs: 500 });
      processor.delayMs = delayMs;
      const asked = post(1);
      clock.pass(1000);
      const { delivery, status } = asked.said!;
      assert.match(`${delivery} ${status}`, seen);
      assert.equal(asked.count, 1);
      assert.equal(knows(1), recorded);
      assert.equal(processor.atWork, 0);
      assert.equal(processor.injected[name as keyof typeof processor.injected], 1);
    });
  }
}

test('a late record comes after the caller left, and a look-up until then finds nothing', () => {
  const { clock, post, lookUp } = setUp({ lateRecord: 1, lateMs: 500 });
  assert.equal(post(1).said?.delivery, 'closed');
  clock.pass(499);
  assert.equal(lookUp(1).said?.status, 404);
  clock.pass(1);
  assert.equal(lookUp(1).said?.status, 200);
});

test('slow adds to the delay', () => {
  const { clock, processor, post } = setUp({ slow: 1, slowMs: 300 });
  processor.delayMs = 100;
  const asked = post(1);
  clock.pass(399);
  assert.equal(asked.count, 0);
  clock.pass(1);
  assert.equal(asked.said?.status, 200);
});

test('an informational answer may come first', () => {
  const { post } = setUp({ informational: 1 });
  assert.deepEqual([post(1).said?.status, post(2).said?.informed], [200, true]);
});

test('health can lie or be lost, a look-up can miss or be lost', () => {
  const { processor, clock, post, health, lookUp } = setUp();
  post(1);
  processor.faults = { ...NO_FAULTS, healthLies: 1, lookupMissing: 1 };
  assert.match(health().said!.body, /"failing":true/);
  assert.equal(lookUp(1).said?.status, 404);
  processor.faults = { ...NO_FAULTS, healthLost: 1, lookupLost: 1 };
  clock.pass(5000);
  assert.equal(health().said?.delivery, 'closed');
  assert.equal(lookUp(1).said?.delivery, 'closed');
});

test('it refuses for as long as it was told to', () => {
  const { clock, processor } = setUp({ refuseMs: 700 });
  assert.equal(processor.refusingMs, 700);
  clock.pass(699);
  assert.equal(processor.refusingMs, 1);
  clock.pass(1);
  assert.equal(processor.refusingMs, 0);
});

test('one seed gives one history of faults', () => {
  const history = (seed: number): string[] => {
    const { post } = setUp({ seed, answerLost: 0.3, resetBefore: 0.3 });
    return Array.from({ length: 100 }, (_, number) => post(number).said!.delivery);
  };
  assert.deepEqual(history(5), history(5));
  assert.notDeepEqual(history(5), history(6));
});
