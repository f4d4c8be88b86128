/** What an operator would ask about, one JSON object a line on standard output. Never bodies. */
import { type Logger, pino } from 'pino';

export type { Logger };

/** A logger that names the instance in every line. Written at once: a line must not die with its process. */
export function createLogger(level: string, instance: string): Logger {
  return pino(
    {
      level,
      base: { instance },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
    },
    pino.destination({ fd: 1, sync: true }),
  );
}
