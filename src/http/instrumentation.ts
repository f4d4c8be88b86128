/**
 * What the HTTP side tells about itself, in plain numbers, so that counting costs a few additions a request.
 */

export interface Instrumentation {
  /** A connection was taken. */
  opened(): void;
  /** It is gone. */
  closed(): void;
  /**
   * An answer was handed to its socket. `method` is a place in `METHODS`, `route` whatever the handler wrote
   * to `request.route` (0 for none), `durationMs` the time since the turn in which the request was complete.
   */
  answered(method: number, route: number, status: number, durationMs: number): void;
  /**
   * The parser or a time-out refused a request; `reason` is a place in `REFUSAL_NAMES`. Its answer is told
   * too.
   */
  refused(reason: number): void;
}

/** Looks away. */
export const NO_OBSERVER: Instrumentation = {
  opened() {},
  closed() {},
  answered() {},
  refused() {},
};
