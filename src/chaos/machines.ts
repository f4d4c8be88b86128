/**
 * Machines that share nothing but cables: each is a network namespace with an interface for every switch that
 * it is plugged into. A switch is a bridge in the namespace of the program itself, which reaches all of them.
 *
 *     program ── front 10.77.1.1 ──┬── one 10.77.1.11     program ── data 10.77.2.1 ──┬── one 10.77.2.11
 *                                  └── two 10.77.1.12                                 └── primary 10.77.2.21
 *
 * A cable that is pulled leaves silence: no reset, no refusal, and an interface that seems to be up.
 *
 * The program runs itself again in namespaces of network, mounts and processes of its own. The kernel removes
 * them with everything in them when that process ends, however it ends, so nothing has to be tidied up.
 */
import { execFileSync, spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { type ChildProcesses, program } from '../testing/processes.ts';
import { until } from '../testing/until.ts';

/** What a process finds in its environment that runs in namespaces of its own. */
const INSIDE = 'SOQUETE_OWN_NAMESPACES';
const OWN_NAMESPACES = ['--net', '--mount', '--pid', '--fork', '--mount-proc', '--kill-child=SIGTERM'];

/** Why there can be no such machines here; undefined: there can. */
export const noMachines = whyNot();

/** By number: part of the addresses. */
const SWITCHES = { front: 1, data: 2, outer: 3 } as const;
export type Switch = keyof typeof SWITCHES;

const addressOf = (where: Switch, number: number): string => `10.77.${SWITCHES[where]}.${number}`;
/** Of the program, at each switch. */
export const ownAddress = (where: Switch): string => addressOf(where, 1);

/**
 * Where this process has namespaces of its own, returns. Elsewhere it runs the same command again in new
 * ones, and ends as that does; a signal that ends this process ends that one as well.
 */
export async function inOwnNamespaces(): Promise<void> {
  if (process.env[INSIDE] !== undefined) return;
  const again = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  // Whoever kills this process leaves it no time to end others: the kernel does it.
  const args = ['--pdeathsig', 'KILL', 'unshare', ...OWN_NAMESPACES, ...again];
  const inside = spawn('setpriv', args, { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } });
  // From the keyboard both get it; the one inside tidies up and ends, and then `unshare`.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => inside.kill('SIGKILL'));
  const status = await new Promise<number>(resolve => inside.once('close', code => resolve(code ?? 130)));
  process.exit(status);
}

export class Machine {
  readonly name: string;
  /** A command that runs the one behind it on this machine. */
  readonly under: readonly string[];
  readonly #number: number;

  /** Plugged into these switches as the machine `number`, from 2. */
  static async start(
    children: ChildProcesses,
    name: string,
    number: number,
    switches: readonly Switch[],
  ): Promise<Machine> {
    const holder = children.spawn(name, 'unshare', ['--net', 'sleep', 'infinity']);
    const namespace = `/proc/${holder.pid}/ns/net`;
    const own = readlinkSync('/proc/self/ns/net');
    await until(() => readlinkSync(namespace) !== own, `${name} to have a network`);
    const machine = new Machine(name, number, ['nsenter', `--net=${namespace}`]);
    machine.#run('link', 'set', 'lo', 'up');
    for (const each of switches) {
      ip('link', 'add', machine.#cable(each), 'type', 'veth', 'peer', 'name', each, 'netns', `${holder.pid}`);
      ip('link', 'set', machine.#cable(each), 'up');
      machine.plug(each);
      machine.#run('address', 'add', `${machine.address(each)}/24`, 'dev', each);
      machine.#run('link', 'set', each, 'up');
    }
    return machine;
  }

  private constructor(name: string, number: number, under: readonly string[]) {
    this.name = name;
    this.#number = number;
    this.under = under;
  }

  address(where: Switch): string {
    return addressOf(where, this.#number);
  }

  plug(where: Switch): void {
    ip('link', 'set', this.#cable(where), 'master', where);
  }

  unplug(where: Switch): void {
    ip('link', 'set', this.#cable(where), 'nomaster');
  }

  /** How many bytes it has sent there. */
  sentBytes(where: Switch): number {
    const [link] = JSON.parse(ip('-json', '-statistics', 'link', 'show', this.#cable(where)));
    return link.stats64.rx.bytes;
  }

  /** The switch's end of its cable. */
  #cable(where: Switch): string {
    return `${this.name}-${where}`;
  }

  #run(...args: string[]): void {
    const [command, ...rest] = [...this.under, 'ip', ...args];
    execFileSync(command!, rest);
  }
}

/** Before the first machine. */
export function startSwitches(): void {
  ip('link', 'set', 'lo', 'up');
  for (const [name, number] of Object.entries(SWITCHES)) {
    ip('link', 'add', name, 'type', 'bridge');
    ip('address', 'add', `10.77.${number}.1/24`, 'dev', name);
    ip('link', 'set', name, 'up');
  }
}

function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

function whyNot(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0)
    return 'network namespaces take root on Linux';
  for (const name of ['ip', 'unshare', 'nsenter', 'setpriv', 'haproxy']) {
    if (program(name) === undefined) return `there is no ${name} (Debian: iproute2, util-linux, haproxy)`;
  }
  const bridge = ['ip', 'link', 'add', 'tried', 'type', 'bridge'];
  try {
    execFileSync('unshare', [...OWN_NAMESPACES, ...bridge], { stdio: 'pipe' });
    return undefined;
  } catch {
    return 'namespaces and bridges are not allowed here';
  }
}
