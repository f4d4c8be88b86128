/** What the embedded store is put together from. */
import type { Clock } from '../../domain/clock.ts';
import type { Retention } from '../archive/store-archive.ts';
import type { StoreFault } from '../ports.ts';
import type { LogDamage } from './damage.ts';
import type { IndexClient } from './index/index-client.ts';
import type { IndexLag } from './indexing.ts';
import type { HeldName } from './name-lock.ts';
import type { LogFiles } from './shared-log/log-files.ts';

export interface EmbeddedParts {
  /** Holds `log/`. */
  readonly directory: string;
  readonly logDirectory: string;
  readonly files: LogFiles;
  /** Throws `NameTakenError` or another `StoreOpenError`. Default: no name is held. */
  readonly takeName?: () => HeldName;
  /** Removes the file of a name that nobody holds. */
  readonly forgetName?: (name: string) => void;
  readonly index: IndexClient;
  readonly clock: Clock;
  /** Tells one run of the machine from the next: not 0. */
  readonly boot: number;
  /** Whether replies wait for the disk. */
  readonly isFlushing: boolean;
  /** The disk was away while nobody here was looking: what it had not got may be missing. */
  readonly isDiskDoubtful?: boolean;
  /** A number that nobody else chooses. */
  readonly nonce: () => number;
  readonly segmentBytes?: number;
  readonly indexLag?: IndexLag;
  /** Default: `TAIL_ROWS_MAX`. */
  readonly tailRowsMax?: number;
  /** Default: all is kept for ever. */
  readonly retention?: Retention | undefined;
  readonly events: EmbeddedEvents;
}

export interface EmbeddedEvents {
  /** A part of the log cannot be used: what is whole around it was taken. */
  damaged(damage: LogDamage): void;
  /** The index could not be moved; it will be tried again. */
  notIndexed(fault: StoreFault): void;
}
