/** What a server says of itself, and what a 202 survives on it. */

export interface RedisState {
  /** Another for each start of a server. */
  readonly run: string;
  readonly version: string;
  readonly isReplica: boolean;
  readonly replicas: number;
  readonly isAppending: boolean;
  /** `always`, `everysec` or `no`; undefined: it does not say. */
  readonly appendfsync: string | undefined;
  readonly maxmemoryPolicy: string;
}

/** The oldest that has functions. */
const VERSION_MIN = 7;

/** `INFO` and, where the user may ask it, `appendfsync` of the configuration. */
export function redisStateOf(info: string, appendfsync: string | undefined): RedisState {
  const fields = new Map<string, string>();
  for (const line of info.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  const text = (name: string): string => fields.get(name) ?? '';
  return {
    run: text('run_id'),
    version: text('redis_version'),
    isReplica: text('role') === 'slave',
    replicas: Number(text('connected_slaves')),
    isAppending: text('aof_enabled') === '1',
    appendfsync,
    maxmemoryPolicy: text('maxmemory_policy'),
  };
}

export interface RedisDurability {
  /** One line for people. */
  readonly survives: string;
  /** Replicas that have to have a batch before it is acknowledged. */
  readonly waitsFor: number;
}

/** A line that says why this server cannot be used, or `ACK_AFTER` not be kept on it; undefined: it can. */
export function refusalOfServer(
  { version, maxmemoryPolicy, isAppending, appendfsync }: RedisState,
  ackAfter: 'parse' | 'commit' | 'flush',
): string | undefined {
  if (Number(version.split('.')[0]) < VERSION_MIN)
    return `STORE_URL is a Redis ${version}: it has to be 7 or newer, or a Valkey`;
  // Also where nothing limits it yet: that may be set while it runs.
  if (maxmemoryPolicy !== 'noeviction')
    return `STORE_URL needs maxmemory-policy noeviction on the server (it is ${maxmemoryPolicy}): it would forget payments at random`;
  if (ackAfter !== 'flush' || (isAppending && appendfsync === 'always')) return undefined;
  const needs = isAppending ? 'appendfsync always' : 'appendonly yes and appendfsync always';
  const unknown = isAppending && appendfsync === undefined ? ', and its user to be allowed CONFIG GET' : '';
  return `ACK_AFTER=flush needs ${needs} on the server${unknown}: set it, or take ACK_AFTER=commit`;
}

/** `replicas`: as many as the server has had. */
export function redisDurabilityOf(
  { isAppending, appendfsync }: RedisState,
  ackAfter: 'parse' | 'commit' | 'flush',
  replicas: number,
): RedisDurability {
  const copies = replicas === 1 ? 'its replica' : `its ${replicas} replicas`;
  if (ackAfter === 'flush') {
    const host =
      replicas > 0
        ? `, and the loss of Redis's host (${replicas === 1 ? 'its replica has' : `its ${replicas} replicas have`} it: WAIT)`
        : '';
    return {
      survives: `the death and power loss of any machine, that of Redis too${host}`,
      waitsFor: replicas,
    };
  }
  const server = serverLoss(isAppending, appendfsync);
  const failover = replicas > 0 ? `; a failover may lose the last moment that ${copies} lacks` : '';
  return { survives: `the death and power loss of any machine of ours; ${server}${failover}`, waitsFor: 0 };
}

function serverLoss(isAppending: boolean, appendfsync: string | undefined): string {
  if (!isAppending) return 'Redis keeps nothing when it ends (appendonly no)';
  if (appendfsync === 'always') return 'Redis loses nothing when it dies (appendfsync always)';
  if (appendfsync === 'no') return 'Redis may lose what its kernel has not written (appendfsync no)';
  return `Redis may lose the last two seconds when it dies (appendfsync ${appendfsync ?? 'unknown'})`;
}
