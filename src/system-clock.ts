/** The clocks and timers of this machine. */
import type { Clock } from './domain/clock.ts';

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, task) {
    const timeout = setTimeout(task, Math.max(1, Math.ceil(delayMs)));
    return { cancel: () => clearTimeout(timeout) };
  },
  soon(task) {
    setImmediate(task);
  },
};
