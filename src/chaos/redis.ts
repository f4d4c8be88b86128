/**
 * A Redis for the stack to be broken with, and what is done to it: killed, started anew, put to sleep,
 * filled, made to wait for its disk, and its connections cut; or a pair with Sentinels, whose primary is
 * killed, so that the replica takes over.
 */
import { below, type Chance } from '../domain/random.ts';
import { installedRedis, noRedis, type RedisProgram, RedisServer } from '../testing/redis-server.ts';
import { TcpProxy } from '../testing/tcp-proxy.ts';
import { until } from '../testing/until.ts';
import type { InjuredStore } from './injured-store.ts';

const DROP_MS_MAX = 5000;
const AWAY_MS_MAX = 3000;
const SLEEP_SECONDS_MAX = 4;
const FULL_MS_MAX = 2000;
const SLOW_MS_MAX = 3000;
/** Of each write to the file. */
const SLOW_AOF_US = 20_000;
/** A batch and its answer have some hundred bytes. */
const CUT_BYTES_MAX = 1500;
/** By which Sentinels know the primary. */
const WATCHED = 'payments';
const SENTINELS = 3;

const pass = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

abstract class ChaosRedis implements InjuredStore {
  protected readonly draw: Chance;
  #isBusy = false;
  #healed = false;

  constructor(draw: Chance) {
    this.draw = draw;
  }

  abstract readonly title: string;
  abstract readonly url: string;
  abstract readonly injuries: [string, () => unknown][];

  async heal(): Promise<void> {
    this.#healed = true;
    while (this.#isBusy) await pass(20);
  }

  abstract [Symbol.asyncDispose](): Promise<void>;

  /** One at a time, and not waited for. */
  protected alone(act: () => Promise<void>): void {
    if (this.#isBusy || this.#healed) return;
    this.#isBusy = true;
    act().finally(() => {
      this.#isBusy = false;
    });
  }
}

export class ChaosServer extends ChaosRedis {
  readonly #server: RedisServer;
  readonly #proxy: TcpProxy;

  static async start(draw: Chance): Promise<ChaosServer> {
    const server = await RedisServer.start({ program: theProgram(), settings: { appendonly: 'yes' } });
    return new ChaosServer(draw, server, await TcpProxy.start(server.port));
  }

  private constructor(draw: Chance, server: RedisServer, proxy: TcpProxy) {
    super(draw);
    this.#server = server;
    this.#proxy = proxy;
  }

  get title(): string {
    return this.#server.program.name;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#proxy.port}`;
  }

  get injuries(): [string, () => unknown][] {
    const cut = (direction: 'toServer' | 'toClient') =>
      this.#proxy.cutAfter(direction, below(this.draw, CUT_BYTES_MAX));
    return [
      ['Redis killed', () => this.#restart('SIGKILL')],
      ['Redis restarted', () => this.#restart('SIGTERM')],
      ['Redis asleep', () => this.#sleep()],
      ['Redis full', () => this.#set('maxmemory', '1mb', '0', FULL_MS_MAX)],
      ['AOF slow', () => this.#slow()],
      ['connections cut', () => this.#proxy.cut()],
      ['connections cut in a batch', () => cut('toServer')],
      ['connections cut in an answer', () => cut('toClient')],
      ['requests to Redis dropped', () => this.#drop('toServer')],
      ['answers of Redis dropped', () => this.#drop('toClient')],
    ];
  }

  override async heal(): Promise<void> {
    await super.heal();
    this.#proxy.heal();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.heal();
    await this.#proxy[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }

  #restart(how: 'SIGTERM' | 'SIGKILL'): void {
    this.alone(async () => {
      await this.#server.stop(how);
      await pass(below(this.draw, AWAY_MS_MAX));
      await this.#server.launch();
    });
  }

  #sleep(): void {
    this.alone(async () => {
      await this.#server.ask('DEBUG', 'SLEEP', below(this.draw, SLEEP_SECONDS_MAX * 10) / 10);
    });
  }

  #set(name: string, value: string, usual: string, msMax: number): void {
    this.alone(async () => {
      await this.#server.ask('CONFIG', 'SET', name, value);
      await pass(below(this.draw, msMax));
      await this.#server.ask('CONFIG', 'SET', name, usual);
    });
  }

  #slow(): void {
    this.alone(async () => {
      await this.#server.ask('DEBUG', 'AOF-FLUSH-SLEEP', SLOW_AOF_US);
      await pass(below(this.draw, SLOW_MS_MAX));
      await this.#server.ask('DEBUG', 'AOF-FLUSH-SLEEP', 0);
    });
  }

  #drop(direction: 'toServer' | 'toClient'): void {
    this.alone(async () => {
      this.#proxy.drop(direction);
      await pass(below(this.draw, DROP_MS_MAX));
      this.#proxy.heal();
    });
  }
}

/** Both write each batch to their disks before it is answered: with `ACK_AFTER=flush` nothing may be lost. */
export class ChaosSentinels extends ChaosRedis {
  readonly #pair: readonly RedisServer[];
  readonly #sentinels: readonly RedisServer[];

  static async start(draw: Chance): Promise<ChaosSentinels> {
    const program = theProgram();
    const settings = { appendonly: 'yes', appendfsync: 'always' };
    const [primary, replica] = [
      await RedisServer.start({ program, settings }),
      await RedisServer.start({ program, settings }),
    ];
    await followPrimary(replica, primary.port);
    const sentinels: RedisServer[] = [];
    for (let n = 0; n < SENTINELS; n++) sentinels.push(await startSentinel(program, primary.port));
    await until(async () => {
      const [, ...known] = (await sentinels[0]!.ask('SENTINEL', 'SENTINELS', WATCHED)) as unknown[];
      return known.length === SENTINELS - 2;
    }, 'the Sentinels to know each other');
    return new ChaosSentinels(draw, [primary, replica], sentinels);
  }

  private constructor(draw: Chance, pair: readonly RedisServer[], sentinels: readonly RedisServer[]) {
    super(draw);
    this.#pair = pair;
    this.#sentinels = sentinels;
  }

  get title(): string {
    return `${this.#pair[0]!.program.name}, a pair with ${SENTINELS} Sentinels`;
  }

  get url(): string {
    const hosts = this.#sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
    return `redis://${hosts}?sentinel=${WATCHED}`;
  }

  get injuries(): [string, () => unknown][] {
    return [
      ['primary killed', () => this.#failOver('SIGKILL')],
      ['primary stopped', () => this.#failOver('SIGTERM')],
      ['primary asleep', () => this.alone(() => this.#sleep())],
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.heal();
    for (const server of [...this.#sentinels, ...this.#pair]) await server[Symbol.asyncDispose]();
  }

  /** The one that was killed comes back as a replica, which Sentinels make it. */
  #failOver(how: 'SIGTERM' | 'SIGKILL'): void {
    this.alone(async () => {
      const port = await this.#primary();
      const primary = this.#pair.find(each => each.port === port)!;
      await primary.stop(how);
      await until(async () => (await this.#primary()) !== port, 'the replica to take over', undefined, 100);
      await primary.launch();
      await until(async () => isFollowing(primary), 'the old primary to follow', undefined, 100);
    });
  }

  async #sleep(): Promise<void> {
    const port = await this.#primary();
    const primary = this.#pair.find(each => each.port === port)!;
    await primary.ask('DEBUG', 'SLEEP', below(this.draw, SLEEP_SECONDS_MAX * 10) / 10);
  }

  async #primary(): Promise<number> {
    const sentinel = this.#sentinels[0]!;
    const found = (await sentinel.ask('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', WATCHED)) as string[];
    return Number(found[1]);
  }
}

async function startSentinel(program: RedisProgram, port: number): Promise<RedisServer> {
  return RedisServer.start({
    program,
    mode: ['--sentinel'],
    file: [
      `sentinel monitor ${WATCHED} 127.0.0.1 ${port} 2`,
      `sentinel down-after-milliseconds ${WATCHED} 1000`,
      `sentinel failover-timeout ${WATCHED} 5000`,
    ],
  });
}

/** Makes one the replica of another, and waits until it has what that one has. */
export async function followPrimary(replica: RedisServer, port: number): Promise<void> {
  await replica.ask('REPLICAOF', '127.0.0.1', port);
  await until(() => isFollowing(replica), 'the replica to follow');
}

async function isFollowing(replica: RedisServer): Promise<boolean> {
  return String(await replica.ask('INFO', 'replication')).includes('master_link_status:up');
}

function theProgram(): RedisProgram {
  const [program] = installedRedis();
  if (program === undefined) throw new Error(String(noRedis));
  return program;
}
