/**
 * How Node.js runs a backend, under the launcher and in the benchmarks.
 *
 * Three backends and the proxy share 350 MB. What a backend holds on to is small: with V8's and malloc's own
 * settings it takes 25 MB more under load (126 against 101), for garbage, for arenas (one a thread), and for
 * blocks that were given back to malloc but not to the kernel.
 */
export const BACKEND_FLAGS: readonly string[] = [
  '--max-semi-space-size=2',
  '--max-old-space-size=128',
  // There is little to collect, and cores are few: while three backends shared two of them, waiting for
  // helpers made a scavenge take 0.9 ms instead of 0.6 (median), and the end of a full collection 5 to 19 ms
  // instead of 2 to 3.
  '--single-threaded-gc',
  // The threads that compile run when hardly anybody else wants to (`letCompilersGiveWay`), and V8 leaves to
  // them to throw away what a compilation needed: on a busy machine 40 MB of it were waiting for that in the
  // first seconds of load, and a backend with 100 MB died of them.
  '--no-maglev-destroy-on-background',
  // V8 knows nothing of a container's limit: near it, it is told to collect (`payments/memory-reserve.ts`).
  '--expose-gc',
];

export const BACKEND_ENVIRONMENT = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: '65536',
  MALLOC_TRIM_THRESHOLD_: '131072',
} as const;
