/** Where the server is that takes writes: one of the hosts, or whom Sentinels or a cluster name. */
import type { Redis } from 'ioredis';
import { breakOff, clientOf, connectClient } from './client.ts';
import { errorText } from './faults.ts';
import type { RedisHost, RedisUrl } from './url.ts';

/** Those to be tried, in order. What stood in the way of asking goes to `failures`. */
export async function locate(url: RedisUrl, key: string, failures: string[]): Promise<readonly RedisHost[]> {
  const { sentinel, cells, hosts } = url;
  if (sentinel === undefined && cells === undefined) return hosts;
  const asWho: RedisUrl =
    sentinel === undefined ? url : { ...url, user: undefined, password: url.sentinelPassword, database: 0 };
  for (const host of hosts) {
    const client = clientOf(host, asWho, 'soquete');
    try {
      await connectClient(client);
      const found =
        sentinel === undefined ? await ofCluster(client, key, host) : await ofSentinel(client, sentinel);
      if (found !== undefined) return [found];
      failures.push(`${host.host}:${host.port} knows no server for it`);
    } catch (error) {
      failures.push(`${host.host}:${host.port}: ${errorText(error)}`);
    } finally {
      breakOff(client);
    }
  }
  return [];
}

async function ofSentinel(client: Redis, name: string): Promise<RedisHost | undefined> {
  const found = (await client.call('SENTINEL', ['get-master-addr-by-name', name])) as string[] | null;
  return found === null ? undefined : { host: found[0]!, port: Number(found[1]) };
}

type Slots = readonly (readonly [number, number, readonly [string | null, number, ...unknown[]]])[];

async function ofCluster(client: Redis, key: string, asked: RedisHost): Promise<RedisHost | undefined> {
  const slot = Number(await client.call('CLUSTER', ['KEYSLOT', key]));
  const slots = (await client.call('CLUSTER', ['SLOTS'])) as Slots;
  const range = slots.find(([first, last]) => slot >= first && slot <= last);
  if (range === undefined) return undefined;
  const [host, port] = range[2];
  // A node that does not know its own address is where it was asked.
  return { host: host === null || host === '' || host === '?' ? asked.host : host, port };
}
