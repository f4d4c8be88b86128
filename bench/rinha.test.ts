/** The scripts in two seconds each and with few users: the books agree and nothing is left over. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutHaproxy as skip } from '../src/testing/haproxy.ts';
import { ChildProcesses } from '../src/testing/processes.ts';
import { startStack } from '../src/testing/stack.ts';
import { scenarioCharts } from './report/scenario-chart.ts';
import { scenarioEnvironment } from './rinha/environment.ts';
import { play, playFloor, type ScenarioSize } from './rinha/scenario.ts';
import { inconsistencies, outcomeLines, score } from './rinha/score.ts';
import { FINAL, PREVIEW, type Script } from './rinha/stages.ts';
import { ProgressLine, silence } from './tools/progress.ts';
import { constantProxy } from './tools/proxy.ts';

const sizeOf = (script: Script): ScenarioSize => ({ script, scale: 2 / script.seconds, users: 40 });
const silent = (): ProgressLine => new ProgressLine(silence);

for (const script of [PREVIEW, FINAL]) {
  const title = `the ${script.name} ends with every payment settled and without a disagreement`;
  test(title, { skip }, async () => {
    const size = sizeOf(script);
    await using stack = await startStack({ env: scenarioEnvironment(size, {}) });
    const [byDefault, byFallback] = stack.processorUrls;
    const places = { url: stack.url, processors: { default: byDefault, fallback: byFallback } };
    const outcome = await play(places, size, silent());
    const lines = outcomeLines(outcome).join('\n');
    assert.equal(outcome.failed, 0, lines);
    assert.deepEqual(outcome.refused, {}, lines);
    assert.equal(outcome.unsettled, 0, lines);
    assert.equal(inconsistencies(outcome), 0, lines);
    assert.equal(outcome.audits.length, script.seconds / script.auditEverySeconds);
    assert.equal(outcome.accepted, outcome.latencyCount);
    const gross = (outcome.accepted * script.cents) / 100;
    const best = gross * (1 - script.fees.default) * 1.22;
    assert.ok(score(outcome) > gross * 0.8 && score(outcome) <= best, lines);
    assert.equal(scenarioCharts(outcome.timeline, script, undefined).length, 3);
  });
}

test('the floor is measured by the same users', { skip }, async () => {
  await using children = new ChildProcesses();
  const { port } = await constantProxy(children);
  const { p50, max } = await playFloor(
    { host: '127.0.0.1', port },
    { script: PREVIEW, scale: 0.5 / PREVIEW.seconds, users: 40 },
    silent(),
  );
  assert.ok(p50 > 0 && p50 <= max);
});
