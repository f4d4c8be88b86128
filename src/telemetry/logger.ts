/** What an operator would ask about, one JSON object a line on standard output. Never bodies. */
import { isatty } from 'node:tty';
import { type Logger, pino } from 'pino';
import { pretty } from './pretty.ts';

export type { Logger };

/** A logger that names the instance in every line. Written at once: a line must not die with its process. */
export function createLogger(level: string, instance: string): Logger {
  const output = pino.destination({ fd: 1, sync: true });
  return pino(
    {
      level,
      base: { instance },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    isatty(1) ? { write: line => output.write(pretty(line)) } : output,
  );
}
