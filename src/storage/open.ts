/** The store that `STORE_URL` names: the one place that knows the engines. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../domain/clock.ts';
import { isSystemError } from '../domain/system-error.ts';
import { EmbeddedStore } from './embedded/embedded-store.ts';
import { findAgain } from './embedded/index/schema.ts';
import { logFolder } from './embedded/index/tables.ts';
import { IndexThreadClient } from './embedded/index/thread-client.ts';
import { forgetName, takeName } from './embedded/name-lock.ts';
import type { EmbeddedEvents } from './embedded/parts.ts';
import { crc32 } from './embedded/shared-log/crc32.ts';
import { realLogFiles } from './embedded/shared-log/real-log-files.ts';
import { refusalOfFileSystem } from './embedded/shared-log/segments.ts';
import type { Inspection } from './inspection.ts';
import { type Reopening, type Store, StoreOpenError } from './ports.ts';

export interface OpenOptions {
  /** Of the embedded store. */
  readonly directory: string;
  /** The name that is held there for as long as the store is open. */
  readonly instance: string;
  readonly clock: Clock;
  /** 0 to 1. */
  readonly chance: () => number;
  /** Whether replies wait for the disk. */
  readonly isFlushing: boolean;
  /** It is not made where it is missing, and may have been away. */
  readonly mustExist: boolean;
  readonly isDiskDoubtful: boolean;
  readonly events: EmbeddedEvents;
}

/** Rejects with `StoreOpenError`. */
export async function openStore(options: OpenOptions): Promise<Store & Reopening & Inspection> {
  const { directory, mustExist, clock, chance, events } = options;
  const logDirectory = join(directory, logFolder);
  if (mustExist === false) {
    makeDirectory(directory);
    const refusal = refusalOfFileSystem(realLogFiles.fileSystem(directory));
    if (refusal !== undefined) throw new StoreOpenError(`STORE_URL: ${directory} ${refusal}`);
  }
  let isThere = mustExist;
  return EmbeddedStore.open({
    takeName: () => {
      if (isThere) findAgain(directory);
      isThere = true;
      return takeName(directory, options.instance);
    },
    forgetName: name => forgetName(directory, name),
    directory,
    logDirectory,
    files: realLogFiles,
    index: new IndexThreadClient({ directory, logDirectory, mustExist }),
    clock,
    boot: thisBoot(),
    isFlushing: options.isFlushing,
    isDiskDoubtful: options.isDiskDoubtful,
    nonce: () => Math.floor(chance() * 2 ** 48),
    events,
  });
}

function makeDirectory(directory: string): void {
  try {
    realLogFiles.makeDirectory(directory);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new StoreOpenError(
      `STORE_URL: cannot use ${directory} (${error.code}): it has to be a directory that this user can write in`,
    );
  }
}

/**
 * Another after each start of the kernel; the same in all its containers. Where there is none, none is told
 * apart.
 */
function thisBoot(): number {
  let id: string;
  try {
    id = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    id = 'unknown';
  }
  const bytes = new TextEncoder().encode(id);
  return crc32(bytes, 0, bytes.length) || 1;
}
