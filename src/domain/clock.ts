/**
 * Time as a dependency: the system's clock in production (`system-clock.ts`), a virtual one in the
 * simulation.
 *
 * Time-outs, pauses and leases use the monotonic clock, which no operator and no NTP daemon can turn; the
 * wall clock only stamps what is written into books.
 */
export interface Clock {
  /** Milliseconds on a clock that never jumps; its zero means nothing. */
  monotonicMs(): number;
  /** Whole milliseconds since 1970 on the wall clock. */
  wallMs(): number;
  /** Calls `task` once, `delayMs` from now or a little later. */
  after(delayMs: number, task: () => void): Timer;
  /** Calls `task` after what the event loop has at hand now: input goes first. */
  soon(task: () => void): void;
}

export interface Timer {
  cancel(): void;
}
