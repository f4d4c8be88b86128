import type { ServerStoreOptions } from '../server-options.ts';
import type { RedisUrl } from './url.ts';

export interface RedisStoreOptions extends ServerStoreOptions {
  readonly url: RedisUrl;
  /** In place of the deployment's name: of one cell of it. */
  readonly key?: string;
  /** Names of cells that are heard of beside it. */
  readonly channels?: readonly string[];
}
