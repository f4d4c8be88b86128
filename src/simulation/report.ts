/** What one seed's run comes to. */
import type { Invariants } from './invariants.ts';
import type { Kind } from './plan.ts';

export interface Report {
  readonly seed: number;
  readonly violations: Readonly<Invariants['violations']>;
  /** How often each kind of fault struck. */
  readonly met: ReadonlyMap<Kind, number>;
  readonly virtualMs: number;
  readonly events: number;
  /** From the end of all faults to the last settlement. */
  readonly settledInMs: number;
  readonly settled: number;
  /** The last lines of the trace of what went wrong; empty without a trace. */
  readonly trace: readonly string[];
}
