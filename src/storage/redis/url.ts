/**
 * `STORE_URL=redis://user:password@host:6379,other:6379/0?parameters`: of several hosts the one that is no
 * replica is used. With `sentinel=NAME` the hosts are Sentinels, which are asked who that is.
 */
export interface RedisUrl {
  readonly hosts: readonly RedisHost[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  /** Of the deployment: all its keys begin with it, and are in one hash slot. */
  readonly name: string;
  /** The name that Sentinels know the server by; undefined: the hosts are the servers. */
  readonly sentinel: string | undefined;
  readonly sentinelPassword: string | undefined;
  /** So many cells in a Redis Cluster, each in a slot of its own; undefined: no cluster. */
  readonly cells: number | undefined;
  /** That a batch waits for with `ACK_AFTER=flush`; undefined: as many as the server has ever had. */
  readonly replicas: number | undefined;
  readonly isTls: boolean;
}

export interface RedisHost {
  readonly host: string;
  readonly port: number;
}

export const REDIS_URL_TAKES =
  'redis://USER:PASSWORD@HOST:PORT,HOST:PORT/0 (or rediss://, with TLS) with name=NAME, sentinel=NAME, ' +
  'sentinelPassword=PASSWORD, replicas=NUMBER or cells=NUMBER (of a cluster) as its parameters';

const PORT = 6379;
const SENTINEL_PORT = 26_379;
const CELLS_MAX = 256;
const URL_PARTS = /^(rediss?):\/\/(?:([^:@/?]*)(?::([^@/?]*))?@)?([^/?@]+)(?:\/(\d{0,4}))?(?:\?(.*))?$/s;
const NAME = /^[A-Za-z0-9_-]{1,48}$/;
const HOST = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/;
const PARAMETERS = ['name', 'sentinel', 'sentinelPassword', 'replicas', 'cells'];

/** Undefined where it cannot be used. */
export function parseRedisUrl(text: string): RedisUrl | undefined {
  const [, scheme, user = '', password, authority = '', database, query = ''] = URL_PARTS.exec(text) ?? [];
  if (scheme === undefined) return undefined;
  const parameters = new URLSearchParams(query);
  if ([...parameters.keys()].some(key => !PARAMETERS.includes(key))) return undefined;
  const name = parameters.get('name') ?? 'soquete';
  const sentinel = parameters.get('sentinel') ?? undefined;
  const cells = parameters.get('cells');
  const hosts = hostsIn(authority, sentinel === undefined ? PORT : SENTINEL_PORT);
  if (hosts === undefined || !NAME.test(name) || sentinel === '') return undefined;
  const isCluster = cells !== null;
  const replicas = parameters.get('replicas');
  if (replicas !== null && !/^\d{1,2}$/.test(replicas)) return undefined;
  if (isCluster && (sentinel !== undefined || Number(database ?? 0) !== 0)) return undefined;
  if (isCluster && !(/^\d{1,3}$/.test(cells) && Number(cells) >= 1 && Number(cells) <= CELLS_MAX))
    return undefined;
  try {
    return {
      hosts,
      user: decodeURIComponent(user) || undefined,
      password: password === undefined ? undefined : decodeURIComponent(password),
      database: Number(database ?? 0),
      name,
      sentinel,
      sentinelPassword: parameters.get('sentinelPassword') ?? undefined,
      cells: isCluster ? Number(cells) : undefined,
      replicas: replicas === null ? undefined : Number(replicas),
      isTls: scheme === 'rediss',
    };
  } catch {
    return undefined;
  }
}

function hostsIn(authority: string, standard: number): RedisHost[] | undefined {
  const hosts = authority.split(',').map(each => {
    const [, address, name, port] = HOST.exec(each) ?? [];
    return { host: address ?? name ?? '', port: Number(port ?? standard) };
  });
  return hosts.every(({ host, port }) => host !== '' && port > 0 && port <= 65_535) ? hosts : undefined;
}

/** For people: without the passwords. */
export function describeRedisUrl({ hosts, database, name, sentinel, cells, isTls }: RedisUrl): string {
  const all = hosts.map(({ host, port }) => `${host}:${port}`).join(',');
  const behind = sentinel === undefined ? '' : `, ${sentinel} of its Sentinels`;
  const split = cells === undefined ? '' : `, ${cells} cells`;
  return `redis${isTls ? 's' : ''}://${all}/${database} (name ${name}${behind}${split})`;
}
