/** Payments of one instance and the store they are written to: in memory, on virtual time. */
import type { Clock } from '../domain/clock.ts';
import { PaymentPool } from '../payments/payment-pool.ts';
import { StoreWriter, type StoreWriterEvents } from '../payments/store-writer.ts';
import { EventLoop, Process, ProcessClock } from '../simulation/event-loop.ts';
import type { Batch } from '../storage/batch.ts';
import * as column from '../storage/batch.ts';
import { MemoryState } from '../storage/memory/state.ts';
import { MemoryStore } from '../storage/memory/store.ts';
import { KNOWN, OTHER_AMOUNT, type Store, type StoreFault } from '../storage/ports.ts';

/** One row of a batch, by the names of its columns. */
export interface BatchRow {
  readonly kind: 'INSERT' | 'MARK' | 'SETTLE' | 'ATTEMPT' | 'HOLD';
  readonly seq: number;
  /** The first word of the id; 0 where the row has none. */
  readonly id: number;
  readonly cents: number;
  readonly state: number;
  /** Of an ATTEMPT: the state that it left the payment in. */
  readonly next: number;
  readonly processor: number;
  readonly requestedAtMs: number;
  readonly attempts: number;
  readonly tries: number;
}

export interface StoreCall {
  readonly atMs: number;
  readonly rows: readonly BatchRow[];
  readonly isFlushed: boolean;
  readonly number: number;
}

const KINDS = ['INSERT', 'MARK', 'SETTLE', 'ATTEMPT', 'HOLD'] as const;

/** A copy of what a batch holds now. */
export function batchRows(batch: Batch): BatchRow[] {
  return Array.from({ length: batch.count }, (_, index) => {
    const at = (name: number): number => batch.rows[index * column.COLUMNS + name]!;
    return {
      kind: KINDS[at(column.KIND)]!,
      seq: at(column.SEQ),
      id: at(column.ID),
      cents: at(column.CENTS),
      state: at(column.STATE),
      next: at(column.NEXT),
      processor: at(column.PROCESSOR),
      requestedAtMs: at(column.REQUESTED_AT),
      attempts: at(column.ATTEMPTS),
      tries: at(column.TRIES),
    };
  });
}

/** Payments of one instance that has joined a store in memory, on virtual time. */
export interface StoreStand {
  readonly loop: EventLoop;
  readonly clock: Clock;
  readonly state: MemoryState;
  readonly store: Store;
  readonly pool: PaymentPool;
  /** Every batch that was handed to the store, as it was then. */
  readonly writes: StoreCall[];
  /** How long the store takes for a call, and its answer for the way back. */
  storeMs: number;
  /** What the store answers to a call instead of doing it. */
  fault: (call: keyof Store) => StoreFault | undefined;
  /** Whether its answer to a call that it has done is lost. */
  losesReply: (call: keyof Store) => boolean;
  /** A payment that was accepted now: the slot of one with the id (`number`, 0, 0, 7). */
  add(number: number, cents?: number): number;
  /** Lets so much virtual time pass, and what is due in it happen. */
  pass(ms: number): void;
}

export function storeStand(capacity = 64, gathersMs?: number): StoreStand {
  const loop = new EventLoop();
  const process = new Process('backend-1', 1, 0);
  const clock = new ProcessClock(loop, process, { offsetMs: 0 });
  const state = new MemoryState();
  const store = new MemoryStore(state, {
    schedule: carryOut => {
      const { storeMs } = stand;
      loop.after(storeMs, process, () => loop.after(storeMs, process, carryOut()));
    },
    fault: call => stand.fault(call),
    losesReply: call => stand.losesReply(call),
    ...(gathersMs === undefined ? {} : { gathersMs }),
  });
  const pool = new PaymentPool(capacity);
  const write = store.write.bind(store);
  store.write = (batch, reply) => {
    const { isFlushed, number } = batch;
    stand.writes.push({ atMs: loop.nowMs, rows: batchRows(batch), isFlushed, number });
    write(batch, reply);
  };
  const stand: StoreStand = {
    loop,
    clock,
    state,
    store,
    pool,
    writes: [],
    storeMs: 0.1,
    fault: () => undefined,
    losesReply: () => false,
    add: (number, cents = 1990) => pool.add([number, 0, 0, 7], cents, clock.wallMs(), clock.monotonicMs()),
    pass(ms) {
      const untilMs = loop.nowMs + ms;
      while (loop.step(untilMs));
    },
  };
  store.join('backend-1', () => {});
  stand.pass(1);
  return stand;
}

export interface WriterStand extends StoreStand {
  readonly writer: StoreWriter;
  /** What the writer reported, one line each. */
  readonly reported: string[];
  /** The rows of each batch that was handed over. */
  kinds(): string[];
  /** A payment that the store has. */
  stored(number: number): number;
}

/** A writer that reports to a list, and to `more` as well. */
export function writerStand(
  more: Partial<StoreWriterEvents> = {},
  capacity?: number,
  gathersMs?: number,
): WriterStand {
  const stand = storeStand(capacity, gathersMs);
  const { pool, store, clock, writes } = stand;
  const reported: string[] = [];
  const writer = new StoreWriter(pool, store, clock, 1, 1, {
    written(slot, kind, result, sent) {
      if (kind === column.INSERT && result > 0) pool.seq[slot] = result;
      const what = result === KNOWN ? 'known' : result === OTHER_AMOUNT ? 'other amount' : 'written';
      reported.push(`${pool.words[slot * 4]} ${what}${sent ? ', sent' : ''}`);
      more.written?.(slot, kind, result, sent);
    },
    over: slot => more.over?.(slot),
    refused(slot) {
      reported.push(`${pool.words[slot * 4]} refused`);
      more.refused?.(slot);
    },
    purged(generation) {
      reported.push(`purged ${generation}`);
      more.purged?.(generation);
    },
    fenced: () => void reported.push('fenced'),
    faulty: fault => void reported.push(fault?.reason ?? 'well'),
    idle: () => writer.submit(),
  });
  return Object.assign(stand, {
    writer,
    reported,
    kinds: () => writes.map(({ rows }) => rows.map(({ kind, id, seq }) => `${kind} ${id || seq}`).join(', ')),
    stored(number: number) {
      const slot = stand.add(number);
      writer.put(slot);
      writer.whenWritten(() => {});
      stand.pass(1);
      reported.length = 0;
      writes.length = 0;
      return slot;
    },
  });
}
