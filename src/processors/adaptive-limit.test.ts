import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Heap } from 'mnemonist';
import { AT_WORK_MAX, WAITING_MAX } from '../processor-simulator/admission.ts';
import { readConfig } from '../settings/backend.ts';
import { AdaptiveLimit, LIMIT_MIN } from './adaptive-limit.ts';

const MAX = 168;

/** Ends of attempts to come, the next one first. */
interface AttemptEnd {
  readonly atMs: number;
  readonly beganMs: number;
  readonly by: AdaptiveLimit;
  readonly isRefused: boolean;
}

/** When an attempt that begins now ends, or that it is refused at once. */
type Processor = (nowMs: number, atWork: number) => number | 'refused';

interface Course {
  readonly processor: Processor;
  readonly limits: readonly AdaptiveLimit[];
  readonly ms: number;
  /** Attempts that are there to begin in each ms, for each limit; always one where not given. */
  readonly perMs?: number;
}

/** Attempts on one processor, as many as the limits allow. Returns how many it settled by each second. */
function run({ processor, limits, ms, perMs }: Course): number[] {
  const ends = new Heap<AttemptEnd>((one, other) => one.atMs - other.atMs);
  const atWork = new Map(limits.map(limit => [limit, 0]));
  const waiting = new Map(limits.map(limit => [limit, 0]));
  const settled: number[] = [];
  let all = 0;
  for (let nowMs = 0; nowMs < ms; nowMs++) {
    for (let end = ends.peek(); end !== undefined && end.atMs <= nowMs; end = ends.peek()) {
      const { by, beganMs, isRefused } = ends.pop()!;
      all -= 1;
      atWork.set(by, atWork.get(by)! - 1);
      if (isRefused) by.refused(nowMs - beganMs, nowMs);
      else by.answered(nowMs - beganMs, nowMs);
      const second = Math.floor(nowMs / 1000);
      settled[second] = (settled[second] ?? 0) + (isRefused ? 0 : 1);
    }
    for (const limit of limits) {
      waiting.set(limit, perMs === undefined ? Infinity : waiting.get(limit)! + perMs);
      while (waiting.get(limit)! >= 1 && atWork.get(limit)! < limit.value) {
        const answer = processor(nowMs, all);
        const isRefused = answer === 'refused';
        ends.push({ atMs: isRefused ? nowMs + 1 : answer, beganMs: nowMs, by: limit, isRefused });
        all += 1;
        atWork.set(limit, atWork.get(limit)! + 1);
        waiting.set(limit, waiting.get(limit)! - 1);
      }
      if (waiting.get(limit)! >= 1) limit.inTheWay();
    }
  }
  return settled;
}

/** Each attempt takes `delayMs`, however many there are. */
const slow =
  (delayMs: number): Processor =>
  nowMs =>
    nowMs + Math.max(1, delayMs);

/** One attempt after the other, `eachMs` for each: as a busy processor or event loop does. */
function busy(eachMs: number): Processor {
  let freeAtMs = 0;
  return nowMs => {
    freeAtMs = Math.max(freeAtMs, nowMs) + eachMs;
    return Math.ceil(freeAtMs);
  };
}

for (const delayMs of [100, 1000, 2000, 5000]) {
  test(`a processor that takes ${delayMs} ms for each gets as many attempts as are allowed`, () => {
    const limit = new AdaptiveLimit(MAX);
    run({ processor: slow(delayMs), limits: [limit], ms: delayMs * 8 });
    assert.equal(limit.value, MAX);
  });
}

test('what comes in decides how many are at work, not what could: the limit stays where it is not in the way', () => {
  for (const delayMs of [0, 5, 100]) {
    const limit = new AdaptiveLimit(MAX);
    run({ processor: slow(delayMs), limits: [limit], ms: 10_000, perMs: 0.2 });
    assert.equal(limit.value, LIMIT_MIN);
  }
});

test('at 2 s for each and 200 a second, all that come in are settled but for what is on its way', () => {
  const limit = new AdaptiveLimit(1024);
  const settled = run({ processor: slow(2000), limits: [limit], ms: 30_000, perMs: 0.2 });
  assert.ok(settled.slice(20).reduce((sum, count) => sum + count) >= 0.95 * 200 * 10, `${settled}`);
});

for (const eachMs of [0.1, 1, 5]) {
  test(`where ${eachMs} ms pass between two answers, more at work is taken back, and no less is settled`, () => {
    const limit = new AdaptiveLimit(MAX);
    const values: number[] = [];
    const processor = busy(eachMs);
    const watched: Processor = (nowMs, atWork) => {
      values.push(limit.value);
      return processor(nowMs, atWork);
    };
    const settled = run({ processor: watched, limits: [limit], ms: 20_000 });
    const mean = values.reduce((sum, value) => sum + value) / values.length;
    assert.ok(mean < LIMIT_MIN * 1.5, `${mean} on average`);
    assert.ok(settled.at(-1)! >= 0.95 * Math.min(1000 / eachMs, LIMIT_MIN * 1000), `${settled}`);
  });
}

test('a processor that becomes busy gets less again, and one that is only slower does not', () => {
  const values = [busy(2), slow(1000)].map(later => {
    const limit = new AdaptiveLimit(MAX);
    const processor: Processor = (nowMs, atWork) => (nowMs < 3000 ? nowMs + 100 : later(nowMs, atWork));
    run({ processor, limits: [limit], ms: 3000 });
    assert.equal(limit.value, MAX);
    run({ processor: later, limits: [limit], ms: 20_000 });
    return limit.value;
  });
  assert.ok(values[0]! <= LIMIT_MIN * 2, `${values}`);
  assert.equal(values[1], MAX);
});

for (const [max, most] of [
  [readConfig({}).workerConcurrency, 'stay below the 800 places of a processor'],
  [1024, 'that may have more find its 800 places, and are seldom refused'],
] as const) {
  test(`three instances with up to ${max} each ${most}`, () => {
    let refused = 0;
    let atWorkMax = 0;
    const free = new Array(AT_WORK_MAX).fill(0);
    const processor: Processor = (nowMs, atWork) => {
      atWorkMax = Math.max(atWorkMax, atWork);
      if (atWork >= AT_WORK_MAX + WAITING_MAX) {
        refused += 1;
        return 'refused';
      }
      // The place that is free first; the places are in this order, as all take as long.
      const endsAtMs = Math.max(nowMs, free.shift()) + 2000;
      free.push(endsAtMs);
      return endsAtMs;
    };
    const limits = [new AdaptiveLimit(max), new AdaptiveLimit(max), new AdaptiveLimit(max)];
    const settled = run({ processor, limits, ms: 120_000 });
    const perSecond = settled.slice(60).reduce((sum, count) => sum + count) / settled.slice(60).length;
    const places = Math.min(max * 3, AT_WORK_MAX);
    assert.ok(perSecond >= (places / 2) * 0.8, `${perSecond} a second`);
    assert.ok(refused < perSecond * 12, `${refused} refused, ${perSecond} a second`);
    if (max * 3 < AT_WORK_MAX) assert.equal(atWorkMax, max * 3 - 1);
  });
}

test('a processor that refuses what is beyond 40 is left with about as many, and settles with them', () => {
  let refused = 0;
  let begun = 0;
  const processor: Processor = (nowMs, atWork) => {
    begun += 1;
    if (atWork < 40) return nowMs + 100;
    refused += 1;
    return 'refused';
  };
  const limit = new AdaptiveLimit(MAX);
  const settled = run({ processor, limits: [limit], ms: 30_000 });
  assert.ok(refused < begun / 4, `${refused} of ${begun}`);
  assert.ok(
    settled.slice(5).every(count => count >= 150),
    `${settled}`,
  );
});

test('attempts that left before a refusal was known do not halve the limit once more', () => {
  const limit = new AdaptiveLimit(MAX);
  limit.refused(1, 100);
  assert.equal(limit.value, LIMIT_MIN / 2);
  for (let count = 0; count < 30; count++) limit.refused(2, 100.5);
  assert.equal(limit.value, LIMIT_MIN / 2);
});

test('what is allowed is never exceeded, however little it is', () => {
  const limit = new AdaptiveLimit(1);
  run({ processor: slow(100), limits: [limit], ms: 5000 });
  assert.equal(limit.value, 1);
  limit.refused(0, 5000);
  assert.equal(limit.value, 1);
});
