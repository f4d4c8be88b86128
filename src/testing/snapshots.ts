/** Figures for tests. */
import type { Counters } from '../telemetry/counters.ts';
import { type InstanceSnapshot, PUBLISHED_VERSION } from '../telemetry/snapshot.ts';

/** What an instance with these figures would publish; `more` in place of quiet states. */
export function published(figures: Counters, more: Partial<InstanceSnapshot> = {}): InstanceSnapshot {
  const atMs = 1_800_000_000_000;
  return {
    version: PUBLISHED_VERSION,
    atMs,
    ...figures.read(),
    queue: { length: 0, capacity: 1024, pinned: 0, oldestMs: 0, atWork: 0 },
    processors: [
      { circuit: 'open', probing: false, probeAtMs: atMs + 500, healthAtMs: atMs - 2000 },
      { circuit: 'closed', probing: false, probeAtMs: 0, healthAtMs: atMs - 1000 },
    ],
    storeBytes: 4096,
    reasons: [],
    runtime: {
      pid: 1,
      node: 'v26.0.0',
      soquete: '0.1.0',
      startSeconds: 1_799_999_000,
      cpuUserSeconds: 1,
      cpuSystemSeconds: 1,
      residentBytes: 1,
      heapTotalBytes: 1,
      heapUsedBytes: 1,
      externalBytes: 1,
      openFds: 1,
      maxFds: 1,
      activeResources: 1,
      busy: 0.5,
      lagSeconds: [0, 0, 0, 0, 0, 0, 0],
      gc: { minor: [1, 0.001] },
    },
    ...more,
  };
}
