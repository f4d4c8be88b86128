/**
 * What a seed means: which kinds of fault it turns on and how often they strike, the policy, the load, the
 * limits.
 *
 * Each seed turns on a random few of all kinds (swarm testing): with everything on at once one fault would
 * hide another, and long chains of one kind would never come about.
 */

import type { Policy } from '../domain/settlement.ts';
import { OTHER_FAULTS, POST_FAULTS } from '../processor-simulator/faults.ts';
import type { AckAfter } from '../settings/backend.ts';
import { INDEX_LAG, type IndexLag } from '../storage/embedded/indexing.ts';
import type { Dice } from './dice.ts';

const OWN_KINDS = [
  // Processes. `crash` strikes between any two events, `crashAtStart` between any two steps of a start.
  'crash',
  'crashAtStart',
  'neverBack',
  'pause',
  'stopGracefully',
  'rollingRestart',
  'powerLoss',
  'checkerDies',
  'slowTurns',
  // Others go on while a process is about to append to the log; it may be killed while it does.
  'preempted',
  'writeCut',
  // Others look at the log when only a part of a batch can be read.
  'halfSeen',
  // A second process of a name is started.
  'sameName',
  // No descriptor is to be had.
  'noDescriptors',
  // Clocks.
  'wallBack',
  'wallForth',
  // The store.
  'storeFull',
  'storeBusy',
  'storeLost',
  'storeSlow',
  // It does what it is asked, and its reply is lost.
  'replyLost',
  // The log and the queue.
  'logFull',
  'logTorn',
  'flushFails',
  'queueFull',
  // The disk of both is taken out, and comes back with what it had.
  'diskOut',
  // All instances stop, and the store is replaced by an older copy of itself.
  'restoreOlder',
  // Some bytes of the log are others after a power loss, of what the disk had too.
  'logDamaged',
  // A store on another machine goes back to an older state: a failover to a replica that lacks the end.
  'storeOlder',
  // One instance cannot reach the store.
  'storeAway',
  // The machine is lost with its disk, and another one put in its place.
  'machineLost',
  // The network between workers and processors.
  'requestLost',
  'requestTwice',
  'responseLost',
  'messageLate',
  'refused',
  // The processors.
  'processorFails',
  'processorAway',
  'processorSlow',
  'healthAsked',
  // The clients.
  'sameIdAtOnce',
  'sameIdLater',
  'otherAmount',
  'purge',
  // All instances stop, and one processor has another address when they start.
  'urlChanged',
] as const;

export const KINDS = [...OWN_KINDS, ...POST_FAULTS, ...OTHER_FAULTS] as const;
export type Kind = (typeof KINDS)[number];

/** Nothing strikes. */
export const NO_RATES = Object.freeze(Object.fromEntries(KINDS.map(kind => [kind, 0]))) as Readonly<
  Record<Kind, number>
>;

/**
 * Where a store forgets what the disk had, a request that left is recorded within this time or never: the
 * longest way of the network (three time-outs), the longest wait at the processor (two, and a slow one), and
 * a late record.
 */
export const LATEST_RECORD_MS = 3500;
/** Then faults of processors that delay last no longer than these. */
export const DOUBTED_SLOW_MS = [50, 500];
export const DOUBTED_LATE_MS = [100, 1000];

export interface WorldPlan {
  readonly ackAfter: AckAfter;
  readonly policy: Policy;
  readonly attemptTimeoutMs: number;
  readonly queueCapacity: number;
  readonly concurrency: number;
  readonly segmentRecords: number;
  /** How far the index may be behind the log. */
  readonly indexLag: IndexLag;
  readonly payments: number;
  /** How long everything may break. */
  readonly breakMs: number;
  /** Payments arrive this many at a time. */
  readonly burstMax: number;
  /** The store is another machine's: what was sent to it is carried out although the sender died. */
  readonly storeIsRemote: boolean;
  readonly storeDelayMs: number;
  readonly networkDelayMs: number;
  /** How long settled payments stay in the store; 0: for ever. */
  readonly retentionMs: number;
  /** How hard each kind strikes, 0 (never) to 1. */
  readonly rates: Readonly<Record<Kind, number>>;
}

/** Of every four seeds; whether anything is archived changes nothing else of a plan. */
const RETENTIONS_MS = [0, 0, 400, 2000];

/** Draws the plan of a seed. */
export function drawPlan(dice: Dice, seed: number): WorldPlan {
  const ackAfter = dice.pick<AckAfter>(['parse', 'commit', 'commit', 'flush']);
  const rates = drawRates(dice, ackAfter);
  const crowded = rates.queueFull > 0;
  const backoffMinMs = dice.pick([10, 50, 100]);
  const isDoubted = mayForget(rates);
  const plan: WorldPlan = {
    ackAfter,
    policy: {
      defaultAttempts: dice.pick([1, 2, 3, 5, 5, 5]),
      backoffMinMs,
      backoffMaxMs: backoffMinMs * dice.pick([1, 4, 20]),
      fallbackAfterMs: dice.pick([0, 500, 2000, 5000, 10_000]),
    },
    attemptTimeoutMs: dice.pick(isDoubted ? [150, 500] : [150, 500, 1500, 3000]),
    queueCapacity: crowded ? dice.pick([16, 16, 24, 32]) : dice.pick([32, 64, 1024]),
    concurrency: dice.pick([1, 2, 4, 16, 64]),
    segmentRecords: dice.pick([2, 8, 64, 1024]),
    payments: dice.pick([10, 30, 60, 120]),
    // Being taken for dead takes three seconds.
    breakMs: dice.pick(
      rates.restoreOlder > 0 ? [9000, 15_000] : rates.pause > 0 ? [6000, 9000] : [1500, 3000, 6000, 9000],
    ),
    burstMax: crowded ? 40 : dice.pick([1, 3, 12]),
    storeIsRemote: dice.hits(0.3) && !isDoubted,
    storeDelayMs: dice.pick([0, 0.5, 3]),
    networkDelayMs: dice.pick([0.2, 1, 10]),
    retentionMs: RETENTIONS_MS[seed % RETENTIONS_MS.length]!,
    rates,
    // Few payments are many here, and their records small.
    indexLag: {
      ms: dice.pick([100, 1000, INDEX_LAG.ms]),
      rows: dice.pick([1, 8, 64]),
      bytes: dice.pick([1024, 64 * 1024]),
    },
  };
  return plan.storeIsRemote && seed % 3 === 0 ? goingBack(plan) : plan;
}

/** The store has forgotten what it had acknowledged, and the disk had. */
export const mayForget = ({ restoreOlder, logDamaged, storeOlder }: WorldPlan['rates']): boolean =>
  restoreOlder > 0 || logDamaged > 0 || storeOlder > 0;

/** With the faults of `plan`, but for those whose account would be lost; with `flush` nothing goes back. */
export function goingBack(plan: WorldPlan): WorldPlan {
  return {
    ...plan,
    ackAfter: plan.ackAfter === 'flush' ? 'commit' : plan.ackAfter,
    attemptTimeoutMs: Math.min(plan.attemptTimeoutMs, 500),
    breakMs: Math.max(plan.breakMs, 6000),
    storeIsRemote: true,
    rates: { ...plan.rates, storeOlder: 1, restoreOlder: 0, purge: 0, urlChanged: 0 },
  };
}

function drawRates(dice: Dice, ackAfter: AckAfter): Record<Kind, number> {
  const rates = { ...NO_RATES };
  const share = dice.pick([0.05, 0.15, 0.3, 0.5]);
  for (const kind of KINDS)
    if (kind !== 'storeOlder' && dice.hits(share)) rates[kind] = dice.pick([0.1, 0.4, 1]);
  // Only there nothing that was acknowledged may be lost with the power.
  if (ackAfter === 'flush' && dice.hits(0.5)) rates.powerLoss = 1;
  if (rates.logDamaged > 0) rates.powerLoss ||= 1;
  // Nobody knows any more what an earlier address was asked for.
  if (rates.restoreOlder > 0 || rates.logDamaged > 0) rates.urlChanged = 0;
  return rates;
}
