/** One server for all tests of a file, and what they ask of stores on it. */
import { after, before } from 'node:test';
import { systemClock } from '../../system-clock.ts';
import { installedRedis, noRedis, RedisServer } from '../../testing/redis-server.ts';
import type { RedisStoreOptions } from './options.ts';
import { RedisStore } from './redis-store.ts';
import { parseRedisUrl } from './url.ts';

export const needsRedis = { skip: noRedis };
const [installed] = installedRedis();
const SAFE = { appendonly: 'yes', appendfsync: 'always' };

let names = 0;
export const newName = (): string => `engine_${++names}`;

export class RedisStand {
  readonly program = installed!;
  server!: RedisServer;
  readonly #opened: RedisStore[] = [];

  /** For the tests of a file. */
  static forTests(): RedisStand {
    const stand = new RedisStand();
    before(async () => {
      if (installed !== undefined)
        stand.server = await RedisServer.start({ program: installed, settings: SAFE });
    });
    after(async () => {
      for (const store of stand.#opened) await new Promise(closed => store.leave(closed));
      await stand.server?.[Symbol.asyncDispose]();
    });
    return stand;
  }

  async open(
    name: string,
    rest: Partial<RedisStoreOptions> & { ports?: readonly number[] } = {},
  ): Promise<RedisStore> {
    const { ports = [this.server.port], ...others } = rest;
    const hosts = ports.map(port => `127.0.0.1:${port}`).join(',');
    const url = parseRedisUrl(`redis://${hosts}?name=${name}`)!;
    const as = { url, clock: systemClock, ackAfter: 'commit', application: 'test' } as const;
    const store = await RedisStore.open({ ...as, ...others });
    this.#opened.push(store);
    return store;
  }
}
