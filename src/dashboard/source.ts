/** What the pages may ask of a backend: the seam between showing and doing. */
import type { Readiness } from '../payments/api.ts';
import type { History, InspectedPayment } from '../storage/inspection.ts';
import type { InstanceSeen, SharedHealth } from '../telemetry/prometheus.ts';
import type { DashboardView, PolicyView, Sample } from './api.ts';

export interface DashboardSource {
  nowMs(): number;
  /** All instances that the store knows, this one with its figures of this moment. */
  instances(): readonly InstanceSeen[];
  shared(): SharedHealth;
  readiness(): Readiness;
  /** What the last minutes were like, from `sinceMs` on. */
  samples(sinceMs: number): readonly Sample[];
  /** The latest payments. Throws `Unavailable`. */
  latest(limit: number): Promise<InspectedPayment[]>;
  /** One payment's history. Throws `Unavailable`. */
  history(id: Uint8Array): Promise<History | undefined>;
  readonly door: DashboardView['door'];
  readonly policy: PolicyView;
  readonly processorUrls: readonly [string, string];
  /** Whether the books are compared. */
  readonly audited: boolean;
  /** What it takes to break simulated processors; undefined where that is not allowed. */
  readonly controls: { readonly urls: readonly [string, string]; readonly token: string } | undefined;
}
