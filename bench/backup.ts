/**
 * What a backup costs while payments come in: phases with backups, one after the other, and phases without,
 * in turns, on one running soquete whose store has a history.
 *
 *   node bench/backup.ts [PAYMENTS of the history, 500000] [SECONDS of a phase, 6]
 *
 * First at 1,000 payments a second, where what counts is that as many are settled, and what each costs; then
 * with as many as soquete takes. The last backup is restored, and has to have what it says.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { simulatedProcessors } from '../src/testing/backends.ts';
import { ChildProcesses } from '../src/testing/processes.ts';
import { Auditor } from './rinha/auditor.ts';
import { startUsers } from './rinha/users.ts';
import { fillStore, removeDirectory } from './suite/fill.ts';
import { load } from './tools/load.ts';
import { cpuMs } from './tools/process-usage.ts';
import { startSoquete } from './tools/soquete.ts';
import { median } from './tools/statistics.ts';
import { number, table } from './tools/table.ts';

const PAYMENTS = Number(process.argv[2] ?? 500_000);
const SECONDS = Number(process.argv[3] ?? 6);
const TURNS = 4;
const PACED = { users: 100, thinkMs: 100, rampMs: 1, cents: 1990 } as const;
const CONNECTIONS = 64;
const program = fileURLToPath(new URL('../src/backup/main.ts', import.meta.url));

interface Phase {
  readonly acceptedPerSecond: number;
  readonly settledPerSecond: number;
  /** Processor time of the backends for each payment settled. */
  readonly cpuUs: number;
  readonly p99: number;
  readonly backups: number;
}

const filled = await fillStore(PAYMENTS, () => {});
process.once('exit', () => removeDirectory(filled.directory));
await using children = new ChildProcesses();
const processors = await simulatedProcessors(children);
const { url, port, backends } = await startSoquete(children, {
  processors,
  storeDirectory: filled.directory,
});
const [byDefault, byFallback] = processors.urls;
await using auditor = new Auditor({ url, processors: { default: byDefault, fallback: byFallback } });
let made = 0;
const fileOf = (number: number): string => join(children.directory, `${number}.tar`);

async function backup(command: 'backup' | 'restore', file: string, directory: string): Promise<string> {
  const child = children.spawn(command, process.execPath, [program, command, file], {
    STORE_URL: `sqlite:${directory}`,
  });
  assert.equal(await child.exited, 0, child.said());
  return child.said();
}

/** Backups one after the other, until it is time. */
async function backUp(until: { isOver: boolean }): Promise<number> {
  let done = 0;
  while (!until.isOver) {
    rmSync(fileOf(made), { force: true });
    await backup('backup', fileOf(++made), filled.directory);
    done += 1;
  }
  return done;
}

const settled = async (): Promise<number> =>
  (await auditor.recorded()).reduce((sum, count) => sum + count, 0);

async function phase(isPaced: boolean, withBackups: boolean): Promise<Phase> {
  const cpu = (): number => backends.reduce((sum, { pid }) => sum + cpuMs(pid), 0);
  const until = { isOver: false };
  const backups = withBackups ? backUp(until) : Promise.resolve(0);
  const [cpuBefore, settledBefore, startedAt] = [cpu(), await settled(), performance.now()];
  let accepted: number;
  let p99: number;
  if (isPaced) {
    const users = startUsers({ host: '127.0.0.1', port, ...PACED, durationMs: SECONDS * 1000 });
    await users.done;
    accepted = users.accepted;
    const sorted = users.latencyMs.sorted();
    p99 = sorted[Math.floor(sorted.length * 0.99)]!;
  } else ({ accepted, p99 } = await load(children, { url, connections: CONNECTIONS, seconds: SECONDS }));
  const seconds = (performance.now() - startedAt) / 1000;
  const done = (await settled()) - settledBefore;
  const used = cpu() - cpuBefore;
  until.isOver = true;
  return {
    acceptedPerSecond: accepted / seconds,
    settledPerSecond: done / seconds,
    cpuUs: (used * 1000) / done,
    p99,
    backups: await backups,
  };
}

const FIGURES = ['acceptedPerSecond', 'settledPerSecond', 'cpuUs', 'p99', 'backups'] as const;
for (const isPaced of [true, false]) {
  const phases: Record<'without' | 'with', Phase[]> = { without: [], with: [] };
  await phase(isPaced, false);
  for (let turn = 0; turn < TURNS; turn++) {
    const order = turn % 2 === 0 ? (['without', 'with'] as const) : (['with', 'without'] as const);
    for (const kind of order) phases[kind].push(await phase(isPaced, kind === 'with'));
  }
  const of = (kind: 'without' | 'with', figure: keyof Phase): number =>
    median(phases[kind].map(each => each[figure]));
  console.log(
    table(
      [isPaced ? 'at 1,000/s' : 'at most', ...FIGURES],
      [
        ...(['without', 'with'] as const).map(kind => [
          kind,
          ...FIGURES.map(figure => number(of(kind, figure))),
        ]),
        ['ratio', ...FIGURES.map(figure => number(of('with', figure) / of('without', figure)))],
      ],
    ),
  );
}
const target = join(children.directory, 'restored');
console.log(await backup('restore', fileOf(made), target));
