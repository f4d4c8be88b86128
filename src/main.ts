/**
 * One backend: reads its configuration, builds the parts, joins the others, listens, and stops in good order.
 */

import { Backend } from './backend.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { createPages } from './dashboard/pages.ts';
import { routes } from './http/routes.ts';
import { Server } from './http/server.ts';
import { letCompilersGiveWay } from './priority.ts';
import { StoreOpenError } from './storage/embedded/sqlite/open.ts';
import { openSqliteStore, type ThreadOptions } from './storage/embedded/sqlite/thread-client.ts';
import { createLogger, type Logger } from './telemetry/logger.ts';

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
  const backend = new Backend(config, store, logger);
  await backend.begin();
  const payments = backend.service;
  const server = new Server({
    handler: routes({ payments, allowPurge: config.allowPurge, ...createPages(backend.observed) }),
    commit: () => payments.commit(),
    observer: backend.observation.figures,
    // Without a proxy in front, the kernel spreads connections over the backends that share a port.
    reusePort: config.listen.is === 'tcp',
  });
  await server.listen(config.listen.is === 'unix' ? { path: config.listen.path } : config.listen);
  logger.info({ listen: config.listen }, 'ready');
  stopOnSignal(server, backend);
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

function stopOnSignal(server: Server, backend: Backend): void {
  let stopping = false;
  stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    backend.announceStop();
    await server.close(DRAIN_MS);
    await backend.stop();
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

try {
  await main();
} catch (error) {
  const expected = error instanceof ConfigError || error instanceof StoreOpenError;
  console.error(expected ? `soquete: ${error.message}` : error);
  process.exit(expected ? EXIT_CONFIG : 1);
}
