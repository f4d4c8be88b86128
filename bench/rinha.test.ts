/** The scenario, thirty times as fast and with few users: the books agree and nothing is left over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { play, playFloor } from './rinha/scenario.ts';
import { inconsistencies, outcomeLines, score } from './rinha/score.ts';
import { STAGES } from './rinha/stages.ts';
import { Children, program } from './tools/children.ts';
import { ProgressLine, silence } from './tools/progress.ts';
import { constantProxy } from './tools/proxy.ts';
import { startLauncher } from './tools/soquete.ts';

const skip = program('haproxy') === undefined ? 'HAProxy is not installed' : false;
const size = { seconds: 2, users: 40 };
const silent = (): ProgressLine => new ProgressLine(silence);

test('the scenario ends without lag and without a disagreement', { skip, timeout: 60_000 }, async () => {
  await using children = new Children();
  const { url, processors } = await startLauncher(children);
  const places = { url, processors: { default: processors[0], fallback: processors[1] } };
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
  await using children = new Children();
  const { port } = await constantProxy(children);
  const { p50, max } = await playFloor({ host: '127.0.0.1', port }, { seconds: 0.5, users: 40 }, silent());
  assert.ok(p50 > 0 && p50 <= max);
});
