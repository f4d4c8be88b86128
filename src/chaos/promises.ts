/**
 * The rows of docs/promises.md, each done to the real stack under load: what the client got, what the
 * operator could read, what was lost.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Faults } from '../processor-simulator/faults.ts';
import { until } from '../testing/until.ts';
import { beginAnew, type LossOptions, loseBooks, loseDisk, losePower, report } from './disasters.ts';
import { Scene } from './harness.ts';
import { LoopDisk, noLoopDisk } from './loop-disk.ts';

export interface Row {
  /** As the table names it. */
  readonly fault: string;
  /** Resolves to the number of payments about which a promise was broken. */
  readonly play: (options: LossOptions) => Promise<number>;
  /** Why it cannot be done here. */
  readonly notHere?: string | undefined;
}

/**
 * What a client does without being hurried: each of its connections begins a payment so often at most.
 */
const EVERY_MS = 12;
const BEFORE_MS = 1000;

const passes = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

type Act = (scene: Scene) => Promise<unknown>;

/** A row that is something done to a running stack and undone again. */
const live = (fault: string, act: Act, env: NodeJS.ProcessEnv = {}): Row => ({
  fault,
  play: options => playLive(act, env, options),
});

async function playLive(
  act: Act,
  env: NodeJS.ProcessEnv,
  options: LossOptions,
  directory?: string,
): Promise<number> {
  const { say } = options;
  await using scene = await Scene.set({ ...options, env, ...(directory === undefined ? {} : { directory }) });
  const { client } = scene;
  await scene.start();
  client.everyMs = EVERY_MS;
  const sending = client.send(Number.POSITIVE_INFINITY);
  await passes(BEFORE_MS);
  const watched = watch(scene);
  const startedMs = performance.now();
  await act(scene);
  client.stop();
  await sending;
  await scene.settles();
  const settledMs = performance.now() - startedMs;
  const findings = await scene.audit();
  const answers = [...client.answers].map(([name, count]) => `${name} ${count}`).join(', ');
  say(`  client: ${answers}; the slowest after ${Math.round(client.slowestMs)} ms`);
  say(`  log: ${scene.told.join(' · ')}`);
  say(`  metrics: ${await watched.end()}`);
  say(`  all settled ${(settledMs / 1000).toFixed(1)} s after it began`);
  report(findings, say);
  const { lost, recorded, sent } = findings;
  return lost.length + recorded.counts.twice + sent.counts.lost + (findings.sums.agree ? 0 : 1);
}

/** The highest of what /metrics shows while it lasts, and how attempts ended. */
function watch(scene: Scene) {
  const names = ['soquete_payments_pinned', 'soquete_queue_length'] as const;
  const highest = new Map<string, number>();
  const note = (name: string, value: number): void => {
    if (!Number.isNaN(value)) highest.set(name, Math.max(value, highest.get(name) ?? 0));
  };
  const look = async (): Promise<void> => {
    for (const name of names) note(name, await scene.metric(name));
    note('backends down', 3 - (await scene.metric('soquete_instance_up')));
    note('circuits open', await scene.metric('soquete_circuit_state', 'state="open"'));
    for (const [, value] of await scene.byLabel('soquete_oldest_unsettled_seconds', 'instance')) {
      note('soquete_oldest_unsettled_seconds', value);
    }
  };
  let isOver = false;
  const looking = (async () => {
    // Nobody may answer at present.
    for (; !isOver; await passes(250)) await look().catch(() => {});
  })();
  return {
    async end(): Promise<string> {
      isOver = true;
      await looking;
      const outcomes = await scene.byLabel('soquete_attempts_total', 'outcome');
      const shown = [...highest].map(([name, value]) => `${name} <= ${Math.round(value * 10) / 10}`);
      return `${shown.join(', ')}; attempts ${[...outcomes].map(([name, count]) => `${name} ${count}`).join(', ')}`;
    },
  };
}

/** Default's faults for a while. */
const faulty =
  (faults: Partial<Faults>, ms = 3000): Act =>
  async scene => {
    await scene.admins[0].set('faults', { seed: 1, ...faults });
    await passes(ms);
    await scene.admins[0].set('faults', {});
  };

async function fillDisk({ say, ...options }: LossOptions): Promise<number> {
  await using disk = new LoopDisk(64);
  const act: Act = async scene => {
    const giveBack = await disk.fill();
    const refused = (): number => scene.client.answers.get('503') ?? 0;
    await until(() => refused() > 100, 'payments to be refused');
    let health = await fetch(`${scene.url}/health`);
    await until(async () => {
      health = await fetch(`${scene.url}/health`);
      return health.status === 503;
    }, 'no backend to be ready');
    say(`  GET /health: ${(await health.text()).trim()}`);
    giveBack();
    const before = scene.client.accepted;
    await until(() => scene.client.accepted > before, 'payments to be accepted again');
  };
  // Not before it has ended may the disk go.
  return await playLive(act, {}, { ...options, say }, join(disk.path, 'data'));
}

export const ROWS: readonly Row[] = [
  live('a backend is killed (`kill -9`)', async scene => {
    scene.stack.signal('SIGKILL', 'backend-2');
    await passes(5000);
  }),
  live('a backend is stopped (`SIGTERM`)', async scene => {
    scene.stack.signal('SIGTERM', 'backend-2');
    await passes(4000);
  }),
  live('a backend hangs for 6 s (`SIGSTOP`)', async scene => {
    scene.stack.signal('SIGSTOP', 'backend-2');
    await passes(6000);
    scene.stack.signal('SIGCONT', 'backend-2');
    await passes(2000);
  }),
  live('all backends are killed', async scene => {
    scene.stack.signal('SIGKILL', 'backends');
    await passes(4000);
  }),
  live('HAProxy is killed', async scene => {
    scene.stack.signal('SIGKILL', 'proxy');
    await passes(3000);
  }),
  live('default fails (`500`)', async scene => {
    await scene.admins[0].set('failure', { failure: true });
    await passes(4000);
    await scene.admins[0].set('failure', { failure: false });
  }),
  live('both processors fail', async scene => {
    for (const which of [0, 1] as const) await scene.admins[which].set('failure', { failure: true });
    await passes(4000);
    for (const which of [0, 1] as const) await scene.admins[which].set('failure', { failure: false });
  }),
  live('default refuses connections', async scene => {
    await scene.admins[0].set('faults', { refuseMs: 3000 });
    await passes(4000);
  }),
  live('default records payments and loses the answers', faulty({ answerLost: 0.2 })),
  live(
    'default records payments seconds after it closed the connection',
    faulty({ lateRecord: 0.2, lateMs: 2500 }),
  ),
  live('default hangs, with and without recording', faulty({ hang: 0.1, hangRecorded: 0.1 })),
  live(
    'a gateway in between answers `502`, `504`, `408`, or something answers garbage',
    faulty({ gateway: 0.1, gatewayRecorded: 0.1, garbage: 0.1, garbageRecorded: 0.1 }),
  ),
  live('default is overloaded (`429`, `503`)', faulty({ tooMany: 0.2, unavailable: 0.2 })),
  live(
    'default takes 3 s for each answer',
    async scene => {
      await scene.admins[0].set('delay', { delay: 3000 });
      await passes(7000);
      await scene.admins[0].set('delay', { delay: 0 });
    },
    { ATTEMPT_TIMEOUT_MS: '10000', FALLBACK_AFTER_MS: '30000' },
  ),
  // The health of a processor is asked once in five seconds.
  live('a health endpoint lies', faulty({ healthLies: 1 }, 11_000)),
  { fault: "the store's disk is full", notHere: noLoopDisk, play: fillDisk },
  {
    fault: 'the machine loses power',
    notHere: noLoopDisk,
    async play(options) {
      const flushed = await losePower('flush', options);
      const committed = await losePower('commit', options);
      const lost = flushed.lost.length + committed.lostFromDisk.length;
      return lost + flushed.recorded.counts.twice + committed.recorded.counts.twice;
    },
  },
  {
    fault: 'the disk of the store goes away, and comes back with what it had',
    async play(options) {
      const moved = await loseDisk('is moved away', options);
      if (noLoopDisk !== undefined) options.say(`  that it fails is not done: ${noLoopDisk}`);
      const failed = noLoopDisk === undefined ? await loseDisk('fails', options) : moved;
      return moved.lost.length + moved.recorded.counts.twice + failed.recorded.counts.twice;
    },
  },
  {
    fault: 'the disk of the store is lost',
    async play(options) {
      const { sentAgain, onFallback } = await beginAnew(options);
      return sentAgain.lost.length + Math.abs(sentAgain.recorded.counts.twice - onFallback);
    },
  },
  {
    fault: 'a processor loses its books',
    async play(options) {
      const { findings } = await loseBooks(options);
      return findings.lost.length + findings.recorded.counts.twice;
    },
  },
];

/**
 * Plays all rows whose name has `part` in it; resolves to the number of payments about which a promise was
 * broken.
 */
export async function playRows(part: string, options: LossOptions): Promise<number> {
  let broken = 0;
  for (const { fault, notHere, play } of ROWS.filter(row => row.fault.includes(part))) {
    options.say(`${fault}${notHere === undefined ? '' : `: not done, ${notHere}`}`);
    if (notHere === undefined) broken += await play(options);
  }
  return broken;
}

/** The faults of the table's rows that are marked as done. */
export function markedRows(): string[] {
  const table = readFileSync(join(import.meta.dirname, '../../docs/promises.md'), 'utf8');
  return [...table.matchAll(/^\| ✓ +\| (?<fault>.*?) +\|/gm)].map(row => row.groups!['fault']!);
}
