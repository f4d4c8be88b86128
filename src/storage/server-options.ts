import type { Clock } from '../domain/clock.ts';

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
