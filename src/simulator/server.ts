/**
 * The simulated payment processors, as a command:
 *
 *   node src/simulator/server.ts --default 8001 --fallback 8002 [--host 127.0.0.1]
 *
 * One of the two may be left out, to run each in a process of its own; with neither given, both run on 8001 and
 * 8002. The environment can say the same: `DEFAULT_PORT`, `FALLBACK_PORT`, `HOST`.
 */
import { parseArgs } from 'node:util';
import { PROCESSORS, type ProcessorIndex } from '../payments/payment.ts';
import { type ProcessorServer, serveProcessor } from './listener.ts';

interface Settings {
  /** By processor; undefined for one that is not to run. */
  readonly ports: readonly [string | undefined, string | undefined];
  readonly host: string;
}

function settings(): Settings {
  const { values } = parseArgs({
    options: { default: { type: 'string' }, fallback: { type: 'string' }, host: { type: 'string' } },
  });
  const { env } = process;
  const host = values.host ?? env['HOST'] ?? '127.0.0.1';
  const onDefault = values.default ?? env['DEFAULT_PORT'];
  const onFallback = values.fallback ?? env['FALLBACK_PORT'];
  const both = onDefault === undefined && onFallback === undefined;
  return { ports: both ? ['8001', '8002'] : [onDefault, onFallback], host };
}

async function start(which: ProcessorIndex, port: string, host: string): Promise<ProcessorServer> {
  const option = `--${PROCESSORS[which]}`;
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535)
    throw new Error(`${option} takes a port from 0 to 65535`);
  try {
    return await serveProcessor(which, Number(port), host);
  } catch (error) {
    throw new Error(
      `cannot listen on ${host} port ${port} (${(error as Error).message}); choose another with ${option}`,
    );
  }
}

async function main(): Promise<void> {
  // Nothing is worth keeping, so there is nothing to wind up.
  process.once('SIGTERM', () => process.exit(0));
  process.once('SIGINT', () => process.exit(0));
  const { ports, host } = settings();
  const ready: string[] = [];
  for (const [which, port] of ports.entries()) {
    if (port === undefined) continue;
    const { processor, url } = await start(which as ProcessorIndex, port, host);
    ready.push(`${processor.name} on ${url}`);
  }
  console.log(`simulated processors ready: ${ready.join(', ')}`);
}

main().catch((error: Error) => {
  console.error(`simulated processors: ${error.message}`);
  process.exit(1);
});
