/**
 * Bugs planted on purpose, each by a part that breaks one rule in place of the one that keeps it: what the
 * checks do not catch here, they would not catch in earnest.
 */

import { type AttemptResult, classify } from '../domain/outcome.ts';
import {
  FALLBACK,
  idText,
  type ProcessorIndex,
  SENT,
  SETTLED,
  type StoredPayment,
  WAITING,
} from '../domain/payment.ts';
import type { PaymentRequest, Processors } from '../processors/port.ts';
import { Batch, COLUMNS, KIND, MARK, SEQ, SETTLE } from '../storage/batch.ts';
import { DONE, type Reply, type Store, StoreFault } from '../storage/ports.ts';
import { type Process, WALL_START_MS } from './event-loop.ts';
import { NO_RATES, type WorldPlan } from './plan.ts';
import { WatchedStore } from './watched-store.ts';
import type { Mutation, World } from './world.ts';

type Post = Processors['post'];

/** Processors whose `post` is another. */
function posting(change: (inner: Processors, world: World) => Post): Mutation {
  return {
    processors: (inner, world) => ({
      post: change(inner, world),
      find: (to, id, reply) => inner.find(to, id, reply),
      health: (to, reply) => inner.health(to, reply),
    }),
  };
}

/** Results that workers get in place of others. */
const hearing = (change: (ending: AttemptResult) => AttemptResult): Mutation =>
  posting(inner => (to, request, reply) => inner.post(to, request, ending => reply(change(ending))));

/** A store some of whose calls are others. */
const storing = (change: (inner: Store, world: World, process: Process) => Partial<Store>): Mutation => ({
  store: (inner, world, process) =>
    new Proxy(inner, {
      get(target, name) {
        const changed = Reflect.get(change(inner, world, process), name);
        const own = changed ?? Reflect.get(target, name);
        return typeof own === 'function' ? own.bind(target) : own;
      },
    }),
});

/** Payments as the store gives them away, changed. */
const giving = (change: (payments: StoredPayment[]) => StoredPayment[]): Mutation => {
  const changed =
    (reply: Reply<StoredPayment[]>): Reply<StoredPayment[]> =>
    answer =>
      reply(answer instanceof StoreFault ? answer : change(answer));
  return storing(inner => ({
    take: (afterSeq, limit, reply) => inner.take(afterSeq, limit, changed(reply)),
  }));
};

const copyOf = (batch: Batch, epoch: number, generation: number, number = batch.number): Batch => {
  const copy = new Batch(epoch, generation, Math.max(1, batch.count));
  copy.rows.set(batch.rows.subarray(0, batch.count * COLUMNS));
  copy.count = batch.count;
  copy.isFlushed = batch.isFlushed;
  copy.number = number;
  return copy;
};

/** Lets any instance write, and books what is booked already. */
class LaxWorld extends WatchedStore {
  override change(owner: string, rows: Float64Array, start: number): number {
    const payment = this.bySeq.get(rows[start + SEQ]!);
    const lax = payment !== undefined && (rows[start + KIND] === MARK || rows[start + KIND] === SETTLE);
    if (lax && payment.state === SETTLED && rows[start + KIND] === SETTLE) payment.state = SENT;
    return super.change(lax ? payment.owner : owner, rows, start);
  }
}

/** Takes an id as often as it is put. */
class ForgetfulWorld extends WatchedStore {
  override put(payment: Parameters<WatchedStore['put']>[0]): number {
    this.payments.delete(idText(payment.id));
    return super.put(payment);
  }
}

/** A store that the model of it stands for. */
const onAnotherMachine = (plan: WorldPlan): WorldPlan => ({ ...plan, storeIsRemote: true });

/** To be quick: payments wait while default is away, and go to it, or on to fallback, around a power loss. */
const losingPower = (plan: WorldPlan): WorldPlan => ({
  ...plan,
  ackAfter: 'commit',
  storeIsRemote: false,
  policy: { defaultAttempts: 5, backoffMinMs: 50, backoffMaxMs: 200, fallbackAfterMs: 2000 },
  attemptTimeoutMs: 500,
  queueCapacity: 1024,
  concurrency: 16,
  payments: 120,
  breakMs: 9000,
  rates: { ...NO_RATES, powerLoss: 1, processorFails: 1, processorAway: 1 },
});

/** To be quick: a backup is restored while default fails now and then. */
const restoring = (plan: WorldPlan): WorldPlan => ({
  ...plan,
  attemptTimeoutMs: 500,
  breakMs: 15_000,
  storeIsRemote: false,
  rates: { ...plan.rates, restoreOlder: 1, processorFails: 1, otherAmount: 0 },
});

/** Look-ups whose answers are others. */
const finding = (
  change: (find: Processors['find'], ...asked: Parameters<Processors['find']>) => void,
): Mutation => ({
  processors: inner => ({
    post: (to, request, reply) => inner.post(to, request, reply),
    find: (...asked) => change((...values) => inner.find(...values), ...asked),
    health: (to, reply) => inner.health(to, reply),
  }),
});

const NOT_SENT: AttemptResult = { sent: false, because: 'reset' };
const isTimeOut = (ending: AttemptResult): boolean => 'because' in ending && ending.because === 'timed out';

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  'a time-out is taken for a refusal': hearing(ending => (isTimeOut(ending) ? NOT_SENT : ending)),

  'a reset is taken for a refusal': hearing(ending =>
    'because' in ending && ending.because === 'reset' ? NOT_SENT : ending,
  ),

  'a gateway’s 502, 504 and 408 are taken for the processor’s own': hearing(ending =>
    'status' in ending && [408, 502, 504].includes(ending.status) ? { status: 500 } : ending,
  ),

  'a sidecar’s 503 is taken for the processor’s own': hearing(ending =>
    'status' in ending && ending.status === 503 ? { status: 500 } : ending,
  ),

  'a page for maintenance is taken for a settlement': hearing(ending =>
    'status' in ending && ending.isForeign === true ? { status: ending.status } : ending,
  ),

  'after a time-out the next attempt goes to fallback': posting(inner => {
    const late = new Set<string>();
    return (to, request, reply) =>
      inner.post(late.has(request.correlationId) ? FALLBACK : to, request, ending => {
        if (isTimeOut(ending)) late.add(request.correlationId);
        reply(ending);
      });
  }),

  'a later refusal lifts the pin': posting(inner => (to, request, reply) => {
    inner.post(to, request, first => {
      if (classify(first).verdict !== 'unknown') reply(first);
      else inner.post(to, request, second => reply(classify(second).verdict === 'unknown' ? first : second));
    });
  }),

  'a look-up that finds nothing is taken for a refusal': posting(inner => (to, request, reply) => {
    inner.post(to, request, ending => {
      if (classify(ending).verdict !== 'unknown') reply(ending);
      else
        inner.find(to, request.correlationId, ({ is }) => reply(is === 'absent' ? { status: 500 } : ending));
    });
  }),

  'a 422 is booked as of our own instant': hearing(ending =>
    'status' in ending && ending.status === 422 ? { status: 200 } : ending,
  ),

  'requestedAt is stamped anew while pinned': posting((inner, world) => {
    const sent = new Set<string>();
    return (to: ProcessorIndex, request: PaymentRequest, reply) => {
      const again = sent.has(request.correlationId);
      sent.add(request.correlationId);
      const requestedAtMs = Math.floor(WALL_START_MS + world.eventLoop.nowMs);
      inner.post(to, again ? { ...request, requestedAtMs } : request, reply);
    };
  }),

  'pins are forgotten at a restart': giving(payments =>
    payments.map(payment => (payment.state === SENT ? { ...payment, state: WAITING } : payment)),
  ),

  'a parked payment is forgotten': giving(payments =>
    payments.length > 2 ? payments.slice(0, -1) : payments,
  ),

  'a request leaves before its intent is stored': storing(inner => ({
    write: (batch, reply) => {
      for (let row = 0; row < batch.count; row++) {
        if (batch.rows[row * COLUMNS + KIND] !== MARK) {
          inner.write(batch, reply);
          return;
        }
      }
      inner.write(batch, () => {});
      reply({ generation: batch.generation, results: new Float64Array(batch.count).fill(DONE) });
    },
  })),

  'a fenced instance goes on writing': {
    // To be quick; without this it takes some hundred seeds.
    plan: plan => ({ ...plan, storeIsRemote: true, breakMs: 9000, rates: { ...plan.rates, pause: 1 } }),
    memory: (invariants, trace) => new LaxWorld(invariants, trace),
    ...storing((inner, { memory }, { name }) => ({
      write: (batch, reply) => {
        const epoch = memory.instance(name).epoch;
        inner.write(copyOf(batch, epoch, batch.generation), reply);
      },
    })),
  },

  'what is settled is booked again': {
    plan: onAnotherMachine,
    memory: (invariants, trace) => new LaxWorld(invariants, trace),
    ...storing(inner => ({
      write: (batch, reply) => {
        inner.write(batch, answer => {
          if (answer instanceof StoreFault) reply(answer);
          else inner.write(copyOf(batch, batch.epoch, batch.generation, 0), () => reply(answer));
        });
      },
    })),
  },

  'the store takes an id twice': {
    plan: onAnotherMachine,
    memory: (invariants, trace) => new ForgetfulWorld(invariants, trace),
  },

  'a write from before a purge counts': storing((inner, world) => ({
    write: (batch, reply) => inner.write(copyOf(batch, batch.epoch, world.memory.generation), reply),
  })),

  'a power loss passes unseen': { plan: losingPower, embedded: parts => ({ ...parts, boot: 1 }) },

  'a 202 does not wait for the disk that it was to wait for': {
    plan: plan => ({ ...losingPower(plan), ackAfter: 'flush' }),
    embedded: parts => ({ ...parts, isFlushing: false }),
  },

  'a segment is removed, and marked as kept, before the disk has it': {
    plan: losingPower,
    embedded: parts => ({
      ...parts,
      files: { ...parts.files, sync: (_fd, done) => done(null) },
    }),
  },

  'a power loss takes back to which processor a payment went': {
    plan: losingPower,
    ...storing(inner => ({
      write: (batch, reply) => {
        const lax = copyOf(batch, batch.epoch, batch.generation);
        lax.isFlushed = false;
        inner.write(lax, reply);
      },
    })),
  },

  'a payment goes to fallback though nothing keeps it from default': {
    plan: plan => ({ ...plan, policy: { ...plan.policy, fallbackAfterMs: 10_000 } }),
    instance: parts => ({ ...parts, policy: { ...parts.policy, fallbackAfterMs: 0 } }),
  },

  'after a restore only default is asked': {
    plan: restoring,
    ...finding((find, to, id, reply) => (to === FALLBACK ? reply({ is: 'absent' }) : find(to, id, reply))),
  },

  'after a restore no answer is taken for one that has nothing': {
    plan: plan => {
      const doubted = restoring(plan);
      return { ...doubted, rates: { ...doubted.rates, requestLost: 1, processorAway: 1 } };
    },
    ...finding((find, to, id, reply) =>
      find(to, id, found => reply(found.is === 'unavailable' ? { is: 'absent' } : found)),
    ),
  },

  'at a restart it is forgotten that a payment is uncertain': {
    plan: restoring,
    ...giving(payments => payments.map(payment => ({ ...payment, isUncertain: false }))),
  },

  'what a restore forgot is accepted as new': {
    plan: restoring,
    ...storing(inner => ({
      join: (instance, reply) =>
        inner.join(instance, answer =>
          reply(answer instanceof StoreFault ? answer : { ...answer, asksFirstUntilMs: 0 }),
        ),
    })),
  },

  'there is one attempt too many on default': {
    instance: parts => ({
      ...parts,
      policy: { ...parts.policy, defaultAttempts: parts.policy.defaultAttempts + 1 },
    }),
  },
};
