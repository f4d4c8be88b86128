/**
 * An instance on models: a store in memory, virtual time, and processors that say what a test has them say.
 */
import type { AttemptResult } from '../domain/outcome.ts';
import type { ProcessorIndex } from '../domain/payment.ts';
import { Instance, type InstanceParts, type InstanceState } from '../payments/instance.ts';
import { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Found, PaymentRequest, Processors } from '../processors/port.ts';
import { EventLoop, Process, ProcessClock } from '../simulation/event-loop.ts';
import { MemoryState } from '../storage/memory/state.ts';
import { MemoryStore } from '../storage/memory/store.ts';
import type { Store, StoreFault } from '../storage/ports.ts';
import { type BatchRow, batchRows } from './store-stand.ts';

export type Post = (to: ProcessorIndex, request: PaymentRequest) => AttemptResult | undefined;

/** What a processor shows of a payment; undefined: it never answers. */
export type LookUp = (to: ProcessorIndex, correlationId: string) => Found | undefined;

const ANSWER_MS = 1;

/** Processors that answer after `ANSWER_MS`; undefined for an attempt: never. */
export function fakeProcessors(
  loop: EventLoop,
  post: Post,
  lookUp: LookUp = () => ({ is: 'absent' }),
): Processors {
  return {
    post(to, request, reply) {
      const result = post(to, request);
      if (result !== undefined) loop.after(ANSWER_MS, undefined, () => reply(result));
    },
    find(to, id, reply) {
      const found = lookUp(to, id);
      if (found !== undefined) loop.after(ANSWER_MS, undefined, () => reply(found));
    },
    health: (_to, reply) =>
      void loop.after(ANSWER_MS, undefined, () => reply({ failing: false, minResponseMs: 0 })),
  };
}

export interface InstanceStand {
  readonly instance: Instance;
  readonly store: Store;
  readonly loop: EventLoop;
  readonly state: MemoryState;
  readonly states: string[];
  readonly failures: unknown[];
  readonly sent: { readonly to: ProcessorIndex; readonly request: PaymentRequest }[];
  /** The rows of every batch that was handed to the store, as they were then. */
  readonly writes: (readonly BatchRow[])[];
  /** How long the store takes for a call, and its answer for the way back; 0: it replies within the call. */
  storeMs: number;
  /** What the store answers to a call instead of doing it. */
  fault: (call: keyof Store) => StoreFault | undefined;
  /** Lets so much virtual time pass, and what is due in it happen. */
  pass(ms: number): Promise<void>;
}

export interface StandOptions {
  readonly name?: string;
  /** Shared by the instances of one deployment. */
  readonly state?: MemoryState;
  readonly loop?: EventLoop;
  readonly post?: Post;
  readonly storeMs?: number;
  readonly change?: (parts: InstanceParts) => InstanceParts;
}

/** A new instance, which has not started. */
export function instanceStand(options: StandOptions = {}): InstanceStand {
  const { name = 'backend-1', state = new MemoryState(), loop = new EventLoop() } = options;
  const { post = () => ({ status: 200 }), change = (parts: InstanceParts) => parts } = options;
  const process = new Process(name, 1, 0);
  const store = new MemoryStore(state, {
    schedule(carryOut) {
      const { storeMs } = stand;
      if (storeMs === 0) carryOut()();
      else loop.after(storeMs, process, () => loop.after(storeMs, process, carryOut()));
    },
    fault: call => stand.fault(call),
  });
  const write = store.write.bind(store);
  store.write = (batch, reply) => {
    stand.writes.push(batchRows(batch));
    write(batch, reply);
  };
  const parts: InstanceParts = {
    store,
    processors: fakeProcessors(loop, (to, request) => {
      stand.sent.push({ to, request });
      return post(to, request);
    }),
    breakers: [new CircuitBreaker(), new CircuitBreaker()],
    clock: new ProcessClock(loop, process, { offsetMs: 0 }),
    askAfterMs: 0,
    chance: () => 0.5,
    policy: { defaultAttempts: 5, backoffMinMs: 100, backoffMaxMs: 200, fallbackAfterMs: 1000 },
    instance: name,
    queueCapacity: 64,
    concurrency: 16,
    events: {
      accepted() {},
      changed: (now: InstanceState) => void stand.states.push(now.is),
      cannotJoin() {},
      failed: error => void stand.failures.push(error),
      settled() {},
      attempted() {},
      amountDiffers() {},
      lostWrites() {},
      doubled() {},
      died() {},
      adopted() {},
      checking() {},
      shared() {},
      figures: () => '',
    },
  };
  const stand: InstanceStand = {
    instance: new Instance(change(parts)),
    store,
    loop,
    state,
    states: [],
    failures: [],
    sent: [],
    writes: [],
    storeMs: options.storeMs ?? 0.1,
    fault: () => undefined,
    async pass(ms) {
      const untilMs = loop.nowMs + ms;
      do await promisesKept();
      while (loop.step(untilMs));
      await promisesKept();
    },
  };
  return stand;
}

/** Promises that are fulfilled already have run their course. */
const promisesKept = (): Promise<void> => new Promise(resolve => setImmediate(resolve));
