/** What the pages may ask of a backend: the seam between showing and doing. */
import type { Readiness } from '../payments/payments.ts';
import type { Seen, SharedHealth } from './metrics.ts';

export interface Observed {
  /** All instances that the store knows, this one with its figures of this moment. */
  instances(): readonly Seen[];
  shared(): SharedHealth;
  readiness(): Readiness;
}
