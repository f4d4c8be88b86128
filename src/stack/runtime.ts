/**
 * How Node.js runs a backend, under the launcher and in the benchmarks.
 *
 * Three backends and the proxy share 350 MB. What a backend holds on to is small; with V8's and malloc's own
 * settings it takes 20 MB more for garbage and for arenas (one a thread).
 */
export const BACKEND_FLAGS: readonly string[] = ['--max-semi-space-size=4', '--max-old-space-size=128'];

export const BACKEND_ENVIRONMENT = { MALLOC_ARENA_MAX: '1' } as const;
