/** What the pages may ask of a backend. */

import type { Clock } from '../domain/clock.ts';
import { OperatorHand } from '../operator/hand.ts';
import type { Readiness } from '../payments/api.ts';
import type { Instance } from '../payments/instance.ts';
import type { Processors } from '../processors/port.ts';
import type { Config } from '../settings/backend.ts';
import type {
  HeldCounts,
  History,
  InspectedPayment,
  Inspection,
  SettledPage,
} from '../storage/inspection.ts';
import type { SizedStore } from '../storage/open.ts';
import { promised, type Store } from '../storage/ports.ts';
import type { InstanceSeen, Sample, SharedHealth } from '../telemetry/snapshot.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { DashboardView, DiskView, PolicyView } from './api.ts';

const MS_OF_A_DAY = 86_400_000;

export interface DashboardSource {
  nowMs(): number;
  /** All instances that the store knows, this one as it is now. */
  instances(): readonly InstanceSeen[];
  shared(): SharedHealth;
  readiness(): Readiness;
  /** The samples of the last minutes, later than `sinceMs`. */
  samples(sinceMs: number): readonly Sample[];
  /** The latest payments. Throws `Unavailable`. */
  latest(limit: number): Promise<InspectedPayment[]>;
  /** One payment's history. Throws `Unavailable`. */
  history(id: Uint8Array): Promise<History | undefined>;
  /** How many payments are held, by place in `HOLD_REASONS`. Throws `Unavailable`. */
  held(): Promise<HeldCounts>;
  /** Held payments, those that came first. Throws `Unavailable`. */
  heldPayments(limit: number): Promise<InspectedPayment[]>;
  /** As `Inspection.settled`. Throws `Unavailable`. */
  settledPayments(after: number, limit: number): Promise<SettledPage>;
  readonly hand: OperatorHand;
  /** Whether operations need a token: then the page offers the hand. */
  readonly hasToken: boolean;
  disk(): Promise<DiskView | null>;
  readonly door: DashboardView['door'];
  readonly policy: PolicyView;
  survives(): string;
  readonly processorUrls: readonly [string, string];
  /** Whether the books are compared. */
  readonly audited: boolean;
  /** How to reach the simulated processors' settings; undefined where changing them is not allowed. */
  readonly controls: { readonly urls: readonly [string, string]; readonly token: string } | undefined;
}

/** What it takes to show a backend. */
export interface SourceParts {
  readonly clock: Clock;
  readonly instance: Pick<Instance, 'readiness' | 'takeIn'>;
  readonly telemetry: Telemetry;
  readonly store: Inspection & Pick<Store, 'act' | 'find'> & Pick<SizedStore, 'disk' | 'survives'>;
  readonly processors: Processors;
  readonly config: Config;
}

/** The source that a backend's pages show. */
export function sourceOf(parts: SourceParts): DashboardSource {
  const { clock, instance, telemetry, store, config } = parts;
  const { listen, processorUrls: urls, adminToken: token, processorControls } = config;
  return {
    nowMs: () => clock.wallMs(),
    instances: () => telemetry.instances(),
    shared: () => telemetry.shared(),
    readiness: () => instance.readiness(),
    samples: sinceMs => telemetry.timeline.since(sinceMs),
    latest: limit => promised(reply => store.latest(limit, reply)),
    history: id => promised(reply => store.history(id, reply)),
    held: () => promised(reply => store.heldCounts(reply)),
    heldPayments: limit => promised(reply => store.held(limit, reply)),
    settledPayments: (after, limit) => promised(reply => store.settled(after, limit, reply)),
    hand: new OperatorHand(parts),
    hasToken: config.opsToken !== undefined,
    disk: async () => {
      if (store.disk === undefined) return null;
      const retentionDays = config.retention === undefined ? null : config.retention.keptMs / MS_OF_A_DAY;
      return { ...(await store.disk()), retentionDays };
    },
    door: listen.is === 'unix' ? 'HAProxy' : 'shared port',
    policy: policyOf(config),
    survives: () => store.survives,
    processorUrls: urls,
    audited: token !== undefined,
    controls: token !== undefined && processorControls ? { urls, token } : undefined,
  };
}

/** The public part of the configuration: no addresses, no token. */
const policyOf = (config: Config): PolicyView => ({
  defaultAttempts: config.defaultAttempts,
  attemptTimeoutMs: config.attemptTimeoutMs,
  backoffMinMs: config.backoffMinMs,
  backoffMaxMs: config.backoffMaxMs,
  fallbackAfterMs: config.fallbackAfterMs,
  workerConcurrency: config.workerConcurrency,
  ackAfter: config.ackAfter,
  fees: bothFees(config.processorFees),
});

const bothFees = ([byDefault, byFallback]: Config['processorFees']): PolicyView['fees'] =>
  byDefault === undefined || byFallback === undefined ? null : [byDefault, byFallback];
