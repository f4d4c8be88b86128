/**
 * The simulated payment processors, as a command:
 *
 *   node src/processor-simulator/main.ts --default 8001 --fallback 8002
 *
 * One of the two may be left out, to run each in a process of its own; with neither given, both run.
 */

import { PROCESSORS, type ProcessorIndex } from '../domain/payment.ts';
import { option, readCommandLine } from '../settings/command-line.ts';
import { decimalNumber, portNumber, someText } from '../settings/grammar.ts';
import { type ProcessorServer, serveProcessor } from './listener.ts';

interface Settings {
  /** By processor; undefined for one that is not to run. */
  readonly ports: readonly [number | undefined, number | undefined];
  readonly host: string;
  /** Shares of the amount, by processor; undefined for the official service's. */
  readonly fees: readonly [number | undefined, number | undefined];
}

function settings(): Settings {
  const { values } = readCommandLine({
    name: 'simulated processors',
    command: 'node src/processor-simulator/main.ts',
    about: 'The simulated payment processors. With neither port given both run, on 8001 and 8002.',
    options: {
      default: option('the port of the default processor', 'PORT', portNumber(0), undefined, 'DEFAULT_PORT'),
      fallback: option(
        'the port of the fallback processor',
        'PORT',
        portNumber(0),
        undefined,
        'FALLBACK_PORT',
      ),
      'default-fee': option(
        'its share of an amount',
        'N',
        decimalNumber(0, 1),
        undefined,
        'PROCESSOR_DEFAULT_FEE',
      ),
      'fallback-fee': option("fallback's", 'N', decimalNumber(0, 1), undefined, 'PROCESSOR_FALLBACK_FEE'),
      host: option('where they listen', 'HOST', someText('a name or an address'), '127.0.0.1', 'HOST'),
    },
  });
  const neither = values.default === undefined && values.fallback === undefined;
  return {
    ports: neither ? [8001, 8002] : [values.default, values.fallback],
    host: values.host,
    fees: [values['default-fee'], values['fallback-fee']],
  };
}

async function start(which: ProcessorIndex, port: number, host: string): Promise<ProcessorServer> {
  try {
    return await serveProcessor(which, port, host);
  } catch (error) {
    throw new Error(
      `cannot listen on ${host} port ${port} (${(error as Error).message}); choose another with --${PROCESSORS[which]}`,
    );
  }
}

async function main(): Promise<void> {
  // Nothing is worth keeping, so there is nothing to wind up.
  process.once('SIGTERM', () => process.exit(0));
  process.once('SIGINT', () => process.exit(0));
  const { ports, host, fees } = settings();
  const ready: string[] = [];
  for (const [which, port] of ports.entries()) {
    if (port === undefined) continue;
    const { processor, url } = await start(which as ProcessorIndex, port, host);
    const fee = fees[which];
    if (fee !== undefined) processor.feeBasisPoints = Math.round(fee * 10_000);
    ready.push(`${processor.name} on ${url}`);
  }
  console.log(`simulated processors ready: ${ready.join(', ')}`);
}

main().catch((error: Error) => {
  console.error(`simulated processors: ${error.message}`);
  process.exit(1);
});
