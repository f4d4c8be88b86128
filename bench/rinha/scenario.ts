/** Plays the scenario: users, stages and audits, each at its time. */
import { setTimeout as sleep } from 'node:timers/promises';
import { PROCESSORS } from '../../src/domain/payment.ts';
import { clockText, type ProgressLine } from '../tools/progress.ts';
import { type Latency, latencyOf, quantile } from '../tools/statistics.ts';
import { Auditor, type ComparedBooks, disagreementCents, type Endpoints } from './auditor.ts';
import type { Script } from './stages.ts';
import { type Load, startUsers, type UsersOptions } from './users.ts';

export interface ScenarioSize {
  readonly script: Script;
  /** All times and delays are multiplied by it. */
  readonly scale: number;
  readonly users: number;
}

export const secondsOf = ({ script, scale }: ScenarioSize): number => script.seconds * scale;

export interface Audit {
  readonly atSeconds: number;
  readonly disagreementCents: number;
  readonly books: ComparedBooks;
}

/** What happened in one second of the scenario. */
export interface Second {
  readonly answered: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Settled on each processor since the start, by its own book. */
  readonly settled: readonly [number, number];
}

export interface ScenarioResult {
  readonly size: ScenarioSize;
  readonly latency: Latency;
  /** Requests that were answered. */
  readonly latencyCount: number;
  readonly accepted: number;
  readonly failed: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly audits: readonly Audit[];
  /** The books when the challenge reads them: what they lack earns nothing. */
  readonly closing: ComparedBooks;
  /** Accepted, and not in the processors' books then. */
  readonly lag: number;
  /** The books once everything was settled, or waited for in vain. */
  readonly books: ComparedBooks;
  /** Accepted, and not in soquete's then. */
  readonly unsettled: number;
  /** How long it took after the last payment until all were settled. */
  readonly settledAfterMs: number;
  readonly timeline: readonly Second[];
}

/** What is not settled this long after the last payment is waited for no longer. */
const SETTLE_MS_MAX = 60_000;
const START_SLACK_MS = 1_000;

export async function play(
  places: Endpoints,
  size: ScenarioSize,
  progress: ProgressLine,
  onAnswered?: UsersOptions['onAnswered'],
): Promise<ScenarioResult> {
  const { hostname: host, port } = new URL(places.url);
  await using auditor = new Auditor(places);
  await auditor.reset();
  const { script, scale } = size;
  const seconds = secondsOf(size);
  const startedWallMs = Date.now();
  const startedAt = performance.now();
  const load = users(host, Number(port), size, onAnswered);
  const until = (seconds: number) =>
    sleep(Math.max(0, startedAt + seconds * scale * 1000 - performance.now()));

  let stage = 'as they were';
  const stages = (async () => {
    for (const next of script.stages) {
      await until(next.atSeconds);
      await auditor.enter(next, scale);
      stage = next.is;
    }
  })();
  const audits: Audit[] = [];
  const auditing = (async () => {
    const { auditEverySeconds, window } = script;
    for (let at = auditEverySeconds; at <= script.seconds; at += auditEverySeconds) {
      await until(at);
      const now = Date.now();
      // However fast the scenario is played, what is on its way between two processes needs its time.
      const to = now - window.to * 1000;
      const from = to - (window.from - window.to) * scale * 1000;
      const books = await auditor.books(from, to);
      audits.push({ atSeconds: at, disagreementCents: disagreementCents(books), books });
    }
  })();
  const settled: [number, number][] = [];
  const watch = setInterval(async () => {
    const left = seconds - (performance.now() - startedAt) / 1000;
    const wrong = audits.filter(audit => audit.disagreementCents > 0).length;
    progress.update(
      `scenario  ${clockText(left)} left  ${load.usersNow} users  ${load.accepted} accepted  ` +
        `${audits.length} audits${wrong > 0 ? `, ${wrong} DISAGREE` : ''}  processors: ${stage}`,
    );
  }, 500);
  const counting = (async () => {
    for (let second = 1; second <= seconds; second++) {
      await sleep(Math.max(0, startedAt + second * 1000 - performance.now()));
      settled.push(await auditor.recorded());
    }
  })();

  try {
    await Promise.all([load.done, stages, auditing, counting]);
  } finally {
    clearInterval(watch);
    progress.clear();
  }
  const endedAt = performance.now();
  const everything = () => auditor.books(startedWallMs - START_SLACK_MS, Date.now() + START_SLACK_MS);
  await sleep(script.closedAfterMs);
  const closing = await everything();
  let books = closing;
  while (missing(load, books.ours) > 0 && performance.now() - endedAt < SETTLE_MS_MAX) {
    await sleep(50);
    books = await everything();
  }
  return {
    size,
    latency: latencyOf(load.latencyMs),
    latencyCount: load.latencyMs.count,
    accepted: load.accepted,
    failed: load.failed,
    refused: Object.fromEntries(load.refused),
    audits,
    closing,
    lag: missing(load, closing.theirs),
    books,
    unsettled: missing(load, books.ours),
    settledAfterMs: performance.now() - endedAt,
    timeline: timeline(load, settled),
  };
}

/** The same users against something that answers at once: what the load itself costs here. */
export async function playFloor(
  door: { host: string; port: number },
  size: ScenarioSize,
  progress: ProgressLine,
): Promise<Latency> {
  const startedAt = performance.now();
  const load = users(door.host, door.port, size);
  const watch = setInterval(() => {
    const left = secondsOf(size) - (performance.now() - startedAt) / 1000;
    progress.update(`floor     ${clockText(left)} left  ${load.usersNow} users  ${load.accepted} answered`);
  }, 500);
  await load.done;
  clearInterval(watch);
  progress.clear();
  return latencyOf(load.latencyMs);
}

const users = (
  host: string,
  port: number,
  size: ScenarioSize,
  onAnswered?: UsersOptions['onAnswered'],
): Load =>
  startUsers({
    host,
    port,
    users: size.users,
    durationMs: secondsOf(size) * 1000,
    ...(size.script.rampSeconds !== undefined && { rampMs: size.script.rampSeconds * size.scale * 1000 }),
    thinkMs: size.script.thinkMs,
    cents: size.script.cents,
    ...(onAnswered !== undefined && { onAnswered }),
  });

/** What was accepted and is not in these books. */
const missing = (load: Load, books: ComparedBooks['ours']): number =>
  load.accepted - PROCESSORS.reduce((sum, name) => sum + books[name].requests, 0);

function timeline(load: Load, settled: readonly [number, number][]): Second[] {
  const seconds: number[][] = settled.map(() => []);
  const latencies = load.latencyMs.values;
  for (const [at, answeredAtMs] of load.answeredAtMs.values.entries()) {
    seconds[Math.floor(answeredAtMs / 1000)]?.push(latencies[at]!);
  }
  return seconds.map((values, second) => {
    const sorted = values.toSorted((a, b) => a - b);
    return {
      answered: sorted.length,
      p50: quantile(sorted, 0.5),
      p99: quantile(sorted, 0.99),
      max: quantile(sorted, 1),
      settled: settled[second]!,
    };
  });
}
