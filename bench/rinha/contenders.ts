/** What can be played to: soquete in several forms, and rivals. Each comes with processors of its own. */
import { accepts } from '../../src/stack/ready.ts';
import { simulatedProcessors } from '../../src/testing/backends.ts';
import { ChildProcesses, untilReady } from '../../src/testing/processes.ts';
import { startStack } from '../../src/testing/stack.ts';
import { constantProxy } from '../tools/proxy.ts';
import type { WatchedProcesses } from '../tools/thread-usage.ts';
import type { Endpoints } from './auditor.ts';
import { startContainers } from './containers.ts';
import { startLimitedStack } from './limited-stack.ts';

export interface RinhaContender extends AsyncDisposable {
  readonly name: string;
  readonly places: Endpoints;
  /** What it used, where that is limited; to be asked once the script has ended. */
  readonly usage?: () => string;
  /** Its processes, where they are known. */
  readonly processes?: readonly WatchedProcesses[];
}

/** A rival is served here, as the challenge asks. */
const RIVAL_PORT = 9999;
/** It may have to be built first. */
const RIVAL_READY_MS = 300_000;

/** As `npm start` starts it. */
export async function unlimitedSoquete(env: NodeJS.ProcessEnv): Promise<RinhaContender> {
  const stack = await startStack({ env });
  const [byDefault, byFallback] = stack.processorUrls;
  return {
    name: 'soquete',
    places: { url: stack.url, processors: { default: byDefault, fallback: byFallback } },
    processes: [
      { name: 'backends', pids: stack.pids('backends') },
      { name: 'HAProxy', pids: stack.pids('proxy') },
    ],
    [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
  };
}

/** Within the limits of docker-compose.yml, by control groups. */
export async function limitedSoquete(env: NodeJS.ProcessEnv): Promise<RinhaContender> {
  const children = new ChildProcesses();
  const processors = await simulatedProcessors(children);
  const stack = await startLimitedStack(children, processors, env);
  return {
    name: 'soquete, limited',
    places: { url: stack.url, processors: named(processors.urls) },
    usage: stack.usage,
    async [Symbol.asyncDispose]() {
      await children[Symbol.asyncDispose]();
      await stack[Symbol.asyncDispose]();
    },
  };
}

/** The same with Docker. */
export async function containedSoquete(): Promise<RinhaContender> {
  const containers = await startContainers();
  return {
    name: 'soquete, containers',
    places: containers.places,
    usage: () => `memory           ${containers.usage().join('\n                 ')}`,
    [Symbol.asyncDispose]: () => containers[Symbol.asyncDispose](),
  };
}

/** HAProxy alone, which takes every payment and settles none: nobody behind it can be faster. */
export async function constantAnswer(): Promise<RinhaContender> {
  const children = new ChildProcesses();
  const { urls } = await simulatedProcessors(children);
  const { port } = await constantProxy(children);
  return {
    name: 'constant answer',
    places: { url: `http://127.0.0.1:${port}`, processors: named(urls) },
    [Symbol.asyncDispose]: () => children[Symbol.asyncDispose](),
  };
}

/**
 * Another entry: a command of the shell that serves port 9999 and prints `ready`, in whose environment are
 * PROCESSOR_DEFAULT_URL and PROCESSOR_FALLBACK_URL. It is ended by SIGTERM.
 */
export async function rival(command: string): Promise<RinhaContender> {
  const children = new ChildProcesses();
  const { urls } = await simulatedProcessors(children);
  const [byDefault, byFallback] = urls;
  const child = children.spawn('rival', 'sh', ['-c', `exec ${command}`], {
    PORT: String(RIVAL_PORT),
    PROCESSOR_DEFAULT_URL: byDefault,
    PROCESSOR_FALLBACK_URL: byFallback,
  });
  const address = { host: '127.0.0.1', port: RIVAL_PORT };
  const isReady = async (): Promise<boolean> => /ready/i.test(child.said()) && (await accepts(address));
  try {
    await untilReady(child, isReady, RIVAL_READY_MS);
  } catch (error) {
    await children[Symbol.asyncDispose]();
    throw error;
  }
  return {
    name: command.slice(0, 40),
    places: { url: `http://127.0.0.1:${RIVAL_PORT}`, processors: named(urls) },
    [Symbol.asyncDispose]: () => children[Symbol.asyncDispose](),
  };
}

const named = ([byDefault, byFallback]: readonly [string, string]): Endpoints['processors'] => ({
  default: byDefault,
  fallback: byFallback,
});
