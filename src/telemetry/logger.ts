/** The log: one JSON object a line on standard output, never a body. */
import { isatty } from 'node:tty';
import { type Logger, pino } from 'pino';
import { pretty } from './pretty.ts';

export type { Logger };

/** A logger that names the instance in every line. Writes synchronously, so that a crash loses no line. */
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
