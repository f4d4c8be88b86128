/**
 * One connection to the server that takes writes, which is made anew when it breaks. A command is sent once
 * or refused (`busy`), and never sent a second time here: what a broken connection leaves open is for the
 * caller to ask (`unanswered`).
 *
 * Before a new connection is used for anything, `prepare` sees what the server behind it is and has.
 */
import type { Redis } from 'ioredis';
import type { Clock } from '../../domain/clock.ts';
import { oneAtATime } from '../one-at-a-time.ts';
import { StoreFault, StoreOpenError } from '../ports.ts';
import { breakOff, CONNECT_MS, clientOf, connectClient } from './client.ts';
import { errorText, redisErrorOf } from './faults.ts';
import { locate } from './locate.ts';
import { type RedisState, redisStateOf } from './server-state.ts';
import { describeRedisUrl, type RedisHost, type RedisUrl } from './url.ts';

/** Answers are buffers, numbers, null, and arrays of those. */
export type RedisAnswer = Buffer | number | null | readonly RedisAnswer[];
export type RedisAsk = (
  command: string,
  args: readonly (string | number | Buffer)[],
  deadlineMs?: number,
) => Promise<RedisAnswer>;

export interface RedisConnectionParts {
  readonly url: RedisUrl;
  readonly clock: Clock;
  /** For `CLIENT LIST`. */
  readonly application: string;
  /** Of the keys that are asked for, in a cluster. */
  readonly key: string;
  /** Carried out on each new connection before it is used; throws where it is not to be. */
  readonly prepare: (ask: RedisAsk, state: RedisState) => Promise<void>;
  readonly onMessage?: () => void;
}

/** Connection errors that another try will not change. */
const FINAL = /^(?:WRONGPASS|NOAUTH|NOPERM|ERR (?:DB index|invalid DB|AUTH <password>))/;

export class RedisConnection {
  readonly #parts: RedisConnectionParts;
  readonly #deadlineMs: number;
  #client: Redis | undefined;
  readonly #connectOnce = oneAtATime(() => this.#connect());
  #fault = new StoreFault('busy', 'not connected to Redis yet');
  #isClosed = false;

  /** `deadlineMs`: a command without an answer for so long breaks the connection. */
  constructor(parts: RedisConnectionParts, deadlineMs: number) {
    this.#parts = parts;
    this.#deadlineMs = deadlineMs;
  }

  /** Throws `StoreFault`, or `StoreOpenError` where another try would not help. */
  open(): Promise<void> {
    if (this.#isClosed) return Promise.reject(new StoreFault('lost', 'the store is closed'));
    if (this.#client !== undefined) return Promise.resolve();
    return this.#connectOnce();
  }

  /** Throws `StoreFault`. */
  readonly ask: RedisAsk = (command, args, deadlineMs = this.#deadlineMs) => {
    // Sent at once where it can be: commands are in the order in which they were asked.
    if (this.#client !== undefined) return this.#askOf(this.#client, command, args, deadlineMs);
    return this.#askLater(command, args, deadlineMs);
  };

  /** Breaks the connection: whatever was asked is unanswered. */
  abandon(): void {
    const client = this.#client;
    this.#client = undefined;
    if (client !== undefined) breakOff(client);
  }

  close(): void {
    this.#isClosed = true;
    this.abandon();
  }

  async #askLater(
    command: string,
    args: readonly (string | number | Buffer)[],
    deadlineMs: number,
  ): Promise<RedisAnswer> {
    // A connection that broke is back in a moment, mostly; what cannot be had is said at once.
    try {
      await this.open();
    } catch (error) {
      throw error instanceof StoreFault ? error : new StoreFault('busy', errorText(error));
    }
    const client = this.#client;
    if (client === undefined) throw this.#fault;
    return this.#askOf(client, command, args, deadlineMs);
  }

  async #connect(): Promise<void> {
    const { url, key } = this.#parts;
    const failures: string[] = [];
    const hosts = await locate(url, key, failures);
    for (const address of hosts) {
      try {
        await this.#connectTo(address);
        return;
      } catch (error) {
        if (error instanceof StoreOpenError) throw error;
        if (error instanceof StoreFault && error.reason !== 'busy') {
          this.#fault = error;
          throw error;
        }
        const text = error instanceof StoreFault ? error.detail : errorText(error);
        if (FINAL.test(text) && hosts.length === 1)
          throw new StoreOpenError(`STORE_URL: ${describeRedisUrl(url)}: ${text}`);
        failures.push(`${address.host}:${address.port}: ${text}`);
      }
    }
    this.#fault = new StoreFault('busy', `no Redis that takes writes: ${failures.join('; ')}`);
    throw this.#fault;
  }

  async #connectTo(address: RedisHost): Promise<void> {
    const { url, application, prepare, onMessage } = this.#parts;
    const client = clientOf(address, url, application);
    client.on('end', () => {
      if (this.#client !== client) return;
      this.#client = undefined;
      this.#fault = new StoreFault('busy', 'the connection to Redis broke');
      if (!this.#isClosed) this.open().catch(() => {});
    });
    if (onMessage !== undefined) client.on('message', onMessage);
    try {
      await connectClient(client);
      const ask: RedisAsk = (command, args, deadlineMs = CONNECT_MS) =>
        this.#askOf(client, command, args, deadlineMs);
      const state = await stateOf(ask);
      if (state.isReplica) throw new StoreFault('busy', 'it takes no writes (a replica)');
      await prepare(ask, state);
      if (this.#isClosed) throw new StoreFault('lost', 'the store is closed');
      this.#client = client;
    } catch (error) {
      breakOff(client);
      throw error;
    }
  }

  async #askOf(
    client: Redis,
    command: string,
    args: readonly (string | number | Buffer)[],
    deadlineMs: number,
  ): Promise<RedisAnswer> {
    if (client.status !== 'ready') throw new StoreFault('busy', 'the connection to Redis broke');
    const timer = this.#parts.clock.after(deadlineMs, () => breakOff(client));
    try {
      return (await client.callBuffer(command, args as (string | Buffer | number)[])) as RedisAnswer;
    } catch (error) {
      const { fault, isConnectionOver } = redisErrorOf(error);
      if (isConnectionOver) breakOff(client);
      throw fault;
    } finally {
      timer.cancel();
    }
  }
}

async function stateOf(ask: RedisAsk): Promise<RedisState> {
  const info = String(await ask('INFO', []));
  let appendfsync: string | undefined;
  try {
    const [, value] = (await ask('CONFIG', ['GET', 'appendfsync'])) as Buffer[];
    appendfsync = value?.toString();
  } catch (error) {
    // Managed servers do not let it be asked.
    if (!(error instanceof StoreFault) || error.reason === 'unanswered') throw error;
  }
  return redisStateOf(info, appendfsync);
}
