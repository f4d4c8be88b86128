/**
 * The whole stack on one machine: HAProxy, three backends and, unless real ones are named, two simulated
 * processors. All start at once; what dies is started again; nothing outlives the launcher.
 */
import { randomUUID } from 'node:crypto';
import { isatty } from 'node:tty';
import { UnusableSetting } from '../settings/grammar.ts';
import { type Command, type End, MISCONFIGURED, SupervisedProcess } from './child.ts';
import { backendCommand, inUrl, processorsCommand, proxyCommand, socketPath } from './commands.ts';
import { checkBackends, clearRunDirectory, findPortsFree } from './prepare.ts';
import { accepts, healthyInstance, type ServiceAddress } from './ready.ts';
import { readSettings, type Settings } from './settings.ts';

const POLL_MS = 10;
const READY_PATIENCE_MS = 15_000;
/** Longer than a backend takes to let its answers out and to end or park its attempts. */
const BACKEND_GRACE_MS = 10_000;
/** Longer than `hard-stop-after` of the proxy's configuration. */
const PROXY_GRACE_MS = 3_000;
/**
 * Of two stacks that start at once on one store, that one gives up whose first backend finds its name taken.
 * The other one's backends come by their names once that has stopped: longer than a stack takes for that.
 */
const NAMES_PATIENCE_MS = 15_000;
/** A child that has ended so often before all were ready will not come up. */
const ENDS_BEFORE_READY_MAX = 5;
/** One Ctrl-C under npm arrives twice; what comes later means it. */
const SAME_SIGNAL_MS = 1_000;

/** Whose closing ends us, as it ends what else runs there. */
const IS_IN_TERMINAL = [0, 1, 2].some(descriptor => isatty(descriptor));
/** A terminal that is closed tells npm first, perhaps. */
const HANG_UP_MS = 500;

const say = (line: string): void => console.log(`soquete: ${line}`);
const complain = (line: string): void => console.error(`soquete: ${line}`);

/** Starts the stack and says when it is ready. Throws `UnusableSetting` when it cannot start. */
async function launch(env: NodeJS.ProcessEnv): Promise<void> {
  const startedAt = performance.now();
  const wanted = readSettings(env);
  checkBackends(wanted, env);
  const settings = { ...wanted, hosts: await findPortsFree(wanted) };
  await clearRunDirectory(settings);
  warnOfLimits(settings);
  if (settings.haproxy === undefined && settings.proxy !== 'none') {
    say(
      'HAProxy is not installed (Debian: apt-get install haproxy, macOS: brew install haproxy), so the kernel',
    );
    say('spreads connections over the backends: SO_REUSEPORT');
  }
  const stack = new Stack(settings, env);
  await stack.ready();
  if (!stack.stopping) sayReady(settings, env, performance.now() - startedAt);
}

class Stack {
  stopping = false;
  readonly #settings: Settings;
  readonly #proxies: SupervisedProcess[] = [];
  readonly #commands: readonly Command[];
  readonly #backends: readonly SupervisedProcess[];
  readonly #processors: SupervisedProcess[] = [];
  #isReady = false;
  readonly #startedAt = performance.now();
  /** The terminal was closed, of which we are to be independent: `nohup`, which Node.js does not inherit. */
  #isHungUp = false;
  readonly #endsBeforeReady = new Map<string, number>();
  #stopAskedAt = 0;

  constructor(settings: Settings, env: NodeJS.ProcessEnv) {
    this.#settings = settings;
    const start = (command: Command): SupervisedProcess =>
      new SupervisedProcess(command, (end, pauseMs) => this.#onEnd(end, pauseMs));
    this.#commands = settings.backends.map(name => backendCommand(name, settings, env));
    this.#backends = this.#commands.map(start);
    if (settings.haproxy !== undefined)
      this.#proxies.push(start(proxyCommand(settings.haproxy, settings, env)));
    const processors = processorsCommand(settings, env);
    if (processors !== undefined) this.#processors.push(start(processors));
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => this.#onSignal());
    process.on('SIGHUP', () => {
      if (IS_IN_TERMINAL) this.#onSignal();
      else this.#isHungUp = true;
    });
    watchNpm(() => {
      if (!this.#isHungUp) void this.stop(0);
    });
  }

  /** Waits until every part answers; says which do not when that takes long. */
  async ready(): Promise<void> {
    const { backends, hosts, port, haproxy, proxyProtocol, simulated } = this.#settings;
    const front = { host: reachable(hosts[0]!), port };
    const waits: [string, () => Promise<boolean>][] = [];
    if (haproxy === undefined) {
      // Who answers on a shared port is the kernel's choice, so ask until each backend has answered.
      const seen = new Set<string | undefined>();
      for (const name of backends) {
        const instance = `${this.#settings.instancePrefix}${name}`;
        waits.push([name, async () => seen.add(await healthyInstance(front)).has(instance)]);
      }
    } else {
      for (const name of backends) {
        const address = { socketPath: socketPath(name, this.#settings) };
        waits.push([name, async () => (await healthyInstance(address)) !== undefined]);
      }
      waits.push([
        'HAProxy',
        // It may want the PROXY protocol, even from us.
        async () => (proxyProtocol ? accepts(front) : (await healthyInstance(front)) !== undefined),
      ]);
    }
    for (const processorPort of Object.values(simulated)) {
      if (processorPort === undefined) continue;
      const address: ServiceAddress = { host: '127.0.0.1', port: processorPort };
      waits.push([`the processor on ${processorPort}`, () => accepts(address)]);
    }
    await Promise.all(waits.map(([name, check]) => this.#until(name, check)));
    this.#isReady = true;
    // A backend that starts again must not take an empty directory, from which the disk is missing, for a new
    // store.
    for (const { env } of this.#commands) env['SOQUETE_STORE_EXISTS'] = '1';
  }

  /** Stops everything, the proxy first so that nothing new comes in, and ends the launcher. */
  async stop(status: number): Promise<void> {
    if (this.stopping) return;
    this.stopping = true;
    const all = (children: readonly SupervisedProcess[], graceMs: number): Promise<unknown> =>
      Promise.all(children.map(child => child.stop(graceMs)));
    await all(this.#proxies, PROXY_GRACE_MS);
    await all(this.#backends, BACKEND_GRACE_MS);
    await all(this.#processors, PROXY_GRACE_MS);
    process.exit(status);
  }

  async #until(name: string, check: () => Promise<boolean>): Promise<void> {
    const late = setTimeout(() => complain(`${name} does not answer yet`), READY_PATIENCE_MS);
    while (!this.stopping && !(await check())) await pause(POLL_MS);
    clearTimeout(late);
  }

  #onEnd({ name, how, status, lastWords }: End, pauseMs: number): void {
    if (this.stopping) return;
    // What it was given could be used when the stack came up: then it is started until that is so again.
    if (status === MISCONFIGURED && !this.#isReady) {
      if (name !== this.#settings.backends[0] && performance.now() - this.#startedAt < NAMES_PATIENCE_MS)
        return;
      const reason = lastWords.find(line => line.startsWith('soquete: ')) ?? lastWords[0];
      console.error(reason ?? `soquete: ${name} cannot use its settings`);
      void this.stop(MISCONFIGURED);
      return;
    }
    for (const line of lastWords) complain(`${name}: ${line}`);
    // A proxy that never came up has a configuration or a port that it cannot use, and says so.
    if (!this.#isReady && this.#proxies.some(proxy => proxy.name === name)) {
      complain(`${name} ended ${how} before it was ready`);
      void this.stop(1);
      return;
    }
    const ends = (this.#endsBeforeReady.get(name) ?? 0) + 1;
    this.#endsBeforeReady.set(name, ends);
    if (!this.#isReady && ends === ENDS_BEFORE_READY_MAX) {
      complain(`${name} ended ${how}, ${ends} times before it was ready: it is not started again`);
      void this.stop(MISCONFIGURED);
      return;
    }
    complain(`${name} ended ${how}; it starts again ${pauseMs === 0 ? 'at once' : `in ${pauseMs} ms`}`);
  }

  #onSignal(): void {
    const now = performance.now();
    if (!this.stopping) {
      this.#stopAskedAt = now;
      void this.stop(0);
    } else if (now - this.#stopAskedAt > SAME_SIGNAL_MS) {
      for (const child of [...this.#proxies, ...this.#backends, ...this.#processors]) child.kill();
    }
  }
}

/** npm cannot tell its script that it was killed: the script sees that it has another parent. */
function watchNpm(onGone: () => void): void {
  const parent = process.ppid;
  if (process.env['npm_lifecycle_event'] !== 'start') return;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    setTimeout(onGone, IS_IN_TERMINAL ? 0 : HANG_UP_MS);
  }, 200);
  timer.unref();
}

/**
 * Small limits of the system make small limits of ours: said once, so that nobody looks for them elsewhere.
 */
function warnOfLimits({ haproxy, limits }: Settings): void {
  const { descriptors, maxconn, connections } = limits;
  if (haproxy === undefined || maxconn > connections) return;
  say(
    `this user may open ${descriptors} files a process (ulimit -n), so at most ${maxconn} connections are served at once, and others wait; one address can take all of them`,
  );
}

/** Where to reach what listens on an address. */
const reachable = (host: string): string => (host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host);

function sayReady(settings: Settings, env: NodeJS.ProcessEnv, tookMs: number): void {
  const { backends, hosts, port, statsPort, haproxy, proxy, simulated, tls } = settings;
  const front = haproxy === undefined ? 'a shared port' : `HAProxy in ${proxy.toUpperCase()} mode`;
  const ports = Object.values(simulated).filter(processorPort => processorPort !== undefined);
  const processors = ports.length === 0 ? '' : `, simulated processors on ${ports.join(' and ')}`;
  const stats =
    haproxy === undefined || statsPort === undefined ? '' : `, statistics on http://127.0.0.1:${statsPort}`;
  const host = reachable(hosts[0]!);
  const url = `${host === '127.0.0.1' ? 'localhost' : inUrl(host)}:${port}`;
  const open = hosts.some(each => each === '0.0.0.0' || each === '::') ? ', open to other machines' : '';
  const backendCount = backends.length === 1 ? '1 backend' : `${backends.length} backends`;
  const secure = tls === undefined ? '' : `, TLS on ${tls.port}`;
  say(
    `ready on http://${url} in ${Math.round(tookMs)} ms (${front}${secure}${open}, ${backendCount}${processors}${stats})`,
  );
  const id = randomUUID();
  console.log(`
  ${howToWatch(settings, env, `http://${url}`)}

  curl -i ${url}/payments -d '{"correlationId":"${id}","amount":19.90}'
  curl ${url}/payments/${id}
  curl ${url}/payments-summary
  curl ${url}/health
`);
}

function howToWatch({ haproxy, proxy, simulated }: Settings, env: NodeJS.ProcessEnv, url: string): string {
  const hasToken = Boolean(env['OPS_TOKEN'] || env['OPS_TOKEN_FILE']);
  if (haproxy !== undefined && proxy === 'tcp' && !hasToken)
    return 'In TCP mode no address of a client is known: set OPS_TOKEN to watch it in a browser';
  const canBreak = simulated.default !== undefined && simulated.fallback !== undefined;
  const how = hasToken ? ' (any user, OPS_TOKEN as the password)' : '';
  return `Watch it${canBreak ? ', and break it,' : ''} in a browser${how}: ${url}`;
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

try {
  await launch(process.env);
} catch (error) {
  if (!(error instanceof UnusableSetting)) throw error;
  complain(error.message);
  process.exit(MISCONFIGURED);
}
