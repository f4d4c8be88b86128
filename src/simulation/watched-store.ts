/** The modelled store of the world: `store/memory`, watched, delayed and made to fail. */
import { idText, SENT, SETTLED, writeIdBytes } from '../domain/payment.ts';
import * as column from '../storage/batch.ts';
import { MemoryState } from '../storage/memory/state.ts';
import { MemoryStore } from '../storage/memory/store.ts';
import { DONE, type Reopening, type Store, StoreFault } from '../storage/ports.ts';
import type { Disk } from './disk.ts';
import type { EventLoop, Process } from './event-loop.ts';
import type { Invariants } from './invariants.ts';
import type { Trace } from './trace.ts';
import type { UnsyncedWrites } from './unsynced-writes.ts';

/** Tells the checks of every row that takes effect. */
export class WatchedStore extends MemoryState {
  /**
   * What it would lose with its power; undefined: it waits for its disk with every commit, or its power is
   * another's.
   */
  unsynced: UnsyncedWrites | undefined;
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

  override flush(): void {
    this.unsynced?.flush();
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
  readonly disk: Disk;
  /** What was sent is carried out although its sender died or is stopped. */
  readonly isRemote: boolean;
  /** Tells one run of the machine from the next. */
  readonly boot: string;
  readonly durable: 'process' | 'power';
  /** Not undefined where the disk was taken out since this instance last joined. */
  readonly brokenTerm: 'unknown' | undefined;
  delayMs(): number;
  fault(name: keyof Store): StoreFault | undefined;
}

/** One process's connection: calls are carried out in order and answered in order, each after a while. */
export function connect(parts: StoreParts, process: Process): Store & Reopening {
  const { world, eventLoop, disk, isRemote, boot, durable, brokenTerm } = parts;
  let carriedOutAtMs = 0;
  let answeredAtMs = 0;
  // What is asked by a connection to a disk that was taken out since is not carried out, whether that is back
  // or not.
  let { mount } = disk;
  let askedMount = mount;
  const store = new MemoryStore(world, {
    schedule: carryOut => {
      const asked = mount;
      carriedOutAtMs = Math.max(carriedOutAtMs, eventLoop.nowMs + parts.delayMs());
      eventLoop.after(carriedOutAtMs - eventLoop.nowMs, isRemote ? undefined : process, () => {
        askedMount = asked;
        const deliver = carryOut();
        world.unsynced?.committed();
        answeredAtMs = Math.max(answeredAtMs, eventLoop.nowMs + parts.delayMs() / 4);
        eventLoop.after(answeredAtMs - eventLoop.nowMs, process, deliver);
      });
    },
    fault: name => {
      const isGone = !isRemote && (disk.isOut || askedMount !== disk.mount);
      return isGone ? new StoreFault('broken', 'the modelled disk was taken out') : parts.fault(name);
    },
    logged: instance => disk.logged(instance),
    boot,
    durable,
    brokenTerm,
  });
  const reopen = store.reopen.bind(store);
  store.reopen = () => {
    ({ mount } = disk);
    return reopen();
  };
  return store;
}
