/** A worker of which a test gives what it looks at. */
import { Worker, type WorkerEvents, type WorkerParts } from '../payments/worker.ts';
import { CircuitBreaker } from '../processors/circuit-breaker.ts';

export const IGNORED: WorkerEvents = {
  decided() {},
  settled() {},
  attempted() {},
  amountDiffers() {},
  doubled() {},
  purged() {},
  fenced() {},
  faulty() {},
};

/** A worker in its first session, with circuits of its own; `parts` in place of what it has for a test. */
export function workerOn(
  parts: Pick<WorkerParts, 'pool' | 'store' | 'processors' | 'clock'> & Partial<WorkerParts>,
): Worker {
  return new Worker({
    breakers: [new CircuitBreaker(), new CircuitBreaker()],
    chance: () => 0.5,
    policy: { defaultAttempts: 5, backoffMinMs: 1, backoffMaxMs: 2, fallbackAfterMs: 1000 },
    concurrency: 16,
    epoch: 1,
    generation: 1,
    parked: false,
    asksFirstUntilMs: 0,
    asksFromMs: 0,
    events: IGNORED,
    ...parts,
  });
}
