/**
 * A PostgreSQL database for the stack to be broken with, and what is done to it: killed, started anew, and
 * its connections cut, at a byte or all at once, or passing in one direction only. A pooler may stand in
 * between.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { below, type Chance } from '../domain/random.ts';
import { freePort } from '../testing/ports.ts';
import { PostgresServer, postgresOf, unprivileged } from '../testing/postgres-server.ts';
import { ChildProcesses, listening, program } from '../testing/processes.ts';
import { TcpProxy } from '../testing/tcp-proxy.ts';
import type { InjuredStore } from './injured-store.ts';

/** How long a direction drops what passes: shorter and longer than it takes to be noticed. */
const DROP_MS_MAX = 5000;
const AWAY_MS_MAX = 3000;
/** A batch and its answer have some hundred bytes. */
const CUT_BYTES_MAX = 1500;

export class ChaosDatabase implements InjuredStore {
  readonly #server: PostgresServer;
  readonly #proxy: TcpProxy;
  readonly #pooler: ChildProcesses | undefined;
  readonly #draw: Chance;
  #isBusy = false;
  #healed = false;

  /** `version`: 18 or what is installed. */
  static async start(draw: Chance, isPooled: boolean, version?: number): Promise<ChaosDatabase> {
    const binaries = postgresOf(version);
    const server = await PostgresServer.start({ binaries });
    try {
      const pooler = isPooled ? await startPooler(server.port) : undefined;
      const proxy = await TcpProxy.start(pooler?.port ?? server.port);
      return new ChaosDatabase(server, proxy, pooler?.children, draw);
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(
    server: PostgresServer,
    proxy: TcpProxy,
    pooler: ChildProcesses | undefined,
    draw: Chance,
  ) {
    this.#server = server;
    this.#proxy = proxy;
    this.#pooler = pooler;
    this.#draw = draw;
  }

  get title(): string {
    const pooler = this.#pooler === undefined ? '' : ' behind PgBouncer';
    return `PostgreSQL ${this.#server.binaries.version}${pooler}`;
  }

  get url(): string {
    const parameters = this.#pooler === undefined ? '' : '?pooler=transaction';
    return `postgres://soquete@127.0.0.1:${this.#proxy.port}/postgres${parameters}`;
  }

  get injuries(): [string, () => unknown][] {
    return [
      ['database killed', () => this.#restart('kill')],
      ['database restarted', () => this.#restart('fast')],
      ['connections cut', () => this.#proxy.cut()],
      [
        'connections cut in a batch',
        () => this.#proxy.cutAfter('toServer', below(this.#draw, CUT_BYTES_MAX)),
      ],
      [
        'connections cut in an answer',
        () => this.#proxy.cutAfter('toClient', below(this.#draw, CUT_BYTES_MAX)),
      ],
      ['requests to the database dropped', () => this.#drop('toServer')],
      ['answers of the database dropped', () => this.#drop('toClient')],
    ];
  }

  async heal(): Promise<void> {
    this.#healed = true;
    while (this.#isBusy) await new Promise(resolve => setTimeout(resolve, 20));
    this.#proxy.heal();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.heal();
    await this.#proxy[Symbol.asyncDispose]();
    await this.#pooler?.[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }

  async #restart(how: 'fast' | 'kill'): Promise<void> {
    await this.#alone(async () => {
      await this.#server.stop(how);
      await this.#pass(below(this.#draw, AWAY_MS_MAX));
      await this.#server.launch();
    });
  }

  async #drop(direction: 'toServer' | 'toClient'): Promise<void> {
    await this.#alone(async () => {
      this.#proxy.drop(direction);
      await this.#pass(below(this.#draw, DROP_MS_MAX));
      this.#proxy.heal();
    });
  }

  /** One at a time, and not waited for. */
  async #alone(act: () => Promise<void>): Promise<void> {
    if (this.#isBusy || this.#healed) return;
    this.#isBusy = true;
    act().finally(() => {
      this.#isBusy = false;
    });
  }

  #pass(ms: number): Promise<void> {
    return new Promise(resolve => setTimeout(resolve, ms));
  }
}

/** PgBouncer in transaction mode. */
async function startPooler(port: number): Promise<{ port: number; children: ChildProcesses }> {
  const bouncer = program('pgbouncer') ?? '/usr/sbin/pgbouncer';
  const children = new ChildProcesses();
  const own = await freePort();
  const settings = join(children.directory, 'pgbouncer.ini');
  writeFileSync(
    settings,
    [
      '[databases]',
      `* = host=127.0.0.1 port=${port} user=soquete`,
      '[pgbouncer]',
      ...['listen_addr = 127.0.0.1', `listen_port = ${own}`, 'unix_socket_dir =', 'auth_type = any'],
      ...[
        'pool_mode = transaction',
        'max_client_conn = 200',
        'default_pool_size = 20',
        'server_login_retry = 1',
      ],
    ].join('\n'),
  );
  chmodSync(children.directory, 0o755);
  const [command, args] = unprivileged(bouncer, [settings]);
  const running = children.spawn('pgbouncer', command, args);
  await listening(running, { host: '127.0.0.1', port: own });
  return { port: own, children };
}
