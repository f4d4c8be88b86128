/**
 * `STORE_URL=postgres://user:password@host:5432,other:5432/database?parameters`, as libpq has it: of several
 * hosts the one that takes writes is used.
 */
export interface PostgresUrl {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  readonly schema: string;
  /** A pooler in transaction mode stands in between: no LISTEN, no session's lock, no prepared statement. */
  readonly isPooled: boolean;
  /** `verify-full` checks the certificate and the host's name, `require` neither. */
  readonly tls: 'disable' | 'require' | 'verify-full';
}

export const POSTGRES_URL_TAKES =
  'postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE with schema=NAME, pooler=transaction, ' +
  'sslmode=disable, require or verify-full as its parameters';

const PORT = 5432;
const URL_PARTS = /^postgres(?:ql)?:\/\/(?:([^:@/?]*)(?::([^@/?]*))?@)?([^/?@]*)\/([^/?]+)(?:\?(.*))?$/s;
const NAME = /^[a-z_][a-z0-9_]{0,48}$/;
const TLS = ['disable', 'require', 'verify-full'] as const;
const PARAMETERS = ['schema', 'pooler', 'sslmode', 'host'];

/** Undefined where it cannot be used. */
export function parsePostgresUrl(text: string): PostgresUrl | undefined {
  const [, user = '', password, authority, database, query = ''] = URL_PARTS.exec(text) ?? [];
  if (authority === undefined || database === undefined) return undefined;
  const parameters = new URLSearchParams(query);
  if ([...parameters.keys()].some(key => !PARAMETERS.includes(key))) return undefined;
  const hosts = hostsOf(parameters.get('host') ?? authority);
  const schema = parameters.get('schema') ?? 'soquete';
  const pooler = parameters.get('pooler');
  const tls = TLS.find(each => each === (parameters.get('sslmode') ?? 'disable'));
  if (hosts === undefined || tls === undefined || !NAME.test(schema)) return undefined;
  if (pooler !== null && pooler !== 'transaction') return undefined;
  try {
    return {
      hosts,
      user: decodeURIComponent(user) || 'postgres',
      password: password === undefined ? undefined : decodeURIComponent(password),
      database: decodeURIComponent(database),
      schema,
      isPooled: pooler !== null,
      tls,
    };
  } catch {
    return undefined;
  }
}

function hostsOf(authority: string): PostgresUrl['hosts'] | undefined {
  // A directory is where a Unix socket is.
  if (authority.startsWith('/')) {
    const [, directory, port] = /^(.*?)(?::(\d+))?$/.exec(authority)!;
    return [{ host: directory!, port: Number(port ?? PORT) }];
  }
  const hosts = authority.split(',').map(each => {
    const [, address, name, port] = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(each) ?? [];
    return { host: address ?? name ?? '', port: Number(port ?? PORT) };
  });
  const isUsable = hosts.every(({ host, port }) => host !== '' && port > 0 && port <= 65_535);
  return isUsable ? hosts : undefined;
}

/** For people: without the password. */
export const describePostgresUrl = ({ hosts, user, database, schema }: PostgresUrl): string =>
  `postgres://${user}@${hosts.map(({ host, port }) => `${host}:${port}`).join(',')}/${database} (schema ${schema})`;
