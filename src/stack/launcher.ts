/**
 * The whole stack on one machine: HAProxy, three backends and, unless real ones are named, two simulated
 * processors. All start at once; what dies is started again; nothing outlives the launcher.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { UnusableSetting } from '../settings/grammar.ts';
import { type Command, type End, MISCONFIGURED, SupervisedProcess } from './child.ts';
import { backendCommand, processorsCommand, proxyCommand, socketPath } from './commands.ts';
import { accepts, healthyInstance, portProblem, type ServiceAddress } from './ready.ts';
import { readSettings, type Settings } from './settings.ts';

const BACKENDS = ['backend-1', 'backend-2', 'backend-3'] as const;

const POLL_MS = 10;
/** A port that another stack is just leaving gets this long to become free. */
const PORT_PATIENCE_MS = 1_000;
const READY_PATIENCE_MS = 15_000;
/** Longer than a backend takes to let its answers out and to end or park its attempts. */
const BACKEND_GRACE_MS = 10_000;
/** Longer than `hard-stop-after` of the proxy's configuration. */
const PROXY_GRACE_MS = 3_000;
/** One Ctrl-C under npm arrives twice; what comes later means it. */
const SAME_SIGNAL_MS = 1_000;

const say = (line: string): void => console.log(`soquete: ${line}`);
const complain = (line: string): void => console.error(`soquete: ${line}`);

/** Starts the stack and says when it is ready. Throws `UnusableSetting` when it cannot start. */
async function launch(env: NodeJS.ProcessEnv): Promise<void> {
  const startedAt = performance.now();
  const settings = readSettings(env);
  await findPortsFree(settings);
  await clearRunDirectory(settings);
  if (settings.haproxy === undefined && settings.proxy !== 'none') {
    say(
      'HAProxy is not installed (Debian: apt-get install haproxy, macOS: brew install haproxy), so the kernel',
    );
    say('spreads connections over the backends: SO_REUSEPORT');
  }
  const stack = new Stack(settings, env);
  await stack.ready();
  if (!stack.stopping) sayReady(settings, performance.now() - startedAt);
}

class Stack {
  stopping = false;
  readonly #settings: Settings;
  readonly #proxies: SupervisedProcess[] = [];
  readonly #commands: readonly Command[];
  readonly #backends: readonly SupervisedProcess[];
  readonly #processors: SupervisedProcess[] = [];
  #isReady = false;
  #stopAskedAt = 0;

  constructor(settings: Settings, env: NodeJS.ProcessEnv) {
    this.#settings = settings;
    const start = (command: Command): SupervisedProcess =>
      new SupervisedProcess(command, (end, pauseMs) => this.#onEnd(end, pauseMs));
    this.#commands = BACKENDS.map(name => backendCommand(name, settings, env));
    this.#backends = this.#commands.map(start);
    if (settings.haproxy !== undefined)
      this.#proxies.push(start(proxyCommand(settings.haproxy, settings, env)));
    const processors = processorsCommand(settings, env);
    if (processors !== undefined) this.#processors.push(start(processors));
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => this.#onSignal());
    }
    watchNpm(() => void this.stop(0));
  }

  /** Waits until every part answers; says which do not when that takes long. */
  async ready(): Promise<void> {
    const { port, haproxy, simulated } = this.#settings;
    const front = { host: '127.0.0.1', port };
    const waits: [string, () => Promise<boolean>][] = [];
    if (haproxy === undefined) {
      // Who answers on a shared port is the kernel's choice, so ask until each backend has answered.
      const seen = new Set<string | undefined>();
      for (const name of BACKENDS) {
        waits.push([name, async () => seen.add(await healthyInstance(front)).has(name)]);
      }
    } else {
      for (const name of BACKENDS) {
        const address = { socketPath: socketPath(name, this.#settings) };
        waits.push([name, async () => (await healthyInstance(address)) !== undefined]);
      }
      waits.push(['HAProxy', async () => (await healthyInstance(front)) !== undefined]);
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
      console.error(lastWords.at(-1) ?? `soquete: ${name} cannot use its settings`);
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

async function findPortsFree({ port, statsPort, haproxy, simulated }: Settings): Promise<void> {
  const wanted: [variable: string, host: string, port: number | undefined][] = [
    ['PORT', '0.0.0.0', port],
    ['STATS_PORT', '127.0.0.1', haproxy === undefined ? undefined : statsPort],
    ['PROCESSOR_DEFAULT_PORT', '127.0.0.1', simulated.default],
    ['PROCESSOR_FALLBACK_PORT', '127.0.0.1', simulated.fallback],
  ];
  const deadline = performance.now() + PORT_PATIENCE_MS;
  await Promise.all(
    wanted.map(async ([variable, host, wantedPort]) => {
      if (wantedPort === undefined) return;
      let problem = await portProblem(host, wantedPort);
      while (problem !== undefined && performance.now() < deadline) {
        await pause(POLL_MS * 5);
        problem = await portProblem(host, wantedPort);
      }
      if (problem === undefined) return;
      throw new UnusableSetting(
        `port ${wantedPort} ${problem}: end what listens there, or choose another with ${variable}=`,
      );
    }),
  );
}

/** Removes the sockets that a crash left behind, never one that still answers. */
async function clearRunDirectory(settings: Settings): Promise<void> {
  mkdirSync(settings.runDir, { recursive: true });
  for (const name of BACKENDS) {
    const path = socketPath(name, settings);
    if (await accepts({ socketPath: path })) {
      throw new UnusableSetting(
        `${path} is served by another stack: end that one, or choose another folder with RUN_DIR=`,
      );
    }
    rmSync(path, { force: true });
  }
}

/** npm cannot tell its script that it was killed: the script sees that it has another parent. */
function watchNpm(onGone: () => void): void {
  const parent = process.ppid;
  if (process.env['npm_lifecycle_event'] !== 'start') return;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, 200);
  timer.unref();
}

function sayReady({ port, statsPort, haproxy, proxy, simulated }: Settings, tookMs: number): void {
  const front = haproxy === undefined ? 'a shared port' : `HAProxy in ${proxy.toUpperCase()} mode`;
  const ports = Object.values(simulated).filter(processorPort => processorPort !== undefined);
  const processors = ports.length === 0 ? '' : `, simulated processors on ${ports.join(' and ')}`;
  const stats =
    haproxy === undefined || statsPort === undefined ? '' : `, statistics on http://127.0.0.1:${statsPort}`;
  say(
    `ready on http://localhost:${port} in ${Math.round(tookMs)} ms (${front}, ${BACKENDS.length} backends${processors}${stats})`,
  );
  const id = randomUUID();
  console.log(`
  Watch it, and break it, in a browser: http://localhost:${port}

  curl -i localhost:${port}/payments -d '{"correlationId":"${id}","amount":19.90}'
  curl localhost:${port}/payments/${id}
  curl localhost:${port}/payments-summary
  curl localhost:${port}/health
`);
}

const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

try {
  await launch(process.env);
} catch (error) {
  if (!(error instanceof UnusableSetting)) throw error;
  complain(error.message);
  process.exit(1);
}
