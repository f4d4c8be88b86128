/** A Redis Cluster on this machine: masters that have a third of the slots each, and a replica for each. */
import { freePort } from './ports.ts';
import { type RedisProgram, RedisServer } from './redis-server.ts';
import { until } from './until.ts';

const MASTERS = 3;
const SLOTS = 16_384;

export class RedisCluster implements AsyncDisposable {
  readonly masters: readonly RedisServer[];
  readonly replicas: readonly RedisServer[];

  static async start(program: RedisProgram): Promise<RedisCluster> {
    const node = async (): Promise<RedisServer> =>
      RedisServer.start({
        program,
        settings: {
          'cluster-enabled': 'yes',
          'cluster-port': String(await freePort()),
          'cluster-node-timeout': '3000',
          'cluster-replica-validity-factor': '0',
          appendonly: 'yes',
        },
      });
    const nodes: RedisServer[] = [];
    for (let n = 0; n < MASTERS * 2; n++) nodes.push(await node());
    const cluster = new RedisCluster(nodes.slice(0, MASTERS), nodes.slice(MASTERS));
    await cluster.#join();
    return cluster;
  }

  private constructor(masters: readonly RedisServer[], replicas: readonly RedisServer[]) {
    this.masters = masters;
    this.replicas = replicas;
  }

  url(parameters: string): string {
    return `redis://${this.masters.map(({ port }) => `127.0.0.1:${port}`).join(',')}?${parameters}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of [...this.masters, ...this.replicas]) await node[Symbol.asyncDispose]();
  }

  async #join(): Promise<void> {
    const all = [...this.masters, ...this.replicas];
    for (const [at, master] of this.masters.entries()) {
      const [from, to] = [at, at + 1].map(part => Math.floor((SLOTS * part) / MASTERS));
      await master.ask('CLUSTER', 'ADDSLOTSRANGE', from!, to! - 1);
      await master.ask('CLUSTER', 'SET-CONFIG-EPOCH', at + 1);
    }
    for (const node of all.slice(1)) {
      const [, bus] = (await node.ask('CONFIG', 'GET', 'cluster-port')) as string[];
      await all[0]!.ask('CLUSTER', 'MEET', '127.0.0.1', node.port, bus!);
    }
    await until(async () => {
      const infos = await Promise.all(all.map(node => node.ask('CLUSTER', 'INFO')));
      return infos.every(info => String(info).includes(`cluster_known_nodes:${all.length}`));
    }, 'the nodes to know each other');
    for (const [at, replica] of this.replicas.entries()) {
      const id = String(await this.masters[at]!.ask('CLUSTER', 'MYID'));
      await until(
        () =>
          replica.ask('CLUSTER', 'REPLICATE', id).then(
            () => true,
            () => false,
          ),
        'a replica to follow',
      );
    }
    await until(async () => {
      const infos = await Promise.all(all.map(node => node.ask('CLUSTER', 'INFO')));
      const links = await Promise.all(this.replicas.map(node => node.ask('INFO', 'replication')));
      return (
        infos.every(info => String(info).includes('cluster_state:ok')) &&
        links.every(link => String(link).includes('master_link_status:up'))
      );
    }, 'the cluster to be ready');
  }
}
