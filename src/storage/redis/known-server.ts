/** What is known of the server, and what each new connection to it has to show before it is used. */
import { randomUUID } from 'node:crypto';
import { StoreFault, StoreOpenError } from '../ports.ts';
import type { RedisAnswer, RedisAsk } from './connection.ts';
import { functionName, LIBRARY_CODE, LIBRARY_NAME, type RedisFunction } from './library.ts';
import { ARCHIVING_VERSION, KEYS_VERSION } from './member-functions.ts';
import type { RedisStoreOptions } from './options.ts';
import { type RedisDurability, type RedisState, redisDurabilityOf, refusalOfServer } from './server-state.ts';
import { describeRedisUrl } from './url.ts';

/** What an instance remembers: its name, its epoch, the step that was acknowledged last, the term. */
export type Remembered = readonly [string, number, number, number];

export class KnownServer {
  readonly #options: Pick<RedisStoreOptions, 'url' | 'ackAfter' | 'run'>;
  readonly #key: string;
  #state: RedisState | undefined;
  #durability: RedisDurability | undefined;
  #storeId: string | undefined;
  /** Why what was acknowledged may be gone. */
  loss: string | undefined;

  constructor(options: Pick<RedisStoreOptions, 'url' | 'ackAfter' | 'run'>, key: string) {
    this.#options = options;
    this.#key = key;
  }

  /** Tells one run of the server, and one server, from the next. */
  get run(): string {
    return this.#options.run ?? this.#state!.run;
  }

  get survives(): string {
    return this.#durability!.survives;
  }

  get waitsFor(): number {
    return this.#durability?.waitsFor ?? 0;
  }

  /** The store behind the next connection is taken as it is. */
  forget(): void {
    this.loss = undefined;
    this.#storeId = undefined;
  }

  /** Throws `StoreFault` or `StoreOpenError` where the connection is not to be used. */
  async meet(ask: RedisAsk, state: RedisState, remembered: Remembered): Promise<void> {
    const { ackAfter, url } = this.#options;
    const refusal = refusalOfServer(state, ackAfter);
    // At the start nothing will change that; later it says why nothing is accepted.
    if (refusal !== undefined)
      throw this.#durability === undefined ? new StoreOpenError(refusal) : new StoreFault('busy', refusal);
    this.#state = state;
    const call = async (name: RedisFunction, args: readonly (string | number)[]): Promise<string[]> => {
      const answer = await ask('FCALL', [functionName(name), 1, this.#key, ...args]);
      return (answer as readonly RedisAnswer[]).map(String);
    };
    const libraries = await ask('FUNCTION', ['LIST', 'LIBRARYNAME', LIBRARY_NAME]);
    // The name says what is in it, so what may be replaced is the same.
    if ((libraries as readonly RedisAnswer[]).length === 0)
      await ask('FUNCTION', ['LOAD', 'REPLACE', LIBRARY_CODE]);
    if (this.#storeId === undefined) {
      const [, version, id, replicas] = await call('open', [randomUUID(), state.replicas]);
      if (version !== KEYS_VERSION && version !== ARCHIVING_VERSION)
        throw new StoreOpenError(
          `STORE_URL: ${describeRedisUrl(url)} is of version ${version}: this soquete knows ${KEYS_VERSION} and ${ARCHIVING_VERSION}`,
        );
      this.#storeId = id!;
      this.#durability = redisDurabilityOf(state, ackAfter, url.replicas ?? Number(replicas));
      return;
    }
    const args = [...remembered, this.#storeId, this.run, state.replicas];
    const [fault, detail] = await call('confirm', args);
    if (fault !== '') {
      this.loss = detail!;
      throw new StoreFault('lost', detail!);
    }
    this.#durability = redisDurabilityOf(state, ackAfter, url.replicas ?? Number(detail));
  }
}
