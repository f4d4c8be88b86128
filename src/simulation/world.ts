/**
 * A whole deployment in one process and under one virtual clock: three backends with their logs, one store,
 * two processors, clients, and whatever may befall them.
 *
 *     clients ──> instances (service, session, log) ──> store
 *                      │                  └─> disk
 *                      └─> network ──> processors
 *
 * First everything may break, and no promise may be broken meanwhile. Then all heals, and everything must
 * settle within a bounded time, in the summary of every instance as in the books of the processors.
 */

import { AssertionError } from 'node:assert';
import type { Clock } from '../domain/clock.ts';
import { type ProcessorIndex, SETTLED } from '../domain/payment.ts';
import type { InstanceParts } from '../payments/instance.ts';
import { FAULTS } from '../processor-simulator/faults.ts';
import type { Processors } from '../processors/port.ts';
import { EmbeddedStore } from '../storage/embedded/embedded-store.ts';
import { InProcessIndexClient } from '../storage/embedded/index/in-process-client.ts';
import type { EmbeddedParts } from '../storage/embedded/parts.ts';
import type { Reopening, Store } from '../storage/ports.ts';
import { SimulatedAddresses } from './addresses.ts';
import { Clients } from './clients.ts';
import { Dice } from './dice.ts';
import { Disk, KilledInCall } from './disk.ts';
import { EventLoop, type Process, processLabel } from './event-loop.ts';
import { FaultInjector } from './fault-injector.ts';
import { HeldNames } from './held-names.ts';
import { LOG_DIRECTORY, SimulatedIndexDisk } from './index-disk.ts';
import { Invariants } from './invariants.ts';
import { KeptOnDisk } from './kept-on-disk.ts';
import { LogObserver } from './log-observer.ts';
import { Network } from './network.ts';
import { drawPlan, type WorldPlan } from './plan.ts';
import type { Report } from './report.ts';
import { SimulatedArchive } from './simulated-archive.ts';
import { SimulatedBackend } from './simulated-backend.ts';
import type { Surroundings } from './surroundings.ts';
import { Trace } from './trace.ts';
import { connect, faulty, WatchedStore } from './watched-store.ts';

type Joining = Store & Reopening;

/** What is to be different: another plan, or a bug planted on purpose, a part that breaks a rule. */
export interface Mutation {
  readonly plan?: (plan: WorldPlan) => WorldPlan;
  readonly memory?: (invariants: Invariants, trace: Trace) => WatchedStore;
  readonly store?: (store: Joining, world: World, process: Process) => Joining;
  readonly processors?: (processors: Processors, world: World, process: Process) => Processors;
  readonly instance?: (parts: InstanceParts, world: World) => InstanceParts;
  readonly embedded?: (parts: EmbeddedParts) => EmbeddedParts;
}

const NAMES = ['backend-1', 'backend-2', 'backend-3'];

/**
 * After all has healed: time-outs, a lease, a rest after 429, a last health report that lied, and room to
 * spare.
 */
export const SETTLES_WITHIN_MS = 60_000;
const REST_STEP_MS = 100;
const ROOMY = { free: 2 ** 40, total: 2 ** 40 };
const NO_ROOM = { ...ROOMY, free: 0 };
/** A backend looks ten times a second. */
const ROOM_SEEN_MS = 100;
const TRACE_LINES = 120;

export class World implements Surroundings {
  readonly plan: WorldPlan;
  readonly eventLoop = new EventLoop();
  readonly trace: Trace;
  readonly invariants: Invariants;
  readonly keptOnDisk: KeptOnDisk;
  readonly memory: WatchedStore;
  readonly disk = new Disk();
  readonly index = new SimulatedIndexDisk();
  readonly archive = new SimulatedArchive();
  readonly observer: LogObserver;
  readonly addresses: SimulatedAddresses;
  readonly processors: SimulatedAddresses['processors'];
  readonly backends: readonly SimulatedBackend[];
  readonly faultInjector: FaultInjector;
  readonly #seed: number;
  readonly #clients: Clients;
  readonly #names: HeldNames;
  readonly #open = new Map<Process, EmbeddedStore>();
  isPreempting = false;
  #wasPreempted = false;

  constructor(seed: number, isTraced = false, mutation: Mutation = {}) {
    const { eventLoop } = this;
    const dice = new Dice(seed);
    const drawn = drawPlan(dice.fork(), seed);
    const plan = mutation.plan?.(drawn) ?? drawn;
    this.#seed = seed;
    this.plan = plan;
    this.trace = new Trace(isTraced, () => eventLoop.nowMs);
    const clock = {
      monotonicMs: () => eventLoop.nowMs,
      after: (delayMs: number, task: () => void) => eventLoop.after(delayMs, undefined, task),
    };
    this.addresses = new SimulatedAddresses(clock);
    this.processors = this.addresses.processors;
    this.invariants = new Invariants({
      eventLoop,
      addresses: this.addresses,
      policy: plan.policy,
      attemptTimeoutMs: plan.attemptTimeoutMs,
      wallOf: name => this.backends.find(instance => instance.name === name)!.wall,
      anyWallTurned: () => this.backends.some(({ wall }) => wall.turnedAtMs >= 0),
      say: (id, who, what) => this.trace.say(id, who, what),
    });
    this.memory =
      mutation.memory?.(this.invariants, this.trace) ?? new WatchedStore(this.invariants, this.trace);
    this.invariants.memory = this.memory;
    this.keptOnDisk = new KeptOnDisk(this);
    this.#names = new HeldNames(what => this.invariants.fail(undefined, what));
    const files = this.disk.filesOf(undefined, eventLoop);
    this.observer = new LogObserver(this.index, files, this.memory, this.invariants);
    this.disk.appended = () => this.observer.poll();
    this.backends = NAMES.map(name => this.#instance(name, dice.fork(), mutation));
    this.faultInjector = new FaultInjector(this, dice.fork());
    this.#clients = new Clients(this, this.faultInjector, dice.fork());
  }

  preempt(process: Process, forMs: number): void {
    if (this.isPreempting) return;
    const { eventLoop, invariants } = this;
    this.isPreempting = true;
    this.#wasPreempted = true;
    process.isPreempted = true;
    this.trace.say(undefined, processLabel(process), () => `is preempted for ${forMs} ms`);
    for (const untilMs = eventLoop.nowMs + forMs; this.#step(untilMs); ) {
      invariants.step();
      if (invariants.violations.length > 0 || this.#isAnyJoining) break;
    }
    process.isPreempted = false;
    eventLoop.release(process);
    eventLoop.active = process;
    this.isPreempting = false;
  }

  readLog(process: Process): void {
    for (const [other, store] of this.#open) {
      if (!other.alive) this.#open.delete(other);
      else if (other !== process && !other.stopped && !other.isPreempted) store.look(() => {});
    }
  }

  /** Lives through everything. */
  async run(): Promise<Report> {
    const { eventLoop, invariants, plan, faultInjector } = this;
    faultInjector.begin();
    this.#clients.begin();
    await this.#runUntil(plan.breakMs);
    faultInjector.heal();
    this.#clients.hurry();
    const healedMs = eventLoop.nowMs;
    while (
      !this.#isQuiet() &&
      eventLoop.nowMs < healedMs + SETTLES_WITHIN_MS &&
      invariants.violations.length === 0
    ) {
      await this.#runUntil(eventLoop.nowMs + REST_STEP_MS);
    }
    const settledInMs = eventLoop.nowMs - healedMs;
    if (invariants.violations.length === 0) {
      invariants.atRest();
      this.#checkLeaks();
      const wrong = this.archive.wrong(this.index, invariants.isPurged);
      if (wrong !== undefined) invariants.fail(undefined, wrong);
      this.#clients.audit();
      await this.#runUntil(eventLoop.nowMs + REST_STEP_MS * 10);
      this.#clients.closeAudit();
    }
    for (const { injected } of this.addresses.all.flat()) {
      for (const fault of FAULTS) if (injected[fault] > 0) faultInjector.met(fault, injected[fault]);
    }
    this.index.close();
    const { violations } = invariants;
    return {
      seed: this.#seed,
      violations,
      met: faultInjector.counts,
      virtualMs: eventLoop.nowMs,
      events: eventLoop.count,
      settledInMs,
      settled: this.addresses.all.flat().reduce((sum, { book }) => sum + book.size, 0),
      trace: violations.length === 0 ? [] : this.trace.tail(violations[0]!.id, TRACE_LINES),
    };
  }

  async #runUntil(untilMs: number): Promise<void> {
    const { eventLoop, invariants } = this;
    while (this.#step(untilMs)) {
      const { active } = eventLoop;
      // Promises are kept by an instance's own events only; the longest chain of them takes a few turns.
      if (this.#isAnyJoining || this.#wasPreempted || (active !== undefined && active.promises > 0)) {
        this.#wasPreempted = false;
        for (let turn = 0; turn < 8; turn++) await null;
      }
      invariants.step();
      if (invariants.violations.length > 0) return;
    }
  }

  get #isAnyJoining(): boolean {
    return this.backends.some(({ process }) => process?.isJoining === true && process.alive);
  }

  /**
   * An error that no one catches ends a process, as it does a real one. The model of a store on a server is
   * in none of them: where it contradicts itself, a promise is broken.
   */
  #step(untilMs: number): boolean {
    const { eventLoop } = this;
    try {
      return eventLoop.step(untilMs);
    } catch (error) {
      if (error instanceof KilledInCall) return true;
      const { active } = eventLoop;
      const instance = this.backends.find(({ name }) => name === active?.name);
      if (active !== undefined && instance !== undefined) instance.die(active, error);
      else if (error instanceof AssertionError)
        this.invariants.fail(undefined, `the store: ${error.message}`);
      else throw error;
      return true;
    }
  }

  /** Nothing is at work, waiting, unsettled or unanswered anywhere. */
  #isQuiet(): boolean {
    if (!this.#clients.isQuiet) return false;
    for (const payment of this.memory.payments.values())
      if (payment.state < SETTLED && !this.invariants.isHeldForGood(payment)) return false;
    for (const { id, owed } of this.invariants.payments.values()) {
      if (owed && !this.memory.payments.has(id)) return false;
    }
    return this.backends.every(instance => {
      if (instance.gone) return true;
      const { session } = instance;
      return (
        (this.plan.storeIsRemote || instance.joinedMount === this.disk.mount) &&
        instance.listening &&
        session !== undefined &&
        session.pool.size === 0 &&
        session.worker.atWork === 0 &&
        session.worker.isAccepting
      );
    });
  }

  /** Where everything has ended, nothing may be held any more, and all take payments. */
  #checkLeaks(): void {
    for (const { name, gone, session } of this.backends) {
      if (gone) continue;
      if (session === undefined) this.invariants.fail(undefined, `${name} has not joined`);
      else if (!session.worker.isAccepting)
        this.invariants.fail(undefined, `${name} takes no payments, though its store would`);
      else if (session.pool.size > 0) {
        const slot = session.pool.state.findIndex(
          (_, at) => session.pool.find(session.pool.words.subarray(at * 4, at * 4 + 4)) === at,
        );
        this.invariants.fail(
          slot < 0 ? undefined : session.pool.textOf(slot),
          `${name} still holds ${session.pool.size} payments`,
        );
      } else if (session.worker.atWork > 0) {
        this.invariants.fail(undefined, `${name} counts ${session.worker.atWork} attempts at work`);
      }
    }
  }

  #instance(name: string, dice: Dice, mutation: Mutation): SimulatedBackend {
    const { eventLoop, plan, disk, trace, invariants, processors, memory } = this;
    const instance: SimulatedBackend = new SimulatedBackend(name, {
      eventLoop,
      dice,
      plan,
      disk,
      connect: async (process, clock) => {
        if (plan.storeIsRemote) this.#names.take(process);
        const store = plan.storeIsRemote
          ? connect(
              {
                world: memory,
                eventLoop,
                boot: `${this.faultInjector.machine.boots}`,
                goesBack: plan.rates.storeOlder > 0,
                durable: plan.ackAfter === 'flush' ? 'power' : 'process',
                delayMs: () => this.faultInjector.storeDelayMs(),
                fault: call => this.faultInjector.storeFault(call, process),
                losesReply: () => this.faultInjector.losesReply(),
              },
              process,
            )
          : await this.#openEmbedded(instance, process, clock, mutation);
        return mutation.store?.(store, this, process) ?? store;
      },
      addresses: this.addresses,
      network: process => {
        const network = new Network(
          {
            eventLoop,
            dice: dice.fork(),
            processors,
            invariants,
            trace,
            attemptTimeoutMs: plan.attemptTimeoutMs,
            delayMs: plan.networkDelayMs,
            strikes: kind => this.faultInjector.strikes(kind),
            refused: (to: ProcessorIndex) => this.faultInjector.refused(to),
          },
          process,
        );
        return mutation.processors?.(network, this, process) ?? network;
      },
      storeDisk: this.#keepsReserve(name)
        ? { baseBytes: 1, look: () => (this.faultInjector.noRoomSinceMs === undefined ? ROOMY : NO_ROOM) }
        : undefined,
      accepted: () => {
        const sinceMs = this.faultInjector.noRoomSinceMs ?? Infinity;
        if (this.#keepsReserve(name) && eventLoop.nowMs - sinceMs > ROOM_SEEN_MS)
          invariants.fail(undefined, `${name} accepted a payment for which the disk has no room`);
      },
      wired: parts => mutation.instance?.(parts, this) ?? parts,
      died: (instance, error) => this.faultInjector.died(instance, error),
      say: (who, what) => trace.say(undefined, who, what),
    });
    return instance;
  }

  /** One does not: there the store itself says that its disk is full. */
  #keepsReserve(name: string): boolean {
    return !this.plan.storeIsRemote && name !== NAMES[0];
  }

  /** The engine of one machine, on the modelled disk. */
  async #openEmbedded(
    backend: SimulatedBackend,
    process: Process,
    clock: Clock,
    mutation: Mutation,
  ): Promise<Joining> {
    const { eventLoop, disk, plan, faultInjector, index, archive } = this;
    const faults = faultInjector.diskFaultsOf(process, () => backend.killProcess(process));
    const files = disk.filesOf(process, eventLoop, faults);
    // Of its own for each process: those that join at one moment know their batches by it.
    const dice = new Dice(this.#seed + process.life * NAMES.length + NAMES.indexOf(process.name));
    const later = (task: () => void): void =>
      void eventLoop.after(0.05 + faultInjector.storeDelayMs() / 4, process, task);
    const parts: EmbeddedParts = {
      takeName: () => this.#names.take(process),
      directory: '',
      logDirectory: LOG_DIRECTORY,
      files,
      index: new InProcessIndexClient({
        ...{ files, logDirectory: LOG_DIRECTORY, database: () => index.database, disk: index, archive },
        wallMs: () => clock.wallMs(),
        schedule: carryOut => later(() => later(carryOut())),
      }),
      clock,
      boot: faultInjector.machine.boots,
      isFlushing: plan.ackAfter === 'flush',
      ...(plan.retentionMs > 0 && {
        retention: { keptMs: plan.retentionMs, idsKeptMs: Infinity, exactFromMs: 0 },
      }),
      isDiskDoubtful: backend.joinedMount < disk.mount,
      nonce: () => dice.whole(1, 2 ** 48),
      segmentBytes: plan.segmentRecords * 64,
      indexLag: plan.indexLag,
      events: {
        // The log may go on in another place than it ended, or the index have what the log has not any more.
        damaged: ({ is }) => is !== 'torn' && this.observer.rebuild(),
        notIndexed: () => {},
      },
    };
    const store = await EmbeddedStore.open(mutation.embedded?.(parts) ?? parts);
    this.#names.opened(process);
    this.#open.set(process, store);
    return faulty(
      store,
      later,
      call => faultInjector.storeFault(call, process),
      () => faultInjector.losesReply(),
    );
  }
}

/** Runs one seed; where it breaks a promise, once more with a trace. */
export async function simulate(seed: number, mutation: Mutation = {}): Promise<Report> {
  const report = await new World(seed, false, mutation).run();
  if (report.violations.length === 0) return report;
  return new World(seed, true, mutation).run();
}
