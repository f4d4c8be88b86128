/**
 * One connection to the database, that is made anew when it breaks. A question is sent once or refused
 * (`busy`), and never sent a second time here: what a broken connection leaves open is for the caller to ask
 * (`unanswered`).
 *
 * Before a new connection is used for anything, `check` sees the history of the server behind it.
 */
import { Socket } from 'node:net';
import pg from 'pg';
import type { Clock } from '../../domain/clock.ts';
import { oneAtATime } from '../one-at-a-time.ts';
import { StoreFault, StoreOpenError } from '../ports.ts';
import { HISTORY_SQL, lsnOf, type ServerHistory } from './history.ts';
import { describePostgresUrl, type PostgresUrl } from './url.ts';

/** A connection that is not made within this time is given up. */
const CONNECT_MS = 3000;
/** So long after the last packet the kernel asks whether the other end is there. */
const KEEP_ALIVE_MS = 2000;
/**
 * `tcp_user_timeout`: the server lets go of a connection whose other end has not acknowledged for so long.
 */
const SERVER_GIVES_UP_MS = 6000;

/** What the server says of itself beside its history. */
export interface ServerState extends ServerHistory {
  /** `synchronous_standby_names`. */
  readonly standbys: string;
  readonly isFsync: boolean;
  readonly version: number;
  /** Where it was found. */
  readonly address: string;
}

/**
 * The hosts of the address for all connections of a store, the one first that last took writes: a host that
 * is gone without a word costs its time-out once, and not again for each connection that is made anew.
 */
export class DatabaseHosts {
  #inOrder: PostgresUrl['hosts'];

  constructor({ hosts }: PostgresUrl) {
    this.#inOrder = hosts;
  }

  get inOrder(): PostgresUrl['hosts'] {
    return this.#inOrder;
  }

  takesWrites(host: PostgresUrl['hosts'][number]): void {
    this.#inOrder = [host, ...this.#inOrder.filter(each => each !== host)];
  }
}

export interface ConnectionParts {
  readonly url: PostgresUrl;
  readonly hosts: DatabaseHosts;
  readonly clock: Clock;
  /** For `pg_stat_activity`. */
  readonly application: string;
  /** A fault: the connection is not used. */
  readonly check: (state: ServerState, ask: Ask) => Promise<StoreFault | undefined>;
  /** Carried out on each new connection before it is used. */
  readonly prepare?: (ask: Ask) => Promise<void>;
  readonly closed?: () => void;
}

export interface Question {
  /** Of a prepared statement. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

export type ResultRow = Readonly<Record<string, unknown>>;
export type Ask = (question: Question, deadlineMs?: number) => Promise<ResultRow[]>;

/** Connection errors that another try will not change. */
const FINAL_CODES: Record<string, string> = {
  '28P01': 'the password is wrong',
  '28000': 'the server does not let this user in (pg_hba.conf)',
  '3D000': 'the database does not exist: create it',
};

export class DatabaseConnection {
  readonly #parts: ConnectionParts;
  readonly #deadlineMs: number;
  #client: pg.Client | undefined;
  #socket: Socket | undefined;
  readonly #connectOnce = oneAtATime(() => this.#connect());
  #fault = new StoreFault('busy', 'not connected to the database yet');
  #isClosed = false;
  /** Process id of the server's end. */
  pid = 0;
  onNotification: (() => void) | undefined;

  /** `deadlineMs`: a question without an answer for so long breaks the connection. */
  constructor(parts: ConnectionParts, deadlineMs: number) {
    this.#parts = parts;
    this.#deadlineMs = deadlineMs;
  }

  get isOpen(): boolean {
    return this.#client !== undefined;
  }

  /** Throws `StoreFault`, or `StoreOpenError` where another try would not help. */
  open(): Promise<void> {
    if (this.#isClosed) return Promise.reject(new StoreFault('lost', 'the store is closed'));
    if (this.#client !== undefined) return Promise.resolve();
    return this.#connectOnce();
  }

  /** Throws `StoreFault`. */
  async ask(question: Question, deadlineMs = this.#deadlineMs): Promise<ResultRow[]> {
    if (this.#client === undefined) await this.#openAgain();
    return this.#askOf(this.#client!, this.#socket!, question, deadlineMs);
  }

  /** Breaks the connection: whatever was asked is unanswered. */
  abandon(): void {
    this.#client = undefined;
    this.#socket?.destroy();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const client = this.#client;
    this.#client = undefined;
    await Promise.race([client?.end(), new Promise(done => setTimeout(done, 500).unref())]);
    this.#socket?.destroy();
  }

  /** A connection that broke is back in a moment, mostly; what cannot be had is said at once. */
  async #openAgain(): Promise<void> {
    try {
      await this.open();
    } catch (error) {
      throw error instanceof StoreFault ? error : new StoreFault('busy', messageOf(error));
    }
    if (this.#client === undefined) throw this.#fault;
  }

  async #connect(): Promise<void> {
    const { inOrder: hosts } = this.#parts.hosts;
    const failures: string[] = [];
    for (const each of hosts) {
      const { host, port } = each;
      const address = host.startsWith('/') ? host : `${host}:${port}`;
      try {
        await this.#connectTo(each, address);
        return;
      } catch (error) {
        if (error instanceof StoreOpenError) throw error;
        if (error instanceof StoreFault && error.reason !== 'busy') {
          this.#fault = error;
          throw error;
        }
        failures.push(`${address}: ${error instanceof StoreFault ? error.detail : messageOf(error)}`);
        const final = FINAL_CODES[codeOf(error)];
        if (final !== undefined && hosts.length === 1)
          throw new StoreOpenError(`STORE_URL: ${describePostgresUrl(this.#parts.url)}: ${final}`);
      }
    }
    this.#fault = new StoreFault('busy', `no database that takes writes: ${failures.join('; ')}`);
    throw this.#fault;
  }

  async #connectTo(server: PostgresUrl['hosts'][number], address: string): Promise<void> {
    const { url, hosts, application, check, prepare, closed } = this.#parts;
    const { host, port } = server;
    const { user, password, database, tls } = url;
    const socket = new Socket();
    socket.setNoDelay(true);
    const client = new pg.Client({
      ...{ host, port, user, password, database, pipeline: true },
      ssl: tls === 'disable' ? false : { rejectUnauthorized: tls === 'verify-full' },
      stream: () => socket,
      connectionTimeoutMillis: CONNECT_MS,
      keepAlive: true,
      keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
      application_name: application,
    });
    const ended = (): void => {
      socket.destroy();
      if (this.#client !== client) return;
      this.#client = undefined;
      this.#fault = new StoreFault('busy', 'the connection to the database broke');
      closed?.();
      this.open().catch(() => {});
    };
    client.on('error', ended);
    client.on('end', ended);
    client.on('notification', () => this.onNotification?.());
    try {
      await client.connect();
      const ask: Ask = (question, deadlineMs = CONNECT_MS) =>
        this.#askOf(client, socket, question, deadlineMs);
      const state = serverState((await ask({ text: HISTORY_SQL }))[0]!, address);
      hosts.takesWrites(server);
      const fault = await check(state, ask);
      if (fault !== undefined) throw fault;
      if (!url.isPooled) {
        await ask({
          text: `SET tcp_user_timeout = ${SERVER_GIVES_UP_MS}; SET tcp_keepalives_idle = 2;
            SET tcp_keepalives_interval = 1; SET tcp_keepalives_count = 4`,
        });
        const [backend] = await ask({ text: 'SELECT pg_backend_pid() AS pid' });
        this.pid = Number(backend!['pid']);
      }
      await prepare?.(ask);
      if (this.#isClosed) throw new StoreFault('lost', 'the store is closed');
      this.#client = client;
      this.#socket = socket;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  #askOf(
    client: pg.Client,
    socket: Socket,
    { name, text, values }: Question,
    deadlineMs: number,
  ): Promise<ResultRow[]> {
    const timer = this.#parts.clock.after(deadlineMs, () => socket.destroy());
    const query = {
      text,
      ...(values === undefined ? {} : { values: [...values] }),
      ...(name === undefined || this.#parts.url.isPooled ? {} : { name }),
    };
    return client.query<Record<string, unknown>>(query).then(
      ({ rows }) => {
        timer.cancel();
        return rows;
      },
      error => {
        timer.cancel();
        // A server that has become a standby, or that stops: another one is looked for.
        if (codeOf(error) === '25006') socket.destroy();
        throw faultOf(error);
      },
    );
  }
}

function serverState(row: ResultRow, address: string): ServerState {
  if (row['is_read_only'] !== false) throw new StoreFault('busy', 'it takes no writes (a standby)');
  return {
    system: String(row['system']),
    timeline: Number(row['timeline']),
    started: String(row['started']),
    lsn: lsnOf(String(row['lsn'])),
    inserted: lsnOf(String(row['inserted'])),
    standbys: String(row['standbys']),
    isFsync: row['is_fsync'] === true,
    version: Number(row['version']),
    address,
  };
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : '';

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** What an error says of the statement that it answers. */
function faultOf(error: unknown): StoreFault {
  if (error instanceof StoreFault) return error;
  const code = codeOf(error);
  // An error rolled the statement back, but for those that come with the end of the session: a commit may
  // have gone before.
  const isRolledBack = error instanceof pg.DatabaseError && !/^(?:57P|08|58|XX)/.test(code);
  if (!isRolledBack) return new StoreFault('unanswered', messageOf(error));
  return new StoreFault(code === '53100' ? 'full' : 'busy', `${messageOf(error)} (${code})`);
}
