import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import type { Clock } from '../domain/clock.ts';
import { CircuitBreaker } from '../processors/circuit-breaker.ts';
import { systemClock } from '../system-clock.ts';
import { Telemetry } from './telemetry.ts';

test('an unexpected error becomes a line with its stack, and slower sockets a line with the reason', () => {
  const lines: string[] = [];
  const { figures } = new Telemetry({
    instance: 'backend-1',
    logger: pino({ formatters: { level: label => ({ level: label }) } }, { write: line => lines.push(line) }),
    clock: systemClock,
    breakers: [new CircuitBreaker(), new CircuitBreaker()],
    storeSize: async () => 0,
    session: () => undefined,
    reasons: () => [],
    books: undefined,
  });
  figures.failed(new TypeError('x is not a function'), 'handler');
  figures.degraded('what is sent does not arrive');
  assert.equal(lines.length, 2);
  const { level, where, err } = JSON.parse(lines[0]!);
  assert.deepEqual(
    [level, where, err.type, err.message],
    ['error', 'handler', 'TypeError', 'x is not a function'],
  );
  assert.match(err.stack, /telemetry\.test\.ts:\d+/);
  const { level: lower, reason } = JSON.parse(lines[1]!);
  assert.deepEqual([lower, reason], ['warn', 'what is sent does not arrive']);
});

const WALL_MS = 1_800_000_000_000;

test('a circuit is published as it is: open until its probe is due, half-open, and with a probe on its way', () => {
  const breaker = new CircuitBreaker();
  let nowMs = 0;
  const telemetry = new Telemetry({
    instance: 'backend-1',
    logger: pino({ level: 'silent' }),
    clock: { monotonicMs: () => nowMs, wallMs: () => WALL_MS + nowMs } as Clock,
    breakers: [breaker, new CircuitBreaker()],
    storeSize: async () => 0,
    session: () => undefined,
    reasons: () => [],
    books: undefined,
  });
  const published = () => {
    const { circuit, probing, probeAtMs } = telemetry.read().processors[0];
    return [circuit, probing, probeAtMs];
  };
  try {
    assert.deepEqual(published(), ['closed', false, 0]);
    breaker.reported(true, nowMs);
    assert.deepEqual(published(), ['open', false, WALL_MS + 250]);
    nowMs = 300;
    assert.deepEqual(published(), ['open', false, 0], 'the next payment may try it');
    breaker.reported(false, nowMs);
    assert.deepEqual(published(), ['half-open', false, 0]);
    breaker.start();
    assert.deepEqual(published(), ['half-open', true, 0]);
  } finally {
    telemetry.close();
  }
});
