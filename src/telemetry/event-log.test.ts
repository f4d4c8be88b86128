import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Logger, pino } from 'pino';
import { DEFAULT, FALLBACK } from '../domain/payment.ts';
import { EventLog } from './event-log.ts';
import { pretty } from './pretty.ts';

function recorded(): { log: EventLog; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const logger: Logger = pino(
    { level: 'info', base: null, timestamp: false },
    { write: (line: string) => lines.push(JSON.parse(line)) },
  );
  return { log: new EventLog(logger), lines };
}

const payment = (correlationId: string) => ({ correlationId, cents: 1990 });

test('a payment that succeeds gets no line', () => {
  const { log, lines } = recorded();
  log.attempted(payment('a'), DEFAULT, 'processed', 1);
  log.attempted(payment('b'), DEFAULT, 'failed', 1);
  assert.deepEqual(lines, []);
});

test('a pinned payment gets one line, and one when it is settled', () => {
  const { log, lines } = recorded();
  log.attempted(payment('a'), DEFAULT, 'timed out', 1);
  log.attempted(payment('a'), DEFAULT, 'reset', 1);
  log.attempted(payment('a'), DEFAULT, 'already processed', 1);
  assert.deepEqual(
    lines.map(({ msg }) => msg),
    ['pinned', 'recovered'],
  );
});

test('the line of a payment with a trace has its id', () => {
  const { log, lines } = recorded();
  const attempt = (parentId: string) => ({
    correlationId: 'a',
    cents: 1990,
    traceparent: `00-0af7651916cd43dd8448eb211c80319c-${parentId}-01`,
  });
  log.attempted(attempt('b7ad6b7169203331'), FALLBACK, 'timed out', 1);
  log.attempted(attempt('00f067aa0ba902b7'), FALLBACK, 'processed', 1);
  log.attempted(payment('b'), FALLBACK, 'processed', 1);
  assert.deepEqual(
    lines.map(({ correlationId, traceId }) => [correlationId, traceId]),
    [...Array.from({ length: 4 }, () => ['a', '0af7651916cd43dd8448eb211c80319c']), ['b', undefined]],
  );
});

test('a flood is its first lines and a number', () => {
  const { log, lines } = recorded();
  for (let number = 0; number < 100; number++) log.attempted(payment(`${number}`), FALLBACK, 'processed', 1);
  for (let beat = 0; beat < 100; beat++) log.beat();
  assert.equal(lines.length, 6);
  assert.equal(lines[5]!['count'], 95);
  assert.match(String(lines[5]!['msg']), /^moved to fallback: further payments/);
});

test('a change of readiness gets a line, a start does not', () => {
  const { log, lines } = recorded();
  for (const reasons of [['joining'], [], [], ['the queue is full'], ['the queue is full'], []]) {
    log.readiness(reasons);
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

test('a processor that has another amount is an error, and both amounts are named', () => {
  const { log, lines } = recorded();
  log.amountDiffers(payment('a'), DEFAULT, 999_999);
  const [{ level, correlationId, processor, amount, recorded: theirs }] = lines as [(typeof lines)[0]];
  assert.deepEqual([level, correlationId, processor, amount, theirs], [50, 'a', 'default', 19.9, 9999.99]);
});
