/** The servers whose payments leave for an archive, each started for the tests of a file. */
import { after, before } from 'node:test';
import { systemClock } from '../../system-clock.ts';
import { installedPostgres, type PostgresBinaries, PostgresServer } from '../../testing/postgres-server.ts';
import { installedRedis, type RedisProgram, RedisServer } from '../../testing/redis-server.ts';
import { instance, type MemberStore } from '../contract/engines.ts';
import type { Reopening, Store } from '../ports.ts';
import { PostgresStore } from '../postgres/postgres-store.ts';
import { parsePostgresUrl } from '../postgres/url.ts';
import { RedisStore } from '../redis/redis-store.ts';
import { parseRedisUrl } from '../redis/url.ts';
import type { StoreArchive } from './store-archive.ts';

type ArchivedStore = Store & Reopening & { readonly archive: StoreArchive };

/** `name`: of a deployment, which is made when it is first opened. */
export interface ArchivedServer {
  readonly title: string;
  open(name: string): Promise<ArchivedStore>;
  /** Whoever keeps the archive was at work long ago. */
  silence(name: string): Promise<void>;
  /** Puts all aside that is there. */
  copy(name: string): Promise<void>;
  /** Goes back to that. */
  restore(name: string): Promise<void>;
}

export const archivedServers = (): ArchivedServer[] => [
  ...installedPostgres().map(postgresServer),
  ...installedRedis().map(redisServer),
];

let names = 0;
export const newDeployment = (): string => `archived_${++names}`;

/** An instance that has joined, and its archive. */
export async function archivedMember(
  server: ArchivedServer,
  name: string,
): Promise<readonly [MemberStore, StoreArchive]> {
  const store = await server.open(name);
  return [await instance({ open: async () => store } as never, 'a'), store.archive];
}

function opening<Server extends AsyncDisposable>(
  start: () => Promise<Server>,
  open: (server: Server, name: string) => Promise<ArchivedStore>,
) {
  const opened: ArchivedStore[] = [];
  let server: Server;
  before(async () => {
    server = await start();
  });
  after(async () => {
    for (const store of opened) await new Promise(closed => store.leave(closed));
    await server?.[Symbol.asyncDispose]();
  });
  return {
    server: () => server,
    async open(name: string): Promise<ArchivedStore> {
      const store = await open(server, name);
      opened.push(store);
      return store;
    },
  };
}

const AS = { clock: systemClock, ackAfter: 'commit', application: 'test' } as const;

function postgresServer(binaries: PostgresBinaries): ArchivedServer {
  const { server, open } = opening(
    () => PostgresServer.start({ binaries, settings: { fsync: 'off', full_page_writes: 'off' } }),
    async (of, name) =>
      PostgresStore.open({ ...AS, url: parsePostgresUrl(of.url('postgres', `schema=${name}`))! }),
  );
  const eachTable = (name: string, statements: string): string => `DO $copy$ DECLARE t text; BEGIN
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = '${name}' LOOP ${statements} END LOOP; END $copy$`;
  return {
    title: `PostgreSQL ${binaries.version}`,
    open,
    silence: async name => void (await server().query(`UPDATE ${name}.archive SET kept_at = 0`)),
    async copy(name) {
      await server().query(`CREATE SCHEMA older_${name}`);
      const copied = `EXECUTE format('CREATE TABLE older_${name}.%I AS TABLE ${name}.%I', t, t);`;
      await server().query(eachTable(name, copied));
    },
    async restore(name) {
      await server().query(
        eachTable(
          name,
          `EXECUTE format('TRUNCATE ${name}.%I', t);
          EXECUTE format('INSERT INTO ${name}.%I OVERRIDING SYSTEM VALUE SELECT * FROM older_${name}.%I', t, t);`,
        ),
      );
    },
  };
}

function redisServer(program: RedisProgram): ArchivedServer {
  const settings = { appendonly: 'yes', appendfsync: 'always' };
  const { server, open } = opening(
    () => RedisServer.start({ program, settings }),
    async (of, name) => RedisStore.open({ ...AS, url: parseRedisUrl(of.url(`name=${name}`))! }),
  );
  const keys = async (pattern: string) => (await server().ask('KEYS', pattern)) as string[];
  return {
    title: program.name,
    open,
    silence: async name => void (await server().ask('HSET', `{${name}}`, 'keptAt', '0')),
    async copy(name) {
      for (const key of await keys(`{${name}}*`)) await server().ask('COPY', key, `older${key}`);
    },
    async restore(name) {
      for (const key of await keys(`{${name}}*`)) await server().ask('DEL', key);
      for (const key of await keys(`older{${name}}*`))
        await server().ask('RENAME', key, key.slice('older'.length));
    },
  };
}
