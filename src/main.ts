/**
 * One backend: reads its settings, puts the parts together, joins the others, listens, and stops in good
 * order.
 */

import { createPages } from './dashboard/pages.ts';
import { sourceOf } from './dashboard/source.ts';
import { routes } from './http/routes.ts';
import { Server } from './http/server.ts';
import { Instance } from './payments/instance.ts';
import { letCompilersGiveWay } from './priority.ts';
import { CircuitBreaker } from './processors/circuit-breaker.ts';
import { UndiciClient } from './processors/undici-client.ts';
import { type Config, readConfig } from './settings/backend.ts';
import { UnusableSetting } from './settings/grammar.ts';
import { FileLog } from './storage/embedded/file-log.ts';
import { SharedDirectoryFeed } from './storage/embedded/shared-directory-feed.ts';
import { openSqliteStore, type ThreadOptions } from './storage/embedded/sqlite/thread-client.ts';
import type { Inspection } from './storage/inspection.ts';
import { type Reopening, type Store, StoreOpenError } from './storage/ports.ts';
import { systemClock } from './system-clock.ts';
import { createLogger, type Logger } from './telemetry/logger.ts';
import { Telemetry } from './telemetry/telemetry.ts';

/** EX_CONFIG of sysexits.h: starting again will not help, so a launcher should not try. */
const EXIT_CONFIG = 78;

/** Requests on their way get this long to be answered when the backend stops. */
const DRAIN_MS = 1500;

/** A store that has been there is looked for again so often. */
const STORE_AGAIN_MS = 500;

/** What to do when the launcher is gone. */
let stop = (): unknown => process.exit(0);

async function main(): Promise<void> {
  letCompilersGiveWay();
  // A launcher that dies, however it dies, closes this pipe.
  if (process.env['SOQUETE_PARENT_PIPE'] === '1') process.stdin.on('end', () => stop()).resume();
  const config = readConfig(process.env);
  const logger = createLogger(config.logLevel, config.instance);
  const store = await openStore(config, logger);
  const backend = createBackend(config, store, logger);
  const { instance, telemetry } = backend;
  await instance.start();
  const source = sourceOf({ clock: systemClock, instance, telemetry, inspection: store, config });
  const server = new Server({
    handler: routes({ payments: instance, allowPurge: config.allowPurge, ...createPages(source) }),
    commit: () => instance.commit(),
    observer: telemetry.figures,
    // Without a proxy in front, the kernel spreads connections over the backends that share a port.
    reusePort: config.listen.is === 'tcp',
  });
  await server.listen(config.listen.is === 'unix' ? { path: config.listen.path } : config.listen);
  logger.info({ listen: config.listen }, 'ready');
  stopOnSignal(server, backend, logger);
}

interface Backend {
  readonly instance: Instance;
  readonly telemetry: Telemetry;
  readonly processors: UndiciClient;
}

function createBackend(config: Config, store: Store & Inspection & Reopening, logger: Logger): Backend {
  const { instance: name, storeDirectory, processorUrls: urls, ackAfter, adminToken } = config;
  const breakers = [new CircuitBreaker(), new CircuitBreaker()] as const;
  const telemetry = new Telemetry({
    instance: name,
    logger,
    clock: systemClock,
    breakers,
    storeDirectory,
    session: () => instance.session,
    reasons: () => instance.readiness().reasons,
    books:
      adminToken === undefined
        ? undefined
        : {
            urls,
            token: adminToken,
            fromMs: config.auditFromMs,
            summary: (fromMs, toMs) => instance.summary(fromMs, toMs),
          },
  });
  const processors = new UndiciClient({
    urls,
    attemptTimeoutMs: config.attemptTimeoutMs,
    connections: config.workerConcurrency,
  });
  telemetry.timed(store);
  const instance = new Instance({
    store,
    processors,
    breakers,
    clock: systemClock,
    chance: Math.random,
    policy: config,
    instance: name,
    ackAfter,
    openLog: joined => new FileLog(storeDirectory, name, joined, ackAfter === 'flush'),
    openFeed: events => new SharedDirectoryFeed(storeDirectory, name, events),
    queueCapacity: config.queueCapacity,
    concurrency: config.workerConcurrency,
    events: {
      ...telemetry.events,
      failed: error => {
        logger.fatal({ err: error }, 'an error that nothing expects: this process ends');
        process.exit(1);
      },
    },
  });
  return { instance, telemetry, processors };
}

/** Opens the store; waits for it if a launcher says that it has been there. Rejects with `StoreOpenError`. */
async function openStore(config: Config, logger: Logger): ReturnType<typeof openSqliteStore> {
  const durable = config.ackAfter === 'flush' ? 'power' : 'process';
  const options: ThreadOptions = { directory: config.storeDirectory, durable };
  if (process.env['SOQUETE_STORE_EXISTS'] !== '1') return openSqliteStore(options);
  for (let brokenTerm: 'unknown' | undefined; ; brokenTerm = 'unknown') {
    try {
      return await openSqliteStore({ ...options, mustExist: true, brokenTerm });
    } catch (error) {
      if (!(error instanceof StoreOpenError)) throw error;
      if (brokenTerm === undefined) logger.error({ error: error.message }, 'the store is waited for');
      await new Promise(resolve => setTimeout(resolve, STORE_AGAIN_MS));
    }
  }
}

function stopOnSignal(server: Server, { instance, telemetry, processors }: Backend, logger: Logger): void {
  let isStopping = false;
  stop = async (): Promise<void> => {
    if (isStopping) return;
    isStopping = true;
    instance.announceStop();
    await server.close(DRAIN_MS);
    await instance.stop();
    await processors.close();
    telemetry.close();
    logger.info('stopped');
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

try {
  await main();
} catch (error) {
  const expected = error instanceof UnusableSetting || error instanceof StoreOpenError;
  console.error(expected ? `soquete: ${error.message}` : error);
  process.exit(expected ? EXIT_CONFIG : 1);
}
