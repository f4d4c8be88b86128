/** What the clients and the fault injector of a world see of it. */
import type { SimulatedProcessor } from '../processor-simulator/processor.ts';
import type { Disk } from './disk.ts';
import type { EventLoop } from './event-loop.ts';
import type { Invariants } from './invariants.ts';
import type { LogObserver } from './log-observer.ts';
import type { WorldPlan } from './plan.ts';
import type { SimulatedBackend } from './simulated-backend.ts';
import type { SharedIndex } from './simulated-index.ts';
import type { Trace } from './trace.ts';
import type { WatchedStore } from './watched-store.ts';

export interface Surroundings {
  readonly plan: WorldPlan;
  readonly eventLoop: EventLoop;
  readonly trace: Trace;
  readonly invariants: Invariants;
  readonly memory: WatchedStore;
  readonly disk: Disk;
  readonly index: SharedIndex;
  readonly observer: LogObserver;
  readonly processors: readonly [SimulatedProcessor, SimulatedProcessor];
  readonly backends: readonly SimulatedBackend[];
}
