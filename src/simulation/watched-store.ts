/** The modelled store of the world: `storage/memory`, watched, delayed and made to fail. */
import { idText, SENT, SETTLED, writeIdBytes } from '../domain/payment.ts';
import * as column from '../storage/batch.ts';
import { MemoryState } from '../storage/memory/state.ts';
import { MemoryStore } from '../storage/memory/store.ts';
import { DONE, type Reopening, type Store, StoreFault } from '../storage/ports.ts';
import { type EventLoop, type Process, WALL_START_MS } from './event-loop.ts';
import type { Invariants } from './invariants.ts';
import { LATEST_RECORD_MS } from './plan.ts';
import type { Trace } from './trace.ts';

/** Tells the checks of every row that takes effect. */
export class WatchedStore extends MemoryState {
  readonly #invariants: Invariants;
  readonly #trace: Trace;
  readonly #id = new Uint8Array(16);

  constructor(invariants: Invariants, trace: Trace) {
    super();
    this.#invariants = invariants;
    this.#trace = trace;
  }

  override put(payment: Parameters<MemoryState['put']>[0]): number {
    const result = super.put(payment);
    if (result > 0) this.#invariants.stored(idText(payment.id));
    return result;
  }

  override act(act: Parameters<MemoryState['act']>[0]): ReturnType<MemoryState['act']> {
    const result = super.act(act);
    if (result === 'done' && act.kind === 'settle')
      this.#invariants.booked(this.payments.get(idText(act.id))!);
    return result;
  }

  override change(owner: string, rows: Float64Array, start: number): number {
    const result = super.change(owner, rows, start);
    const kind = rows[start + column.KIND]!;
    const isIntent = kind <= column.MARK && rows[start + column.STATE] === SENT && result > 0;
    if (isIntent) this.#invariants.intended(this.#idOf(rows, start)!, owner);
    if (kind !== column.SETTLE && !this.#trace.isOn) return result;
    const payment = this.bySeq.get(rows[start + column.SEQ]!);
    this.#trace.say(this.#idOf(rows, start), 'store', () => {
      const name = ['put', 'mark', 'settle', 'attempt'][kind];
      const [state, processor, requestedAt] = [column.STATE, column.PROCESSOR, column.REQUESTED_AT].map(
        at => rows[start + at],
      );
      return `${name} by ${owner}: state ${state}, processor ${processor}, as of ${requestedAt} -> ${result}`;
    });
    if (kind === column.SETTLE && result === DONE && payment?.state === SETTLED)
      this.#invariants.booked(payment);
    return result;
  }

  #idOf(rows: Float64Array, start: number): string | undefined {
    if (rows[start + column.KIND] === column.INSERT) {
      writeIdBytes(rows, start + column.ID, this.#id, 0);
      return idText(this.#id);
    }
    const payment = this.bySeq.get(rows[start + column.SEQ]!);
    return payment && idText(payment.id);
  }
}

export interface StoreParts {
  readonly world: WatchedStore;
  readonly eventLoop: EventLoop;
  /** Tells one run of the machine from the next. */
  readonly boot: string;
  readonly durable: 'process' | 'power';
  /** It may go back to an older state. */
  readonly goesBack: boolean;
  delayMs(): number;
  fault(name: keyof Store): StoreFault | undefined;
  losesReply(name: keyof Store): boolean;
}

/** So long that some payments of a world come in it. */
const GATHERS_MS = 400;
/** What comes within a day of a loss, by clocks that may be an hour apart, may have been here before. */
const ASKS_MS = 86_400_000;

/**
 * One process's connection to a store on another machine: calls are carried out in order and answered in
 * order, each after a while. What was sent is carried out although its sender died or is stopped.
 */
export function connect(parts: StoreParts, process: Process): Store & Reopening {
  const { world, eventLoop, boot, durable, goesBack } = parts;
  let carriedOutAtMs = 0;
  let answeredAtMs = 0;
  return new MemoryStore(world, {
    schedule: carryOut => {
      carriedOutAtMs = Math.max(carriedOutAtMs, eventLoop.nowMs + parts.delayMs());
      eventLoop.after(carriedOutAtMs - eventLoop.nowMs, undefined, () => {
        const deliver = carryOut();
        answeredAtMs = Math.max(answeredAtMs, eventLoop.nowMs + parts.delayMs() / 4);
        eventLoop.after(answeredAtMs - eventLoop.nowMs, process, deliver);
      });
    },
    fault: name => {
      // From here on its process knows what the store has, and nothing of before.
      if (name === 'join') process.joiningAtMs = eventLoop.nowMs;
      return parts.fault(name);
    },
    losesReply: name => parts.losesReply(name),
    isOver: () => !process.alive,
    boot,
    durable,
    gathersMs: GATHERS_MS,
    ...(goesBack && {
      doubt: {
        ...{ asksMs: ASKS_MS, calmMs: LATEST_RECORD_MS },
        wallMs: () => WALL_START_MS + eventLoop.nowMs,
      },
    }),
  });
}

/** A store that refuses calls now and then before it does anything, and loses replies when it has. */
export function faulty(
  store: Store & Reopening,
  later: (task: () => void) => void,
  fault: (name: keyof Store) => StoreFault | undefined,
  losesReply: (name: keyof Store) => boolean,
): Store & Reopening {
  return new Proxy(store, {
    get(target, name) {
      const method = Reflect.get(target, name);
      if (typeof method !== 'function') return method;
      if (name === 'reopen') return method.bind(target);
      return (...values: unknown[]) => {
        const reply = values.at(-1) as (answer: StoreFault) => void;
        const refused = fault(name as keyof Store);
        if (refused === undefined) {
          const isLost = losesReply(name as keyof Store);
          const unanswered = new StoreFault('unanswered', 'the reply was lost on its way');
          return method.apply(target, isLost ? [...values.slice(0, -1), () => reply(unanswered)] : values);
        }
        if (name === 'write') reply(refused);
        else later(() => reply(refused));
      };
    },
  });
}
