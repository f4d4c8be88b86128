/**
 * The challenge's scenario, for real: 550 users, 60 seconds, processors that slow down and fail, an auditor
 * who compares the books meanwhile, and the score at the end.
 *
 *   npm run bench:rinha                      starts a stack of its own
 *   npm run bench:rinha -- --containers      starts it with Docker, within the challenge's limits
 *   npm run bench:rinha -- --url http://localhost:9999     plays it to a soquete that runs already
 *   npm run bench:rinha -- --seconds 6       everything ten times as fast
 *
 * Ends with status 1 when the books disagreed or an accepted payment is not settled.
 */
import { flag, option, readCommandLine } from '../src/settings/command-line.ts';
import { decimalNumber, httpUrl, wholeNumber } from '../src/settings/grammar.ts';
import { ChildProcesses } from '../src/testing/processes.ts';
import { type RunningStack, startStack } from '../src/testing/stack.ts';
import type { Endpoints } from './rinha/auditor.ts';
import { startContainers } from './rinha/containers.ts';
import { play, playFloor, type ScenarioResult } from './rinha/scenario.ts';
import { bestScore, floorLines, isFlawless, outcomeLines, score } from './rinha/score.ts';
import { FULL_SECONDS, USERS } from './rinha/stages.ts';
import { ProgressLine, silence } from './tools/progress.ts';
import { constantProxy } from './tools/proxy.ts';
import { keep } from './tools/results-file.ts';
import type { Latency } from './tools/statistics.ts';

const { values } = readCommandLine({
  name: 'bench:rinha',
  command: 'npm run bench:rinha --',
  about: `The challenge's scenario: growing load, processors that slow down and fail, audits meanwhile, and the score.
Ends with 1 when the books disagreed or an accepted payment is not settled.`,
  options: {
    containers: flag("starts the stack with Docker Compose, within the challenge's limits"),
    url: option('a soquete that runs already, instead of a stack of its own', 'URL', httpUrl, undefined),
    default: option("that one's default processor", 'URL', httpUrl, 'http://localhost:8001'),
    fallback: option("that one's fallback processor", 'URL', httpUrl, 'http://localhost:8002'),
    seconds: option(
      'how long; the script is played as much faster',
      'N',
      decimalNumber(0.1, 86_400),
      FULL_SECONDS,
    ),
    users: option('how many there are at the end', 'N', wholeNumber(1, 10_000), USERS),
    'with-floor': flag("plays the same load to HAProxy's constant answer before"),
    together: flag('plays it to that at the same time, where other work disturbs this machine'),
    floor: flag('plays it to that alone'),
  },
  status: 78,
});
const size = { seconds: values.seconds, users: values.users };
/** As a person starts it, but that it may be purged. */
const env = { ALLOW_PURGE: '1', LOG_LEVEL: 'info' };

const progress = new ProgressLine();
await using children = new ChildProcesses();
const isFull = size.seconds === FULL_SECONDS && size.users === USERS;

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
  const about = 'the challenge: 60 seconds of growing load, failing processors, audits, and a score';
  if (isFull) keep('rinha', { about, score: score(outcome), constant, ...outcome });
}
