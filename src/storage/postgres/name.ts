/**
 * An instance's name belongs to one living process: by a lock of a session, which the server frees when the
 * process is gone, or, where a pooler leaves no session, by watching whether somebody beats in that name.
 */
import type { Clock } from '../../domain/clock.ts';
import { NameTakenError, StoreFault } from '../ports.ts';
import { type Ask, type ConnectionParts, DatabaseConnection, type ResultRow } from './connection.ts';
import { describePostgresUrl } from './url.ts';

export interface NameHolder {
  /** Takes the name, or finds that it is held still. Throws `NameTakenError`, `StoreFault`. */
  take(): Promise<void>;
  release(): Promise<void>;
}

/** What a store's name is held with, and what it learns beside. */
interface Named {
  readonly instance: string;
  readonly writes: DatabaseConnection;
  /** Of the last session of the store. */
  readonly epoch: () => number;
  /** Another instance changed what is shared. */
  readonly changed: () => void;
}

export function nameHolder(parts: ConnectionParts, { instance, writes, epoch, changed }: Named): NameHolder {
  const { url, clock } = parts;
  if (!url.isPooled) return new SessionName(parts, instance, changed);
  const { schema } = url;
  const text = `SELECT i.epoch, i.is_alive, b.beat FROM ${schema}.instances i JOIN ${schema}.beats b USING (name)
    WHERE i.name = $1`;
  return new WatchedName({
    ...{ instance, clock, store: describePostgresUrl(url), epoch },
    read: async () => (await writes.ask({ text, values: [instance] }))[0],
  });
}

/** A process that was just killed may have its session for a moment longer. */
const RELEASE_MS = 1500;
const AGAIN_MS = 50;
/** Three beats. */
const BEATS_MS = 1700;
const SESSION_MS = 5000;
const STILL_MS = 1500;

class SessionName implements NameHolder {
  readonly #connection: DatabaseConnection;
  /** Of the session that had the lock last; it may not know yet that its connection broke. */
  #pid = 0;

  /** `changed`: another instance changed what is shared. */
  constructor(parts: Omit<ConnectionParts, 'prepare'>, instance: string, changed: () => void) {
    const { url, clock } = parts;
    const { schema } = url;
    const prepare = async (ask: Ask): Promise<void> => {
      const key = { values: [`${schema}/${instance}`] };
      for (let waitedMs = 0; ; waitedMs += AGAIN_MS) {
        const [row] = await ask({
          text: 'SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS is_ours, pg_backend_pid() AS pid',
          ...key,
        });
        if (row!['is_ours'] === true) {
          this.#pid = Number(row!['pid']);
          break;
        }
        if (waitedMs >= RELEASE_MS) throw new NameTakenError(instance, describePostgresUrl(url));
        if (this.#pid > 0) await endSession(ask, this.#pid, key.values);
        await pause(clock, AGAIN_MS);
      }
      await ask({ text: `LISTEN ${schema}` });
      changed();
    };
    this.#connection = new DatabaseConnection({ ...parts, prepare }, SESSION_MS);
    this.#connection.onNotification = changed;
  }

  async take(): Promise<void> {
    // A server that is gone without a word has left the connection as it was.
    if (this.#connection.isOpen)
      await this.#connection.ask({ text: 'SELECT 1' }, STILL_MS).catch(() => this.#connection.abandon());
    await this.#connection.open();
  }

  release(): Promise<void> {
    return this.#connection.close();
  }
}

/** Ends our own earlier session, if it is the one that has the lock. */
async function endSession(ask: Ask, pid: number, key: string[]): Promise<void> {
  await ask({
    text: `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
      AND ((classid::bigint << 32) | objid::bigint) = hashtextextended($1, 0) AND pid = $2::int`,
    values: [...key, pid],
  });
}

interface WatchedNameParts {
  readonly instance: string;
  readonly clock: Clock;
  readonly store: string;
  /** The epoch of our own last session. */
  readonly epoch: () => number;
  /** What the store has of the name. */
  readonly read: () => Promise<ResultRow | undefined>;
}

/**
 * Not a lock: of two that start within a moment of each other the first is fenced, and ends when it joins
 * anew.
 */
class WatchedName implements NameHolder {
  readonly #parts: WatchedNameParts;

  constructor(parts: WatchedNameParts) {
    this.#parts = parts;
  }

  async take(): Promise<void> {
    const { instance, clock, store, epoch, read } = this.#parts;
    const before = await read();
    if (before === undefined || before['is_alive'] !== true || Number(before['epoch']) === epoch()) return;
    await pause(clock, BEATS_MS);
    const now = await read();
    if (now === undefined) throw new StoreFault('busy', 'the store was emptied meanwhile');
    // An epoch may end by a term. Whoever joins beats as well.
    if (now['is_alive'] === true && now['beat'] !== before['beat']) throw new NameTakenError(instance, store);
  }

  async release(): Promise<void> {}
}

const pause = (clock: Clock, delayMs: number): Promise<void> =>
  new Promise(resolve => clock.after(delayMs, resolve));
