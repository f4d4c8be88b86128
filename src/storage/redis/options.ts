import type { Clock } from '../../domain/clock.ts';
import type { RedisUrl } from './url.ts';

export interface RedisStoreOptions {
  readonly url: RedisUrl;
  readonly clock: Clock;
  readonly ackAfter: 'parse' | 'commit' | 'flush';
  /** For `CLIENT LIST`. */
  readonly application: string;
  /** The name that is held for as long as the store is open; left out, none is. */
  readonly instance?: string;
  /** What was acknowledged may be gone, for a reason that only the caller knows. */
  readonly isDoubtful?: boolean;
  /** In place of the server's own, which tells its runs apart. */
  readonly run?: string;
  /** In place of the deployment's name: of one cell of it. */
  readonly key?: string;
  /** Names of cells that are heard of beside it. */
  readonly channels?: readonly string[];
}
