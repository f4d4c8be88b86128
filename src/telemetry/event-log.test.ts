import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Logger, pino } from 'pino';
import { DEFAULT, FALLBACK } from '../domain/payment.ts';
import { EventLog } from './event-log.ts';
import { pretty } from './pretty.ts';

function journal(): { journal: EventLog; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const logger: Logger = pino(
    { level: 'info', base: null, timestamp: false },
    { write: (line: string) => lines.push(JSON.parse(line)) },
  );
  return { journal: new EventLog(logger), lines };
}

const payment = (correlationId: string) => ({ correlationId });

test('a payment that goes as it should is not told', () => {
  const { journal: told, lines } = journal();
  told.attempted(payment('a'), DEFAULT, 'processed', 1);
  told.attempted(payment('b'), DEFAULT, 'failed', 1);
  assert.deepEqual(lines, []);
});

test('a pinned payment is told once, and its end', () => {
  const { journal: told, lines } = journal();
  told.attempted(payment('a'), DEFAULT, 'timed out', 1);
  told.attempted(payment('a'), DEFAULT, 'reset', 1);
  told.attempted(payment('a'), DEFAULT, 'already processed', 1);
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['pinned', 'recovered'],
  );
});

test('a payment with a trace is told with its id', () => {
  const { journal: told, lines } = journal();
  const attempt = (parentId: string) => ({
    correlationId: 'a',
    traceparent: `00-0af7651916cd43dd8448eb211c80319c-${parentId}-01`,
  });
  told.attempted(attempt('b7ad6b7169203331'), FALLBACK, 'timed out', 1);
  told.attempted(attempt('00f067aa0ba902b7'), FALLBACK, 'processed', 1);
  told.attempted(payment('b'), FALLBACK, 'processed', 1);
  assert.deepEqual(
    lines.map(({ correlationId, traceId }) => [correlationId, traceId]),
    [...Array.from({ length: 4 }, () => ['a', '0af7651916cd43dd8448eb211c80319c']), ['b', undefined]],
  );
});

test('a flood is told as its first lines and a number', () => {
  const { journal: told, lines } = journal();
  for (let number = 0; number < 100; number++) told.attempted(payment(`${number}`), FALLBACK, 'processed', 1);
  for (let beat = 0; beat < 100; beat++) told.beat();
  assert.equal(lines.length, 6);
  assert.equal(lines[5]!['count'], 95);
  assert.match(String(lines[5]!['msg']), /^moved to fallback: so many more/);
});

test('a change of readiness is told, not that a start takes a moment', () => {
  const { journal: told, lines } = journal();
  for (const reasons of [['joining'], [], [], ['the queue is full'], ['the queue is full'], []]) {
    told.readiness(reasons);
  }
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['not ready', 'ready again'],
  );
});

test('on a terminal a line is for people', () => {
  const line =
    '{"level":"warn","time":"2026-07-10T12:34:56.789Z","instance":"backend-1","processor":"default","why":"a b","msg":"circuit open"}\n';
  // biome-ignore lint/complexity/useRegexLiterals: an escape character in a literal is not allowed either
  const colours = new RegExp('\\u001b\\[\\d+m', 'g');
  assert.equal(
    pretty(line).replace(colours, ''),
    '12:34:56.789 warn  backend-1 circuit open processor=default why="a b"\n',
  );
  assert.equal(pretty('not JSON\n'), 'not JSON\n');
});
