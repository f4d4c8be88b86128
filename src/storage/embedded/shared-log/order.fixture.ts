/**
 * Three instances on one virtual log, two processors, and an index in memory, for the tests of the rules of
 * order: each does what an instance does, at moments that chance chooses, and dies or is paused anywhere.
 */
import { strict as assert } from 'node:assert';
import { PINNED, SENT, SETTLED, WAITING } from '../../../domain/payment.ts';
import type { Chance } from '../../../domain/random.ts';
import { ACT_KINDS } from '../../acts.ts';
import { MODEL_STORE, ModelIndex, merged, rowsOf } from './model-index.fixture.ts';
import { Order } from './order.ts';
import { ANOTHER_AMOUNT, BATCH_FENCED, COUNTED, SAME_AMOUNT } from './order-state.ts';
import { ALL_SHARES, INDEXER, shareOf } from './ordered-members.ts';
import { encodeSegmentHeader } from './segments.ts';
import * as row from './tail-table.ts';
import { VirtualLogFiles } from './virtual-log-files.ts';
import { LogFault, LogWriter } from './writer.ts';

const CLOSE = ACT_KINDS.indexOf('close');

const NAMES = ['a', 'b', 'c'];
const IDS = 40;
/** Small, so that many seals are met. */
const SEGMENT_BYTES = 1500;

/** What has left an instance and cannot be taken back, whatever becomes of that one. */
interface Request {
  readonly id: number;
  readonly to: number;
  readonly by: Node;
  readonly epoch: number;
}

export class LogWorld {
  readonly chance: Chance;
  readonly files = new VirtualLogFiles();
  readonly index = new ModelIndex();
  readonly nodes: Node[];
  /** The ids that each processor has booked. */
  readonly books: readonly [Set<number>, Set<number>] = [new Set(), new Set()];
  requests: Request[] = [];
  /** Amounts that were answered with 202, by id; each generation has ids of its own. */
  readonly answered = new Map<number, number>();
  /** The digest after each batch of the log, by how many there were before it. */
  readonly digests: number[] = [];
  readonly seen = new Map<string, number>();
  allowsPurge = true;

  constructor(chance: Chance) {
    this.chance = chance;
    this.files.createWhole('/log/0000000001.log', encodeSegmentHeader(MODEL_STORE, 1, 1));
    this.nodes = NAMES.map(name => new Node(this, name));
  }

  below(limit: number): number {
    return Math.floor(this.chance() * limit);
  }

  met(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  /** One request arrives at its processor, and its answer perhaps at who sent it. */
  deliver(): void {
    const [request] = this.requests.splice(this.below(this.requests.length), 1);
    if (request === undefined) return;
    const { id, to, by, epoch } = request;
    const isRefused = this.chance() < 0.3 && !this.books[0].has(id) && !this.books[1].has(id);
    if (!isRefused) this.books[to]!.add(id);
    assert(!(this.books[0].has(id) && this.books[1].has(id)), `payment ${id} is in both books`);
    if (by.epoch === epoch) by.answer(id, isRefused ? 'refused' : this.chance() < 0.3 ? 'unknown' : 'booked');
  }

  /** No more faults, and everybody at work until nothing is left to do. */
  heal(): void {
    this.allowsPurge = false;
    for (let round = 0; round < 60; round++) {
      for (const node of this.nodes) node.turn(true);
      while (this.requests.length > 0) this.deliver();
    }
  }
}

class Node {
  readonly #world: LogWorld;
  readonly name: string;
  order = new Order(MODEL_STORE.mark);
  #writer: LogWriter | undefined;
  epoch = 0;
  #fed = 0;
  #beats = new Map<number, number>();
  /** What the batch that is being made does, once it counts: with the result of each of its records. */
  #then: ((result: number) => void)[] = [];
  /** Payments with an attempt on its way from here. */
  readonly #atWork = new Set<number>();

  constructor(world: LogWorld, name: string) {
    this.#world = world;
    this.name = name;
  }

  /** SIGKILL. */
  die(): void {
    this.#writer = undefined;
    this.epoch = 0;
    this.#then = [];
    this.#atWork.clear();
    this.#beats.clear();
  }

  poll(): void {
    this.#writer?.poll();
  }

  turn(isHealing = false): void {
    if (this.#writer === undefined) this.#start();
    else if (this.epoch === 0) this.#join();
    else if (isHealing) {
      this.#beat();
      this.#adopt(true);
      this.#work();
      this.#append();
      this.#mark();
      this.#append();
    } else this.#act();
  }

  /** An answer of a processor to this life of the instance. */
  answer(id: number, outcome: 'booked' | 'refused' | 'unknown'): void {
    this.#atWork.delete(id);
    const payment = this.#find(id);
    if (payment === undefined || payment[row.ROW_STATE] === SETTLED) return;
    const origin = payment[row.ROW_ORIGIN]!;
    const processor = payment[row.ROW_PROCESSOR]!;
    const cents = payment[row.ROW_CENTS]!;
    const batch = this.#batch();
    if (outcome === 'booked') batch.book(words(id), 0, origin, processor, 1, 2, cents, 1);
    else {
      const isPinned = outcome === 'unknown' || payment[row.ROW_STATE] === PINNED;
      const state = isPinned ? PINNED : WAITING;
      const progress = { state, processor, requestedAtMs: 1, attempts: 1, tries: 1 };
      if (this.#world.below(4) === 0) batch.hold(words(id), 0, origin, progress, 1, 1);
      else batch.endAttempt(words(id), 0, origin, progress, 1, 1, 1);
    }
    this.#then.push(() => this.#world.met(outcome));
    this.#append();
  }

  /** The latest of an id that index and tail have. */
  #find(id: number): Float64Array | undefined {
    const { index } = this.#world;
    const { tail } = this.order;
    const start = tail.find(words(id), 0);
    const inIndex = index.generation === this.order.generation ? index.rows.get(id) : undefined;
    if (start < 0) return inIndex;
    const inTail = tail.rows.slice(start, start + row.ROW_COLUMNS);
    return inTail[row.ROW_POSITION]! < index.position ? inIndex : merged(inIndex, inTail);
  }

  /** From what the index has kept, as after any start. */
  #start(): void {
    const { index, files } = this.#world;
    this.order = new Order(MODEL_STORE.mark);
    this.order.restore(index.state, index.tail);
    this.#fed = this.#world.digests.indexOf(index.state.digest) + 1;
    this.#writer = new LogWriter({
      files,
      directory: '/log',
      id: MODEL_STORE,
      order: this.order,
      position: index.position,
      segmentBytes: SEGMENT_BYTES,
      events: { gap: (_segment, gap) => this.#world.met(gap.is), fed: () => this.#compare() },
    });
    this.#writer.poll();
  }

  /** All that have read as much hold the same opinion. */
  #compare(): void {
    const { digests } = this.#world;
    const { digest } = this.order;
    if (this.#fed < digests.length) assert.equal(digest, digests[this.#fed], `batch ${this.#fed}`);
    else digests.push(digest);
    this.#fed += 1;
  }

  #join(): void {
    const before = this.order.members.named(this.name)?.epoch ?? 0;
    const epoch = this.#writer!.join(this.name, before, 2 ** 40 + this.#world.below(2 ** 40));
    if (typeof epoch === 'number') this.epoch = epoch;
    this.#world.met('joined');
  }

  #act(): void {
    const { below, nodes, files } = { ...this.#world, below: (limit: number) => this.#world.below(limit) };
    const fault = below(25);
    if (fault === 0) files.cutNextTo = below(60);
    if (fault === 1) files.failNext = 'ENOSPC';
    if (fault === 2) {
      files.halfOf = below(80);
      files.onHalf = () => {
        for (const node of nodes) if (node !== this) node.poll();
        if (below(3) > 0) return;
        this.die();
        throw new Killed();
      };
    }
    try {
      for (let count = below(4); count >= 0; count--) this.#actOnce(below(20));
      if (below(4) > 0) this.#append();
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      this.#world.met('killed in a write');
    } finally {
      files.cutNextTo = undefined;
      files.failNext = undefined;
      files.onHalf = undefined;
    }
  }

  #actOnce(action: number): void {
    if (this.epoch === 0) return;
    if (action < 8) this.#accept();
    else if (action < 12) this.#work();
    else if (action < 14) this.#beat();
    else if (action === 14) this.#fence();
    else if (action === 15) this.#adopt(false);
    else if (action === 16) this.#mark();
    else if (action === 17) this.#close();
    else if (this.#world.below(30) === 0) this.#purge();
    else if (this.#world.below(20) === 0) {
      this.#append();
      if (this.epoch === 0) return;
      this.#writer!.batch().leave();
      this.#then.push(() => this.die());
      this.#append();
    } else this.#writer!.poll();
  }

  /** A client's request: looked up first, accepted with its intent in one batch. */
  #accept(): void {
    const world = this.#world;
    const id = world.below(IDS) + 100 * this.order.generation;
    const cents = 1 + world.below(2);
    if (this.#find(id) !== undefined) return;
    const to = world.below(2);
    const { epoch } = this;
    this.#batch().accept(words(id), 0, epoch, cents, 1);
    this.#then.push(result => {
      if (result === SAME_AMOUNT || result > 0) {
        const amount = world.answered.get(id);
        assert(amount === undefined || amount === cents, `two amounts of ${id} were answered`);
        world.answered.set(id, cents);
      }
      world.met(result > 0 ? 'accepted' : result === ANOTHER_AMOUNT ? 'conflict' : 'known');
    });
    if (world.below(2) === 0) this.#intend(id, epoch, SENT, to);
  }

  #intend(id: number, origin: number, state: number, to: number): void {
    const world = this.#world;
    const { epoch } = this;
    if (this.#atWork.has(id)) return;
    this.#atWork.add(id);
    this.#batch().intend(words(id), 0, origin, state, to, 1, 1, 1);
    this.#then.push(result => {
      if (result === 1) world.requests.push({ id, to, by: this, epoch });
      else this.#atWork.delete(id);
      world.met(result === 1 ? 'sent' : 'intent void');
    });
  }

  /** Attempts of payments that are ours. */
  #work(): void {
    const world = this.#world;
    for (const id of this.#ours()) {
      const payment = this.#find(id)!;
      const isWaiting = payment[row.ROW_STATE] === WAITING;
      // One that was sent and has no attempt here was sent by an earlier life, or by a dead one.
      const to = isWaiting ? world.below(2) : payment[row.ROW_PROCESSOR]!;
      if (world.below(2) === 0) this.#intend(id, payment[row.ROW_ORIGIN]!, isWaiting ? SENT : PINNED, to);
    }
  }

  #ours(): number[] {
    const { index } = this.#world;
    const ids = new Set(rowsOf(this.order).keys());
    if (index.generation === this.order.generation) for (const id of index.rows.keys()) ids.add(id);
    return [...ids].filter(id => {
      const payment = this.#find(id);
      if (payment === undefined || payment[row.ROW_STATE]! >= SETTLED) return false;
      return this.order.members.owner(payment[row.ROW_ORIGIN]!, shareOf(id)) === this.epoch;
    });
  }

  #beat(): void {
    this.#batch().beat(new TextEncoder().encode('{}'));
    this.#then.push(() => {});
  }

  /** Who has not beaten since the last look is taken for dead, whether it is or not. */
  #fence(): void {
    for (const { epoch, beat, isAlive } of this.order.members.all) {
      if (epoch === this.epoch || !isAlive) continue;
      if (this.#beats.get(epoch) === beat) {
        this.#batch().fence(epoch, beat);
        this.#then.push(result => this.#world.met(result === 1 ? 'fenced' : 'fence void'));
      }
      this.#beats.set(epoch, beat);
    }
  }

  #adopt(isHealing: boolean): void {
    for (const { heirs } of [this.order.members.save()]) {
      const dead = new Set(heirs.flatMap(([, all]) => all.filter(heir => !this.order.members.living(heir))));
      for (const epoch of dead) {
        this.#batch().adopt(epoch, isHealing ? ALL_SHARES : this.#world.below(ALL_SHARES + 1));
        this.#then.push(result => this.#world.met(result > 0 ? 'adopted' : 'nothing to adopt'));
      }
    }
  }

  /** The index takes in what is there, and says so, perhaps later. */
  #mark(): void {
    if (this.epoch === 0) return;
    const { index } = this.#world;
    const { order } = this;
    const holder = order.members.holder(INDEXER);
    if (holder !== 0 && holder !== this.epoch) return;
    if (holder === 0) {
      this.#batch().lease(INDEXER, holder);
      this.#then.push(() => {});
      return;
    }
    this.#append();
    if (this.#writer === undefined || this.epoch === 0) return;
    index.commit(order, this.#writer.position);
    if (this.#world.below(3) === 0) return;
    this.#batch().indexed(index.position, true);
    this.#then.push(result => this.#world.met(result === 1 ? 'marked' : 'mark void'));
  }

  #close(): void {
    const id = [...rowsOf(this.order).keys()][this.#world.below(10)];
    const payment = id === undefined ? undefined : this.#find(id);
    if (id === undefined || payment === undefined || payment[row.ROW_STATE] !== WAITING) return;
    const seen = {
      state: WAITING,
      processor: payment[row.ROW_PROCESSOR]!,
      requestedAtMs: 0,
      attempts: 0,
      tries: 0,
    };
    const utf8 = new TextEncoder();
    this.#batch().act(
      ...([words(id), 0, payment[row.ROW_ORIGIN]!, seen, CLOSE, payment[row.ROW_CENTS]!, 1] as const),
      ...([utf8.encode('me'), utf8.encode('so')] as const),
    );
    this.#then.push(result => this.#world.met(result === 1 ? 'closed' : 'close void'));
  }

  #purge(): void {
    if (!this.#world.allowsPurge) return;
    this.#append();
    if (this.#writer === undefined || this.epoch === 0) return;
    this.#batch().purge(this.order.generation);
    this.#then.push(result => {
      this.#world.met(result === 1 ? 'purged' : 'purge void');
    });
    this.#append();
  }

  #batch() {
    return this.#writer!.batch();
  }

  #append(): void {
    const writer = this.#writer;
    if (writer === undefined || this.#then.length === 0) return;
    const outcome = writer.append();
    if (outcome instanceof LogFault) {
      this.#world.met(outcome.reason);
      return;
    }
    this.#world.met(`verdict ${outcome}`);
    const then = this.#then.splice(0);
    if (outcome === COUNTED) for (const [at, each] of then.entries()) each(writer.results[at]!);
    else if (outcome === BATCH_FENCED) this.die();
    else this.#atWork.clear();
  }
}

class Killed extends Error {}

/** The four words of an id of these tests: the share is in the last one. */
const words = (id: number): Int32Array => Int32Array.of(id, id * 7, 3, shareOf(id));

export const generationOf = (id: number): number => Math.floor(id / 100);
