/** What the instances of the model store share: the file, as it were. */

import assert from 'node:assert/strict';
import type { Cents } from '../../domain/money.ts';
import {
  CLOSED,
  DEFAULT,
  HELD_URL,
  type Hold,
  idText,
  isOver,
  NOT_HELD,
  PINNED,
  type ProcessorIndex,
  SENT,
  SETTLED,
  type State,
  type StoredPayment,
  WAITING,
  writeIdBytes,
} from '../../domain/payment.ts';
import { isHeldDue } from '../../domain/settlement.ts';
import type { Act, ActResult } from '../acts.ts';
import * as column from '../batch.ts';
import {
  DONE,
  type HealthReport,
  type InstanceView,
  KNOWN,
  OTHER_AMOUNT,
  type ProcessorUrls,
  type Shared,
  type Written,
} from '../ports.ts';

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] };
type Payment = Mutable<StoredPayment> & { owner: string };

interface LastWritten {
  readonly epoch: number;
  readonly number: number;
  readonly written: Written;
}

/** All that a store has, at a moment. */
export interface MemoryCopy {
  readonly numbers: Pick<
    MemoryState,
    'generation' | 'term' | 'boot' | 'checker' | 'lastSeq' | 'urls' | 'asksFirstUntilMs'
  >;
  readonly payments: readonly (readonly [string, Payment])[];
  readonly acts: readonly Act[];
  readonly maps: readonly [
    ReadonlyMap<string, Mutable<InstanceView>>,
    ReadonlyMap<string, LastWritten>,
    ReadonlyMap<string, number>,
    ReadonlyMap<string, number>,
  ];
  readonly flushing: readonly string[];
  readonly health: [HealthReport, HealthReport];
}

/** Payments are in the order of their seqs. */
export class MemoryState {
  generation = 1;
  term = 1;
  boot = '';
  /** Payments that are accepted before are uncertain (wall clock). */
  asksFirstUntilMs = 0;
  checker = '';
  lastSeq = 0;
  readonly payments = new Map<string, Payment>();
  readonly bySeq = new Map<number, Payment>();
  urls: ProcessorUrls | undefined;
  /** What operators did, in order. */
  readonly acts: Act[] = [];
  /** Instances that wait for their disk with every write. */
  readonly flushing = new Set<string>();
  readonly instances = new Map<string, Mutable<InstanceView>>();
  /** The batch that each instance wrote last, in case its reply is lost. */
  readonly lastWritten = new Map<string, LastWritten>();
  readonly health: [HealthReport, HealthReport] = [
    { failing: false, minResponseMs: 0, version: 0 },
    { failing: false, minResponseMs: 0, version: 0 },
  ];

  instance(name: string): Mutable<InstanceView> {
    let instance = this.instances.get(name);
    if (instance === undefined) {
      const { generation } = this;
      instance = { name, epoch: 0, beat: 0, alive: false, generation, unsettled: 0, figures: '' };
      this.instances.set(name, instance);
    }
    return instance;
  }

  /**
   * Begins a term if writes may have been lost in the last one. `asksFirstUntilMs`: of a store that may have
   * lost anything, so that what is unsettled is uncertain, and what is accepted until then.
   */
  beginTerm(
    boot: string,
    lostTerm: number | 'unknown' | undefined,
    asksFirstUntilMs = 0,
  ): { term: number; pinned: number } {
    const isCareless = [...this.instances.values()].some(
      ({ alive, name }) => alive && !this.flushing.has(name),
    );
    const wasLost = lostTerm === 'unknown' || (lostTerm ?? 0) >= this.term;
    const isLost = wasLost || (boot !== this.boot && isCareless);
    this.boot = boot;
    if (!isLost) return { term: this.term, pinned: 0 };
    this.term += 1;
    let pinned = 0;
    if (asksFirstUntilMs > 0) {
      this.asksFirstUntilMs = asksFirstUntilMs;
      // Whoever has joined has to join anew, and ask first as well.
      for (const view of this.instances.values()) view.epoch += 1;
    }
    for (const payment of this.payments.values()) {
      if (asksFirstUntilMs > 0 && !isOver(payment.state)) payment.isUncertain = true;
      if (payment.state !== WAITING) continue;
      const { processor, requestedAtMs, attempts } = pinnedAs(payment.acceptedAtMs);
      payment.state = PINNED;
      payment.processor ??= processor;
      payment.requestedAtMs ||= requestedAtMs;
      payment.attempts = Math.max(payment.attempts, attempts);
      pinned += 1;
    }
    return { term: this.term, pinned };
  }

  /** Inserts a payment unless its id is there already; replies with its seq or KNOWN. */
  put(payment: Omit<Payment, 'seq'>): number {
    const key = idText(payment.id);
    const known = this.payments.get(key);
    if (known !== undefined) return known.cents === payment.cents ? KNOWN : OTHER_AMOUNT;
    this.lastSeq += 1;
    const stored = { ...payment, seq: this.lastSeq };
    if (payment.state === WAITING && payment.acceptedAtMs < this.asksFirstUntilMs) stored.isUncertain = true;
    this.payments.set(key, stored);
    this.bySeq.set(stored.seq, stored);
    this.instance(payment.owner).unsettled += 1;
    return stored.seq;
  }

  /** Up to `limit` unsettled payments of an instance with a seq above `afterSeq`, ascending. */
  unsettled(owner: string, afterSeq: number, limit: number): Payment[] {
    const found: Payment[] = [];
    for (const payment of this.bySeq.values()) {
      if (found.length >= limit) break;
      const isTaken = payment.owner === owner && !isOver(payment.state) && payment.held === NOT_HELD;
      if (isTaken && payment.seq > afterSeq) found.push(payment);
    }
    return found;
  }

  /** Up to `limit` held payments of an instance that are due. */
  held(owner: string, dueMs: number, limit: number): Payment[] {
    return [...this.bySeq.values()]
      .filter(payment => payment.owner === owner && payment.held !== NOT_HELD)
      .filter(({ retryAtMs }) => isHeldDue(retryAtMs, dueMs))
      .sort((one, other) => one.retryAtMs - other.retryAtMs || one.seq - other.seq)
      .slice(0, limit);
  }

  pinnedTo(processor: ProcessorIndex, limit: number): Payment[] {
    return [...this.bySeq.values()]
      .filter(({ state, held }) => (state === SENT || state === PINNED) && held !== HELD_URL)
      .filter(payment => payment.processor === processor)
      .slice(0, limit);
  }

  /** What of an instance another one takes over. */
  unsettledOf(owner: string): Payment[] {
    return [...this.bySeq.values()].filter(each => each.owner === owner && !isOver(each.state));
  }

  act(act: Act): ActResult {
    const payment = this.payments.get(idText(act.id));
    if (payment === undefined) return 'no such payment';
    if (payment.state > SETTLED) return 'closed';
    const isResend = act.kind === 'resend';
    const isOnlyKept = act.kind === 'take-in';
    if (!isOnlyKept && isResend !== (payment.state === SETTLED)) return isResend ? 'not settled' : 'settled';
    if (payment.state === SENT && (act.kind === 'settle' || act.kind === 'close')) return 'on its way';
    this.acts.push(act);
    if (isOnlyKept) return 'done';
    if (act.kind === 'hold') {
      payment.held = HELD_URL;
      if (payment.state === SENT) payment.state = PINNED;
      payment.retryAtMs = Infinity;
      return 'done';
    }
    if (isResend) return 'done';
    payment.retryAtMs = 0;
    if (act.kind === 'retry') return 'done';
    payment.held = NOT_HELD;
    if (act.kind === 'settle') {
      payment.state = SETTLED;
      payment.processor = act.processor;
      payment.requestedAtMs = act.requestedAtMs;
      payment.settledAtMs = act.atMs;
    } else {
      payment.state = CLOSED;
      payment.reason = act.text;
    }
    this.instance(payment.owner).unsettled -= 1;
    return 'done';
  }

  /** Carries out one row of a batch of `owner`'s; returns its result. */
  change(owner: string, rows: Float64Array, start: number): number {
    const kind = rows[start + column.KIND];
    if (kind === column.INSERT) {
      const id = new Uint8Array(16);
      writeIdBytes(rows, start + column.ID, id, 0);
      const cents = rows[start + column.CENTS] as Cents;
      const acceptedAtMs = rows[start + column.ACCEPTED_AT]!;
      return this.put({
        ...untouched,
        ...progress(rows, start),
        id,
        cents,
        acceptedAtMs,
        owner,
      });
    }
    const payment = this.bySeq.get(rows[start + column.SEQ]!);
    if (payment === undefined || payment.owner !== owner || isOver(payment.state)) return KNOWN;
    if (kind === column.MARK) {
      Object.assign(payment, progress(rows, start), { retryAtMs: 0 });
      return DONE;
    }
    if (kind === column.ATTEMPT || kind === column.PUT_ON_HOLD) {
      Object.assign(payment, progress(rows, start), stateIn(rows[start + column.NEXT]!), { retryAtMs: 0 });
      if (kind === column.ATTEMPT) return DONE;
      payment.held = rows[start + column.HELD] as Hold;
      payment.retryAtMs = rows[start + column.SETTLED_AT]!;
      return DONE;
    }
    // A store books the cents of the row, without looking whether they are right.
    assert.equal(
      rows[start + column.CENTS],
      payment.cents,
      'the cents of a settlement are those of its payment',
    );
    const { processor, requestedAtMs, attempts } = progress(rows, start);
    payment.state = SETTLED;
    payment.processor = processor;
    payment.requestedAtMs = requestedAtMs;
    payment.attempts = Math.max(payment.attempts, attempts);
    payment.settledAtMs = rows[start + column.SETTLED_AT]!;
    payment.isUncertain = false;
    payment.held = NOT_HELD;
    payment.retryAtMs = 0;
    this.instance(owner).unsettled -= 1;
    return DONE;
  }

  /** Of each instance, how many calls that changed something were carried out, whatever its epoch was. */
  readonly steps = new Map<string, number>();
  /** Of each instance, the step that it knows of: what it remembers does not go back with the store. */
  readonly acknowledged = new Map<string, number>();
  /** The state of the store that each instance was last connected to, or joined. */
  readonly connected = new Map<string, number>();
  /** Another one each time that the store goes back to an older state: connections break then. */
  incarnation = 1;
  doubtfulSinceMs = -Infinity;

  /** It lacks something that it acknowledged to an instance. */
  isBehind(name: string): boolean {
    return (this.acknowledged.get(name) ?? 0) > (this.steps.get(name) ?? 0);
  }

  copy(): MemoryCopy {
    const { generation, term, boot, checker, lastSeq, urls, asksFirstUntilMs } = this;
    return structuredClone({
      numbers: { generation, term, boot, checker, lastSeq, urls, asksFirstUntilMs },
      payments: [...this.payments],
      acts: this.acts,
      maps: [this.instances, this.lastWritten, this.steps, this.connected] as const,
      flushing: [...this.flushing],
      health: this.health,
    });
  }

  /** Is again what it was. */
  goBackTo(copy: MemoryCopy): void {
    const { numbers, payments, acts, maps, flushing, health } = structuredClone(copy);
    Object.assign(this, numbers);
    this.incarnation += 1;
    this.payments.clear();
    this.bySeq.clear();
    for (const [id, payment] of payments) this.payments.set(id, payment);
    for (const payment of payments.map(([, each]) => each).sort((one, other) => one.seq - other.seq))
      this.bySeq.set(payment.seq, payment);
    this.acts.splice(0, Infinity, ...acts);
    const all: readonly Map<string, unknown>[] = [
      ...[this.instances, this.lastWritten, this.steps, this.connected],
    ];
    for (const [at, map] of all.entries()) {
      map.clear();
      for (const [name, value] of maps[at]!) map.set(name, value);
    }
    this.flushing.clear();
    for (const name of flushing) this.flushing.add(name);
    this.health.splice(0, 2, ...health);
  }

  /** Told that everything up to now has to be safe from a power loss; a model has no power to lose. */
  flush(): void {}

  /** Frees the checker's lease if `holder` has it. */
  free(holder: string): void {
    if (this.checker === holder) this.checker = '';
  }

  shared(): Shared {
    const { generation, term, checker, health } = this;
    const instances = [...this.instances.values()]
      .map(view => ({ ...view }))
      .sort((one, other) => (one.name < other.name ? -1 : 1));
    return { generation, term, instances, health: [health[0], health[1]], checker };
  }
}

/** A payment that nothing was done for yet. */
export const untouched = {
  origin: 0,
  state: WAITING,
  processor: undefined,
  requestedAtMs: 0,
  attempts: 0,
  tries: 0,
  settledAtMs: 0,
  held: NOT_HELD,
  retryAtMs: 0,
  reason: '',
  isUncertain: false,
} as const;

/** How far a payment is that may have been sent when nothing was written of that. */
export const pinnedAs = (acceptedAtMs: number) =>
  ({ state: PINNED, processor: DEFAULT, requestedAtMs: acceptedAtMs, attempts: 1 }) as const;

/** A state as a row has it: of an uncertain payment its complement. */
const stateIn = (value: number): { state: State; isUncertain: boolean } => ({
  state: (value < 0 ? ~value : value) as State,
  isUncertain: value < 0,
});

function progress(rows: Float64Array, start: number) {
  const processor = rows[start + column.PROCESSOR]!;
  return {
    ...stateIn(rows[start + column.STATE]!),
    processor: processor < 0 ? undefined : (processor as ProcessorIndex),
    requestedAtMs: rows[start + column.REQUESTED_AT]!,
    attempts: rows[start + column.ATTEMPTS]!,
    tries: rows[start + column.TRIES]!,
  };
}

/** A copy without the owner, as the store gives it away. */
export function stored({ owner: _, ...payment }: Payment): StoredPayment {
  return { ...payment, id: payment.id.slice() };
}
