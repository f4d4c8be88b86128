/**
 * A script of the challenge on a virtual clock: the workers of three backends as they are, on a store in
 * memory, against two simulated processors. What it costs, and what is left over, depends on no machine.
 */
import type { Clock } from '../../src/domain/clock.ts';
import { DEFAULT, FALLBACK, idTextWords, type ProcessorIndex } from '../../src/domain/payment.ts';
import { type Chance, chance } from '../../src/domain/random.ts';
import type { Policy } from '../../src/domain/settlement.ts';
import { PaymentPool } from '../../src/payments/payment-pool.ts';
import { Worker } from '../../src/payments/worker.ts';
import { SimulatedProcessor } from '../../src/processor-simulator/processor.ts';
import { CircuitBreaker } from '../../src/processors/circuit-breaker.ts';
import type { Processors } from '../../src/processors/port.ts';
import { EventLoop, WALL_START_MS } from '../../src/simulation/event-loop.ts';
import { MemoryState } from '../../src/storage/memory/state.ts';
import { MemoryStore } from '../../src/storage/memory/store.ts';
import type { Script } from '../rinha/stages.ts';

export interface VirtualSettings {
  readonly policy: Policy;
  /** Attempts at work at once on each processor, of each backend. */
  readonly concurrency: number;
}

export interface VirtualOutcome {
  readonly accepted: number;
  /** Recorded by each processor when the books are closed. */
  readonly settled: readonly [number, number];
  /** What the processors have then, less their fees, as a share of all accepted on default. */
  readonly ofBest: number;
  /** The longest that a payment waited until it was settled, of those that were. */
  readonly waitedMsMax: number;
}

const BACKENDS = 3;
const NETWORK_MS = 0.3;
const HEALTH_EVERY_MS = 5050;
const QUEUE_CAPACITY = 65_536;

export function playVirtually(script: Script, settings: VirtualSettings, seed = 1): VirtualOutcome {
  const loop = new EventLoop();
  const after = (delayMs: number, task: () => void) => loop.after(delayMs, undefined, task);
  const clock: Clock = {
    monotonicMs: () => loop.nowMs,
    wallMs: () => Math.floor(WALL_START_MS + loop.nowMs),
    after: (delayMs, task) => after(Math.max(1, Math.ceil(delayMs)), task),
    soon: task => void after(0, task),
  };
  const draw = chance(seed);
  const processors = [DEFAULT, FALLBACK].map(which => new SimulatedProcessor(which as ProcessorIndex, clock));
  const [byDefault, byFallback] = processors as [SimulatedProcessor, SimulatedProcessor];
  for (const { atSeconds, delayMs, failing } of script.stages) {
    after(atSeconds * 1000, () => {
      for (const processor of processors) {
        processor.delayMs = delayMs[processor.name];
        processor.failing = failing[processor.name];
      }
    });
  }
  const state = new MemoryState();
  let waitedMsMax = 0;
  const settled = (_: ProcessorIndex, __: number, waitedMs: number): void => {
    waitedMsMax = Math.max(waitedMsMax, waitedMs);
  };
  const parts = { clock, draw, processors, state, settings, settled };
  const backends = Array.from({ length: BACKENDS }, (_, at) => backend(`backend-${at + 1}`, parts, loop));

  // Users as they are: each waits for a second after its answer, which takes no time here.
  let accepted = 0;
  const endMs = script.seconds * 1000;
  for (let user = 0; user < script.users; user++) {
    const firstMs = (user / script.users) * endMs;
    for (let atMs = firstMs; atMs < endMs; atMs += script.thinkMs) {
      const number = accepted++;
      after(atMs, () => backends[number % BACKENDS]!(number, script.cents));
    }
  }
  while (loop.step(endMs + script.closedAfterMs)) {}
  const counts = [byDefault.book.size, byFallback.book.size] as const;
  const earned = counts[0] * (1 - script.fees.default) + counts[1] * (1 - script.fees.fallback);
  return { accepted, settled: counts, ofBest: earned / (accepted * (1 - script.fees.default)), waitedMsMax };
}

interface BackendParts {
  readonly clock: Clock;
  readonly draw: Chance;
  readonly processors: readonly SimulatedProcessor[];
  readonly state: MemoryState;
  readonly settings: VirtualSettings;
  readonly settled: (processor: ProcessorIndex, cents: number, waitedMs: number) => void;
}

/** A backend, as what a payment that comes in does there. */
function backend(
  name: string,
  { clock, draw, processors, state, settings, settled }: BackendParts,
  loop: EventLoop,
): (number: number, cents: number) => void {
  const breakers = [new CircuitBreaker(), new CircuitBreaker()] as const;
  const store = new MemoryStore(state, { schedule: carryOut => clock.soon(carryOut()) });
  let epoch = 0;
  store.join(name, joined => {
    if ('epoch' in joined) epoch = joined.epoch;
  });
  while (epoch === 0 && loop.step(0)) {}
  const pool = new PaymentPool(QUEUE_CAPACITY);
  const worker: Worker = new Worker({
    pool,
    store,
    processors: network(processors, loop),
    breakers,
    clock,
    chance: draw,
    ...settings,
    epoch,
    generation: 1,
    parked: false,
    asksFirstUntilMs: 0,
    asksFromMs: 0,
    events: { decided() {}, settled, attempted() {}, purged() {}, fenced() {}, faulty() {} } as never,
  });
  worker.start();
  const askHealth = (): void => {
    for (const [which, { failing }] of processors.entries()) breakers[which]!.reported(failing, loop.nowMs);
    worker.nudge();
    clock.after(HEALTH_EVERY_MS, askHealth);
  };
  clock.after(HEALTH_EVERY_MS, askHealth);
  return (number, cents) => {
    worker.enter(pool.add([1, 2, 3, number], cents, clock.wallMs(), loop.nowMs));
    worker.write();
  };
}

function network(processors: readonly SimulatedProcessor[], loop: EventLoop): Processors {
  const after = (task: () => void): void => void loop.after(NETWORK_MS, undefined, task);
  return {
    post(to, { correlationId, cents, requestedAtMs }, reply) {
      const words = idTextWords(correlationId);
      after(() =>
        processors[to]!.post(words, cents, requestedAtMs, ({ status, retryAfterSeconds }) =>
          after(() => reply({ status, retryAfterMs: retryAfterSeconds * 1000 })),
        ),
      );
    },
    find: (_, __, reply) => after(() => reply({ is: 'unavailable' })),
    health() {},
  };
}
