/**
 * The cheap processor fails four payments in ten, then it goes away, then it returns, while 500 payments a
 * second come in: how many get through, at which price, and how soon everything is as before.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { AdminClient } from '../../src/processor-simulator/admin-client.ts';
import { simulatedProcessors } from '../../src/testing/backends.ts';
import type { ChildProcesses } from '../../src/testing/processes.ts';
import { until } from '../../src/testing/until.ts';
import { Auditor, disagreementCents } from '../rinha/auditor.ts';
import { startUsers } from '../rinha/users.ts';
import { startSoquete } from '../tools/soquete.ts';
import { benchmark, type Definition, type Measurements } from './benchmark.ts';

const FLOW = { users: 50, thinkMs: 100, rampMs: 100, cents: 1990 } as const;
const FAIL_RATE = 0.4;
/** A backlog has to be gone within this. */
const PATIENCE_MS = 60_000;
const POLL_MS = 10;

export const faults: Definition = {
  name: 'faults',
  about: 'default fails 40 %, then goes away, then returns, while 500 payments a second come in',
  open: () => {
    const columns = [
      { figure: 'settledPerSecond', title: 'settled/s at 40 %', mayBeZero: true },
      { figure: 'fallbackShare', title: 'share on fallback' },
      { figure: 'opensMs', title: 'circuit opens ms' },
      { figure: 'backlog', title: 'backlog' },
      { figure: 'goneMs', title: 'gone after ms' },
    ] as const;
    return benchmark(columns, [{ name: 'soquete', run: ({ children, seconds }) => play(children, seconds) }]);
  },
};

async function play(children: ChildProcesses, seconds: number): Promise<Measurements> {
  const startedAtMs = Date.now();
  const processors = await simulatedProcessors(children);
  const { url, port, backends } = await startSoquete(children, { processors });
  const [byDefault, byFallback] = processors.urls;
  await using admin = new AdminClient(byDefault);
  await using auditor = new Auditor({ url, processors: { default: byDefault, fallback: byFallback } });
  const settled = async () => (await auditor.recorded()).reduce((sum, count) => sum + count, 0);
  const flow = startUsers({ host: '127.0.0.1', port, ...FLOW, durationMs: 3 * seconds * 1000 });

  await admin.set('faults', { failRate: FAIL_RATE });
  const before = await settled();
  await sleep(seconds * 1000);
  const settledPerSecond = ((await settled()) - before) / seconds;

  const heard = backends.map(child => child.said().length);
  await admin.set('faults', {});
  await admin.set('failure', { failure: true });
  const goneAtMs = Date.now();
  await sleep(seconds * 1000);
  const opened = backends.flatMap((child, at) => openedAtMs(child.said().slice(heard[at])));

  const waiting = async () => flow.accepted - (await settled());
  const backlog = await waiting();
  await admin.set('failure', { failure: false });
  const returnedAt = performance.now();
  await until(async () => (await waiting()) <= FLOW.users, 'the backlog to be gone', PATIENCE_MS, POLL_MS);
  const goneMs = performance.now() - returnedAt;
  await flow.done;
  await until(async () => (await waiting()) <= 0, 'all payments to be settled', PATIENCE_MS, POLL_MS);
  // The last answers may be on their way from the processors to the books.
  const books = async () => auditor.books(startedAtMs, Date.now() + 1000);
  await until(async () => disagreementCents(await books()) === 0, 'the books to agree', PATIENCE_MS, POLL_MS);
  const { ours } = await books();
  return {
    settledPerSecond,
    fallbackShare: ours.fallback.requests / flow.accepted,
    // NaN where it was open already: four failures in ten may do.
    opensMs: opened.length === 0 ? Number.NaN : Math.min(...opened) - goneAtMs,
    backlog,
    goneMs,
    work: ours.default.requests + ours.fallback.requests,
  };
}

/** When a backend said that the circuit of default opened, by its log. */
function openedAtMs(log: string): number[] {
  return log
    .split('\n')
    .filter(line => line.includes('"circuit":"open"') && line.includes('"default"'))
    .map(line => Date.parse(/"time":"([^"]+)"/.exec(line)?.[1] ?? ''));
}
