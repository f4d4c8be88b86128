/** One server for all tests of a file, and stores on it. */
import { cpSync, rmSync } from 'node:fs';
import { after, before } from 'node:test';
import { systemClock } from '../../system-clock.ts';
import { installedPostgres, PostgresServer } from '../../testing/postgres-server.ts';
import { PostgresStore, type PostgresStoreOptions } from './postgres-store.ts';
import { parsePostgresUrl } from './url.ts';

const [binaries] = installedPostgres();
export const needsPostgres = { skip: binaries === undefined && 'PostgreSQL for tests is not installed' };

let schemas = 0;
export const newSchema = (): string => `engine_${++schemas}`;

export class PostgresStand {
  server!: PostgresServer;
  readonly #opened: PostgresStore[] = [];

  /** For the tests of a file. */
  static forTests(): PostgresStand {
    const stand = new PostgresStand();
    before(async () => {
      if (binaries !== undefined) stand.server = await PostgresServer.start({ binaries });
    });
    after(async () => {
      for (const store of stand.#opened) await new Promise(closed => store.leave(closed));
      await stand.server?.[Symbol.asyncDispose]();
    });
    return stand;
  }

  async open(
    schema: string,
    rest: Partial<PostgresStoreOptions> & { port?: number } = {},
  ): Promise<PostgresStore> {
    const { port = this.server.port, ...others } = rest;
    const url = parsePostgresUrl(`postgres://soquete@127.0.0.1:${port}/postgres?schema=${schema}`)!;
    const as = { url, clock: systemClock, ackAfter: 'commit', application: 'test' } as const;
    const store = await PostgresStore.open({ ...as, ...others });
    this.#opened.push(store);
    return store;
  }

  /** Of its data, while it is stopped; it runs again when this ends. */
  async copy(): Promise<string> {
    const { server } = this;
    const copy = `${server.data}-copy`;
    await server.stop();
    cpSync(server.data, copy, { recursive: true, preserveTimestamps: true });
    await server.launch();
    return copy;
  }

  /** Goes on with a copy, and what it writes from there on is soon more than what it had. */
  async goBackTo(copy: string): Promise<void> {
    const { server } = this;
    await server.stop('kill');
    rmSync(server.data, { recursive: true });
    await server.restore(copy);
    await server.launch();
    await server.query('SELECT pg_switch_wal()');
  }
}
