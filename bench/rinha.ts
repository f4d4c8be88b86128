/**
 * The challenge's scripts, for real: users, processors that slow down and fail, an auditor who compares the
 * books meanwhile, and the score at the end.
 *
 *   npm run bench:rinha -- preview           60 s, up to 550 users; starts a stack of its own
 *   npm run bench:rinha -- final             300 s, up to 603 users
 *   npm run bench:rinha -- final --scale 0.1         all times a tenth: delays, stages, deadlines
 *   npm run bench:rinha -- --containers      starts the stack with Docker, within the challenge's limits
 *   npm run bench:rinha -- --url http://localhost:9999     plays it to a soquete that runs already
 *
 * Ends with status 1 when the books disagreed or an accepted payment is not settled.
 */
import { flag, option, readCommandLine } from '../src/settings/command-line.ts';
import { decimalNumber, httpUrl, wholeNumber } from '../src/settings/grammar.ts';
import { ChildProcesses } from '../src/testing/processes.ts';
import { type RunningStack, startStack } from '../src/testing/stack.ts';
import type { Endpoints } from './rinha/auditor.ts';
import { startContainers } from './rinha/containers.ts';
import { scenarioEnvironment } from './rinha/environment.ts';
import { play, playFloor, type ScenarioResult } from './rinha/scenario.ts';
import { bestScore, floorLines, isFlawless, outcomeLines, score } from './rinha/score.ts';
import { CHALLENGE_SCRIPTS, type Script } from './rinha/stages.ts';
import { ProgressLine, silence } from './tools/progress.ts';
import { constantProxy } from './tools/proxy.ts';
import { keep } from './tools/results-file.ts';

import type { Latency } from './tools/statistics.ts';

const { values, words } = readCommandLine({
  name: 'bench:rinha',
  command: 'npm run bench:rinha --',
  about: `The challenge's scripts: growing load, processors that slow down and fail, audits meanwhile, and the score.
Ends with 1 when the books disagreed or an accepted payment is not settled.`,
  words: {
    known: {
      preview: '60 s, up to 550 users, fees of 5 and 15 %; this one where none is named',
      final: '300 s, up to 603 users, fees of 7 and 10 %',
    },
    max: 1,
  },
  options: {
    containers: flag("starts the stack with Docker Compose, within the challenge's limits"),
    url: option('a soquete that runs already, instead of a stack of its own', 'URL', httpUrl, undefined),
    default: option("that one's default processor", 'URL', httpUrl, 'http://localhost:8001'),
    fallback: option("that one's fallback processor", 'URL', httpUrl, 'http://localhost:8002'),
    scale: option('all times and delays are multiplied by it', 'N', decimalNumber(0.01, 10), 1),
    users: option('how many there are at the end', 'N', wholeNumber(1, 10_000), undefined),
    'with-floor': flag("plays the same load to HAProxy's constant answer before"),
    together: flag('plays it to that at the same time, where other work disturbs this machine'),
    floor: flag('plays it to that alone'),
  },
  status: 78,
});
const script = CHALLENGE_SCRIPTS[(words[0] ?? 'preview') as Script['name']];
const size = { script, scale: values.scale, users: values.users ?? script.users };
const env = scenarioEnvironment(size, process.env);

const progress = new ProgressLine();
await using children = new ChildProcesses();
const isFull = size.scale === 1 && size.users === script.users;

if (values.floor) {
  console.log(floorLines(await floor()).join('\n'));
} else {
  const before = values['with-floor'] && !values.together ? await floor() : undefined;
  await using containers = values.containers ? await startContainers() : undefined;
  await using stack = values.containers || values.url !== undefined ? undefined : await startStack({ env });
  const found = containers?.places ?? placesOf(stack);
  const beside = values.together ? floor(new ProgressLine(silence)) : undefined;
  const outcome = await play(found, size, progress);
  report(outcome, before ?? (await beside));
  if (containers !== undefined)
    console.log(`memory           ${containers.usage().join('\n                 ')}`);
  if (!isFlawless(outcome)) process.exitCode = 1;
}

async function floor(shown = progress): Promise<Latency> {
  const { port } = await constantProxy(children);
  return await playFloor({ host: '127.0.0.1', port }, size, shown);
}

/** Where the stack is that was started, or else that which the command line names. */
function placesOf(stack: RunningStack | undefined): Endpoints {
  const [byDefault, byFallback] = stack?.processorUrls ?? [values.default, values.fallback];
  return { url: stack?.url ?? values.url!, processors: { default: byDefault, fallback: byFallback } };
}

function report(outcome: ScenarioResult, constant: Latency | undefined): void {
  console.log(outcomeLines(outcome).join('\n'));
  if (constant !== undefined) {
    console.log(floorLines(constant).join('\n'));
    const ratio = outcome.latency.p99 / constant.p99;
    console.log(
      `p99 ratio        ${ratio.toFixed(2)} times that of the constant answer; at that p99 the best score is ${bestScore(outcome, constant.p99)}`,
    );
  }
  const about = `the challenge's ${script.name}: ${script.seconds} s of growing load, failing processors, audits, and a score`;
  const name = script.name === 'preview' ? 'rinha' : `rinha-${script.name}`;
  if (isFull) keep(name, { about, score: score(outcome), constant, ...outcome });
}
