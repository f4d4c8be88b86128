import type { Clock } from '../domain/clock.ts';

/** What is accepted so long after a store on a server lost something may have been there before. */
export const ASKS_FIRST_MS = 3_600_000;

/** How a store on a server is opened, whichever it is. */
export interface ServerStoreOptions {
  readonly clock: Clock;
  readonly ackAfter: 'parse' | 'commit' | 'flush';
  /** By which the server lists our connections. */
  readonly application: string;
  /** The name that is held for as long as the store is open; left out, none is. */
  readonly instance?: string;
  /** What was acknowledged may be gone, for a reason that only the caller knows. */
  readonly isDoubtful?: boolean;
  /** In place of the server's own, which tells its runs apart. */
  readonly run?: string;
}
