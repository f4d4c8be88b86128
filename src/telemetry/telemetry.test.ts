import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
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
    storeDirectory: '.',
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
