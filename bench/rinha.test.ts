/** The scenario, thirty times as fast and with few users: the books agree and nothing is left over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutHaproxy as skip } from '../src/testing/haproxy.ts';
import { ChildProcesses } from '../src/testing/processes.ts';
import { startStack } from '../src/testing/stack.ts';
import { play, playFloor } from './rinha/scenario.ts';
import { inconsistencies, outcomeLines, score } from './rinha/score.ts';
import { STAGES } from './rinha/stages.ts';
import { ProgressLine, silence } from './tools/progress.ts';
import { constantProxy } from './tools/proxy.ts';

const size = { seconds: 2, users: 40 };
const silent = (): ProgressLine => new ProgressLine(silence);

test('the scenario ends without lag and without a disagreement', { skip, timeout: 60_000 }, async () => {
  await using stack = await startStack({ env: { ALLOW_PURGE: '1' } });
  const [byDefault, byFallback] = stack.processorUrls;
  const places = { url: stack.url, processors: { default: byDefault, fallback: byFallback } };
  const outcome = await play(places, size, silent());
  const lines = outcomeLines(outcome).join('\n');
  assert.equal(outcome.failed, 0, lines);
  assert.deepEqual(outcome.refused, {}, lines);
  assert.equal(outcome.lag, 0, lines);
  assert.equal(inconsistencies(outcome), 0, lines);
  assert.equal(outcome.audits.length, STAGES.length);
  assert.equal(outcome.accepted, outcome.latencyCount);
  const gross = outcome.accepted * 19.9;
  assert.ok(score(outcome) > gross * 0.8 && score(outcome) <= gross * 0.95 * 1.22, lines);
});

test('the floor is measured by the same users', { skip, timeout: 30_000 }, async () => {
  await using children = new ChildProcesses();
  const { port } = await constantProxy(children);
  const { p50, max } = await playFloor({ host: '127.0.0.1', port }, { seconds: 0.5, users: 40 }, silent());
  assert.ok(p50 > 0 && p50 <= max);
});
