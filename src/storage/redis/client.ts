/** The client library, with everything off that it does by itself. */
import { Redis } from 'ioredis';
import type { RedisHost, RedisUrl } from './url.ts';

/** A connection that is not made within this time is given up. */
export const CONNECT_MS = 3000;
/** So long after the last packet the kernel asks whether the other end is there. */
const KEEP_ALIVE_MS = 2000;

/** Connects when it is asked to, and never again. */
export function clientOf({ host, port }: RedisHost, url: RedisUrl, application: string): Redis {
  const client = new Redis({
    host,
    port,
    db: url.database,
    ...(url.user === undefined ? {} : { username: url.user }),
    ...(url.password === undefined ? {} : { password: url.password }),
    ...(url.isTls ? { tls: { servername: host } } : {}),
    connectionName: application,
    disableClientInfo: true,
    protocol: 2,
    lazyConnect: true,
    connectTimeout: CONNECT_MS,
    keepAlive: KEEP_ALIVE_MS,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
  });
  // What it says is said by the commands that fail with it.
  client.on('error', () => {});
  return client;
}

/** Throws what stood in the way, which the library says elsewhere. */
export async function connectClient(client: Redis): Promise<void> {
  let reason: Error | undefined;
  client.on('error', error => {
    reason = error;
  });
  try {
    await client.connect();
  } catch (error) {
    throw reason ?? error;
  }
}

/** At once; what was asked is rejected. */
export function breakOff(client: Redis): void {
  client.disconnect();
  client.stream?.destroy();
}
