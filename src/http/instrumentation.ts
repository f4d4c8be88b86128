/**
 * What the HTTP side tells about itself, in plain numbers, so that counting costs a few additions a request.
 */

export interface Instrumentation extends Reports {
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

/** What a log should say, rather than a sum. */
export interface Reports {
  /**
   * An error that nobody expects was caught, so that the other connections go on: a handler or a commit threw
   * or rejected, or a connection could not be taken. `where` says which of them.
   */
  failed(error: unknown, where: 'handler' | 'commit' | 'accept'): void;
  /**
   * Sockets are used the slower, documented way, for the reason that is given. Said once, before it listens.
   */
  degraded(reason: string): void;
}

/** Counts nothing. There is no log to report an unexpected error to, so it is thrown again. */
export const NO_OBSERVER: Instrumentation = {
  opened() {},
  closed() {},
  answered() {},
  refused() {},
  failed(error) {
    throw error;
  },
  degraded() {},
};
