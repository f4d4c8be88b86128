/**
 * Where the time of one backend goes: the functions with the most time of their own, by V8's sampling
 * profiler, and the system calls for each payment, by strace where it is installed.
 *
 *   node bench/profile.ts settle
 *   node bench/profile.ts accept --seconds 5 --connections 64 --ack flush --strace
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { flag, option, readCommandLine } from '../src/settings/command-line.ts';
import { decimalNumber, oneOf, wholeNumber } from '../src/settings/grammar.ts';
import { absentProcessors, simulatedProcessors } from '../src/testing/backends.ts';
import { ChildProcesses } from '../src/testing/processes.ts';
import { load } from './tools/load.ts';
import { cpuMs } from './tools/process-usage.ts';
import { startSoquete } from './tools/soquete.ts';
import { table } from './tools/table.ts';

const { values, words } = readCommandLine({
  name: 'profile',
  command: 'node bench/profile.ts',
  about: 'Where the time of one backend goes, by function, or by system call.',
  options: {
    seconds: option('how long', 'N', decimalNumber(0.1, 86_400), 5),
    connections: option('on which payments are sent', 'N', wholeNumber(1, 10_000), 64),
    ack: option('when 202 is sent', 'parse|commit|flush', oneOf('parse', 'commit', 'flush'), 'commit'),
    strace: flag('system calls instead of functions, where strace is installed'),
    rows: option('how many functions are shown', 'N', wholeNumber(1, 10_000), 40),
  },
  words: {
    known: {
      accept:
        'the processors refuse connections, so accepting is all there is to do (unless another is named)',
      settle: 'accepts, posts and books',
    },
    max: 1,
  },
});
const settles = words[0] === 'settle';
const { seconds } = values;

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { functionName: string; url: string; lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

await using children = new ChildProcesses();
const profiles = join(children.directory, 'profiles');
const soquete = await startSoquete(children, {
  processors: settles ? await simulatedProcessors(children) : await absentProcessors(),
  environment: { ACK_AFTER: values.ack },
  nodeOptions: values.strace ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`, '--cpu-prof-interval=200'],
});
const options = { url: soquete.url, connections: values.connections };
await load(children, { ...options, seconds: 1 });
const backend = soquete.backends[0]!;
const tracer = values.strace
  ? children.spawn('strace', 'strace', ['-f', '-c', '-p', String(backend.pid)])
  : undefined;
const cpuBefore = cpuMs(backend.pid);
const result = await load(children, { ...options, seconds });
console.log(result);
console.log(
  `backend-1: ${(((cpuMs(backend.pid) - cpuBefore) * 1000) / (result.accepted / 3)).toFixed(1)} us of processor a payment`,
);
for (const [thread, ms] of threads(backend.pid)) console.log(`  ${thread}: ${ms} ms since its start`);
if (tracer !== undefined) {
  process.kill(tracer.pid, 'SIGINT');
  await tracer.exited;
  console.log(`for about ${Math.round(result.accepted / 3)} payments:\n${tracer.said()}`);
} else {
  if (settles) await sleep(500);
  process.kill(backend.pid, 'SIGTERM');
  await backend.exited;
  for (const file of readdirSync(profiles)) hottest(file);
}

function threads(pid: number): [string, number][] {
  return readdirSync(`/proc/${pid}/task`)
    .map(task => {
      const [head, tail] = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8').split(') ');
      const fields = tail!.split(' ');
      return [`${head!.split('(')[1]} ${task}`, (Number(fields[11]) + Number(fields[12])) * 10] as [
        string,
        number,
      ];
    })
    .filter(([, ms]) => ms > 50);
}

function hottest(file: string): void {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(profiles, file), 'utf8')) as Profile;
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const selfUs = new Map<string, number>();
  let totalUs = 0;
  for (const [at, id] of samples.entries()) {
    const { functionName, url, lineNumber } = frames.get(id)!;
    const place = url === '' ? '' : ` ${url.split('/').slice(-2).join('/')}:${lineNumber + 1}`;
    const name = `${functionName || '(anonymous)'}${place}`;
    const us = timeDeltas[at]!;
    if (name === '(idle)') continue;
    totalUs += us;
    selfUs.set(name, (selfUs.get(name) ?? 0) + us);
  }
  const rows = [...selfUs]
    .sort((a, b) => b[1] - a[1])
    .slice(0, values.rows)
    .map(([name, us]) => [name, `${Math.round(us / 1000)}`, `${((us / totalUs) * 100).toFixed(1)} %`]);
  console.log(`\n${file}`);
  console.log(table(['function', 'own ms', 'of busy'], rows));
}
