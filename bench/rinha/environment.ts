/** What a stack is started with to be played a script. */
import { readConfig } from '../../src/settings/backend.ts';
import type { ScenarioSize } from './scenario.ts';

/**
 * As a person starts it, but that it may be purged. On another scale its deadlines are on that scale as well,
 * and so are attempts at work, as they have to be for the same rate at another delay.
 */
export function scenarioEnvironment(
  { script, scale }: ScenarioSize,
  environment: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const own: NodeJS.ProcessEnv = {
    ALLOW_PURGE: '1',
    LOG_LEVEL: 'info',
    PROCESSOR_DEFAULT_FEE: String(script.fees.default),
    PROCESSOR_FALLBACK_FEE: String(script.fees.fallback),
  };
  if (scale === 1) return own;
  const { fallbackAfterMs, attemptTimeoutMs, workerConcurrency } = readConfig(environment);
  const scaled = (value: number): string => String(Math.max(1, Math.round(value * scale)));
  return {
    ...own,
    FALLBACK_AFTER_MS: scaled(fallbackAfterMs),
    ATTEMPT_TIMEOUT_MS: scaled(attemptTimeoutMs),
    WORKER_CONCURRENCY: scaled(workerConcurrency),
  };
}
