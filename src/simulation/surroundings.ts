/** What the clients and the fault injector of a world see of it. */
import type { SimulatedProcessor } from '../processor-simulator/processor.ts';
import type { SimulatedAddresses } from './addresses.ts';
import type { Disk } from './disk.ts';
import type { EventLoop, Process } from './event-loop.ts';
import type { SimulatedIndexDisk } from './index-disk.ts';
import type { Invariants } from './invariants.ts';
import type { KeptOnDisk } from './kept-on-disk.ts';
import type { LogObserver } from './log-observer.ts';
import type { WorldPlan } from './plan.ts';
import type { SimulatedArchive } from './simulated-archive.ts';
import type { SimulatedBackend } from './simulated-backend.ts';
import type { Trace } from './trace.ts';
import type { WatchedStore } from './watched-store.ts';

export interface Surroundings {
  readonly plan: WorldPlan;
  readonly eventLoop: EventLoop;
  readonly trace: Trace;
  readonly invariants: Invariants;
  readonly keptOnDisk: KeptOnDisk;
  readonly memory: WatchedStore;
  readonly disk: Disk;
  readonly index: SimulatedIndexDisk;
  readonly archive: SimulatedArchive;
  readonly observer: LogObserver;
  readonly addresses: SimulatedAddresses;
  /** Those at the present addresses. */
  readonly processors: readonly [SimulatedProcessor, SimulatedProcessor];
  readonly backends: readonly SimulatedBackend[];
  /** A process is in the middle of an event, so no promise is fulfilled. */
  readonly isPreempting: boolean;
  /** Lets the others go on for so long, in the middle of an event of `process`. */
  preempt(process: Process, forMs: number): void;
  /** Has the others read the log now. */
  readLog(process: Process): void;
}
