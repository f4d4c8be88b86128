/**
 * A Redis or Valkey server for tests and measurements, on a port and in a folder of its own: what is
 * installed here (Debian: `redis-server`). There is no npm package that brings one without compiling it or
 * fetching it from elsewhere.
 */
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from './ports.ts';
import { ChildProcesses, program as find, type RunningProcess, untilReady } from './processes.ts';

export interface RedisProgram {
  readonly name: 'Redis' | 'Valkey';
  readonly path: string;
}

/** What is there to be run. */
export function installedRedis(): RedisProgram[] {
  const all = [
    ['Redis', 'redis-server'],
    ['Valkey', 'valkey-server'],
  ] as const;
  return all.flatMap(([name, command]) => {
    const path = find(command);
    return path === undefined ? [] : [{ name, path }];
  });
}

export const noRedis: string | false =
  installedRedis().length === 0 && 'neither redis-server nor valkey-server is installed';

export interface RedisServerOptions {
  readonly program: RedisProgram;
  /** As in redis.conf. */
  readonly settings?: Readonly<Record<string, string>>;
  /** `--sentinel` and the like. */
  readonly mode?: readonly string[];
  /** Lines of a configuration file of its own, which it may write to. */
  readonly file?: readonly string[];
}

export class RedisServer implements AsyncDisposable {
  readonly port: number;
  readonly directory: string;
  readonly program: RedisProgram;
  readonly #mode: readonly string[];
  readonly #children: ChildProcesses;
  #settings: Record<string, string>;
  #process: RunningProcess | undefined;

  static async start(options: RedisServerOptions): Promise<RedisServer> {
    const { program, settings = {}, mode = [], file = [] } = options;
    const server = new RedisServer(await freePort(), program, mode, { ...settings });
    if (file.length > 0) writeFileSync(join(server.directory, 'server.conf'), `${file.join('\n')}\n`);
    await server.launch();
    return server;
  }

  private constructor(
    port: number,
    program: RedisProgram,
    mode: readonly string[],
    settings: Record<string, string>,
  ) {
    this.port = port;
    this.program = program;
    this.#mode = mode;
    this.directory = mkdtempSync(join(tmpdir(), 'soquete-redis-'));
    chmodSync(this.directory, 0o755);
    this.#children = new ChildProcesses(this.directory);
    this.#settings = settings;
  }

  get pid(): number {
    return this.#process!.pid;
  }

  url(parameters = ''): string {
    return `redis://127.0.0.1:${this.port}${parameters === '' ? '' : `?${parameters}`}`;
  }

  /** Starts it, again too, on what it has on its disk. */
  async launch(settings: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#settings = { ...this.#settings, ...settings };
    const all: Record<string, string> = {
      port: String(this.port),
      bind: '127.0.0.1',
      dir: this.directory,
      save: '',
      'enable-debug-command': 'yes',
      'repl-diskless-sync-delay': '0',
      ...this.#settings,
    };
    const file = join(this.directory, 'server.conf');
    const args = [
      ...(existsSync(file) ? [file] : []),
      ...Object.entries(all).flatMap(([name, value]) => [`--${name}`, ...value.split(' ')]),
      ...this.#mode,
    ];
    this.#process = this.#children.spawn(this.program.name, this.program.path, args);
    await untilReady(this.#process, () => this.#answers());
  }

  async stop(how: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const running = this.#process;
    if (running === undefined || running.hasExited()) return;
    process.kill(running.pid, how);
    await running.exited;
  }

  /** Stops it for a while: it answers nothing, and has everything. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    process.kill(this.pid, signal);
  }

  /** Takes away what it has on its disk; only of one that is stopped. */
  forget(): void {
    rmSync(join(this.directory, 'appendonlydir'), { recursive: true, force: true });
  }

  /** One command, on a connection of its own. */
  async ask(command: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const client = new Redis({
      ...{ host: '127.0.0.1', port: this.port, lazyConnect: true, retryStrategy: null },
      ...{ enableReadyCheck: false, disableClientInfo: true, protocol: 2, connectTimeout: 90_000 },
    });
    client.on('error', () => {});
    try {
      await client.connect();
      return await client.call(command, [...args]);
    } finally {
      client.disconnect();
    }
  }

  /** All that it wrote. */
  said(): string {
    return this.#process?.said() ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process?.hasExited() === false) process.kill(this.pid, 'SIGCONT');
    await this.stop();
    await this.#children[Symbol.asyncDispose]();
  }

  async #answers(): Promise<boolean> {
    try {
      return (await this.ask('PING')) === 'PONG';
    } catch (error) {
      return error instanceof Error && error.message.startsWith('NOAUTH');
    }
  }
}
