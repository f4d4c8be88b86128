/**
 * One backend: reads its settings, takes its name and opens the store, puts the parts together, listens,
 * joins the others, serves, and stops in good order. Until it joins, a start that fails disturbs nobody.
 */

import { createPages } from './dashboard/pages.ts';
import { sourceOf } from './dashboard/source.ts';
import { askAfterMs } from './domain/settlement.ts';
import { isSystemError } from './domain/system-error.ts';
import { ConnectionLimits } from './http/connection-limits.ts';
import { connectionsMax } from './http/limits.ts';
import { OperationsDoor } from './http/operations-door.ts';
import { commitOf, routes } from './http/routes.ts';
import { Server } from './http/server.ts';
import type { StoreDisk } from './payments/disk-reserve.ts';
import { Instance } from './payments/instance.ts';
import { PinnedElsewhere, settleAddresses } from './payments/processor-addresses.ts';
import { letCompilersGiveWay } from './priority.ts';
import { memoryOfProcess } from './process-memory.ts';
import { CircuitBreaker } from './processors/circuit-breaker.ts';
import { processorUrl } from './processors/processor-url.ts';
import { UndiciClient } from './processors/undici-client.ts';
import { type Config, type Listen, readConfig } from './settings/backend.ts';
import { descriptorsMax } from './settings/descriptors.ts';
import { UnusableSetting } from './settings/grammar.ts';
import type { LogDamage } from './storage/embedded/damage.ts';
import { type OpenedStore, openStore } from './storage/open.ts';
import { NameTakenError, type StoreFault, StoreOpenError } from './storage/ports.ts';
import { systemClock } from './system-clock.ts';
import { DamageLog } from './telemetry/damage-log.ts';
import { createLogger, type Logger } from './telemetry/logger.ts';
import { Telemetry } from './telemetry/telemetry.ts';

/** EX_CONFIG of sysexits.h: starting again will not help, so a launcher should not try. */
const EXIT_CONFIG = 78;

/** Requests on their way get this long to be answered when the backend stops. */
const DRAIN_MS = 1500;

/** A store that has been there is looked for again so often. */
const STORE_AGAIN_MS = 500;

/**
 * What a backend opens beside the connections of its clients: files, pipes, connections to the processors.
 */
const OWN_DESCRIPTORS = 128;
/** With fewer for clients it is no use to start. */
const CLIENT_DESCRIPTORS_MIN = 32;

/** What to do when the launcher is gone. */
let stop = (): unknown => process.exit(0);

async function main(): Promise<void> {
  letCompilersGiveWay();
  // A launcher that dies, however it dies, closes this pipe.
  if (process.env['SOQUETE_PARENT_PIPE'] === '1') process.stdin.on('end', () => stop()).resume();
  const config = readConfig(process.env);
  const descriptors = descriptorsMax();
  if (descriptors < OWN_DESCRIPTORS + CLIENT_DESCRIPTORS_MIN)
    throw new UnusableSetting(
      `this user may open ${descriptors} files a process: allow ${OWN_DESCRIPTORS + CLIENT_DESCRIPTORS_MIN} or more (ulimit -n)`,
    );
  const logger = createLogger(config.logLevel, config.instance);
  const damage = new DamageLog(logger);
  const store = await openBackendStore(config, logger, damage);
  const backend = createBackend(config, store, logger, damage);
  const { instance, telemetry, processors } = backend;
  const source = sourceOf({ clock: systemClock, instance, telemetry, store, processors, config });
  const server = new Server({
    handler: routes({
      payments: instance,
      allowPurge: config.allowPurge,
      door: new OperationsDoor(config),
      survives: () => store.survives,
      ...createPages(source),
    }),
    commit: commitOf(instance),
    observer: telemetry.figures,
    isBehindProxy: config.clientAddress === 'forwarded',
    connectionsMax: Math.min(connectionsMax, descriptors - OWN_DESCRIPTORS),
    ...(config.listen.is === 'tcp' && config.clientAddress === 'socket' && { limits: limitsOf(config) }),
    // Without a proxy in front, the kernel spreads connections over the backends that share a port.
    reusePort: config.listen.is === 'tcp',
  });
  try {
    await listen(server, config.listen);
  } catch (error) {
    // Nothing of this start is left in the store.
    await new Promise(left => store.leave(left));
    throw error;
  }
  stopOnSignal(server, backend, logger);
  await instance.start();
  server.open();
  logger.info({ listen: config.listen, survives: store.survives }, 'ready');
}

const limitsOf = ({ limitConnections, limitExempt }: Config): ConnectionLimits =>
  new ConnectionLimits(limitConnections, address => limitExempt.has(address), systemClock.wallMs);

interface Backend {
  readonly instance: Instance;
  readonly telemetry: Telemetry;
  readonly processors: UndiciClient;
}

function createBackend(config: Config, store: OpenedStore, logger: Logger, damage: DamageLog): Backend {
  const { instance: name, processorUrls: urls, adminToken } = config;
  const breakers = [new CircuitBreaker(), new CircuitBreaker()] as const;
  const telemetry = new Telemetry({
    instance: name,
    logger,
    clock: systemClock,
    breakers,
    storeSize: () => store.size(),
    disk: () => instance.disk?.figures,
    damage,
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
    queueCapacity: config.queueCapacity,
    concurrency: config.workerConcurrency,
    askAfterMs: askAfterMs(config.attemptTimeoutMs),
    disk: diskOf(store, config),
    memory: memoryOfProcess(),
    joined: async () => {
      const held = await settleAddresses({
        store,
        urls: [processorUrl(urls[0]).identity, processorUrl(urls[1]).identity],
        mayHold: config.urlChangedHolds,
        nowMs: () => systemClock.wallMs(),
      });
      if (held > 0)
        logger.warn({ count: held }, 'payments are held that an earlier address of a processor may have');
    },
    events: {
      ...telemetry.events,
      failed: error => {
        if (isForOperator(error)) endUnusable(error);
        logger.fatal({ err: error }, 'an error that nothing expects: this process ends');
        process.exit(1);
      },
    },
  });
  return { instance, telemetry, processors };
}

/** What of the store's disk is kept free; undefined: nothing. */
function diskOf({ space }: OpenedStore, { diskReserveMb }: Config): StoreDisk | undefined {
  if (space === undefined || diskReserveMb === 0) return undefined;
  return { look: space, baseBytes: diskReserveMb && diskReserveMb * 2 ** 20 };
}

/**
 * Opens the store in our name; waits for it if a launcher says that it has been there. Rejects with
 * `StoreOpenError`.
 */
async function openBackendStore(
  config: Config,
  logger: Logger,
  damage: DamageLog,
): ReturnType<typeof openStore> {
  const options = {
    store: config.store,
    ackAfter: config.ackAfter,
    instance: config.instance,
    clock: systemClock,
    chance: Math.random,
    retention: config.retention,
    archiveDirectory: config.archiveDirectory,
    events: {
      notArchived: (detail: string) => logger.warn({ detail }, 'nothing is archived'),
      damaged: (found: LogDamage) => damage.found(found),
      notIndexed: ({ reason, detail }: StoreFault) =>
        logger.warn({ reason, detail }, 'the log is not indexed'),
    },
  };
  const mustExist = process.env['SOQUETE_STORE_EXISTS'] === '1';
  if (!mustExist) return openStore({ ...options, mustExist, isDiskDoubtful: false });
  for (let isDiskDoubtful = false; ; isDiskDoubtful = true) {
    try {
      return await openStore({ ...options, mustExist, isDiskDoubtful });
    } catch (error) {
      if (!(error instanceof StoreOpenError) || error instanceof NameTakenError) throw error;
      if (!isDiskDoubtful) logger.error({ error: error.message }, 'the store is waited for');
      await new Promise(resolve => setTimeout(resolve, STORE_AGAIN_MS));
    }
  }
}

/** Connections are taken from now on, and wait until we have joined. Rejects with `UnusableSetting`. */
async function listen(server: Server, where: Listen): Promise<void> {
  try {
    await server.listen(where.is === 'unix' ? { path: where.path } : where, { isHeld: true });
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const text = where.is === 'unix' ? `unix:${where.path}` : `tcp:${where.host}:${where.port}`;
    throw new UnusableSetting(
      `LISTEN=${text} cannot be used (${error.code}): ` +
        (error.code === 'EADDRINUSE'
          ? 'end what listens there, or choose another'
          : 'take a port that this user may use, or a path in a directory that it can write in'),
    );
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

/** Whether the message of an error is a line that says what to do. */
const isForOperator = (error: unknown): error is Error =>
  error instanceof UnusableSetting || error instanceof StoreOpenError || error instanceof PinnedElsewhere;

/** What to do about payments that an earlier address may have. */
function addressAdvice({ processor, before, count }: PinnedElsewhere): string {
  const variable = `PROCESSOR_${processor.toUpperCase()}_URL`;
  return (
    `${variable}: ${count} payments may be processed by ${before}, its address before: start with that one until they ` +
    'are settled, or with PROCESSOR_URL_CHANGED=hold, which holds them for an operator (docs/operating.md)'
  );
}

function endUnusable(error: Error): never {
  const message = error instanceof PinnedElsewhere ? addressAdvice(error) : error.message;
  console.error(`soquete: ${message}`);
  process.exit(EXIT_CONFIG);
}

try {
  await main();
} catch (error) {
  if (isForOperator(error)) endUnusable(error);
  console.error(error);
  process.exit(1);
}
