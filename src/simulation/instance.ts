/**
 * One backend of the world: the real service and session on a virtual clock, in a process that can be killed,
 * stopped, resumed and asked to leave. Wires the parts as `backend.ts` does; `arrive` is what `http/server`
 * makes of a request.
 */
import type { Clock } from '../domain/clock.ts';
import { Unavailable } from '../payments/api.ts';
import { NONE } from '../payments/payment-pool.ts';
import { Service } from '../payments/service.ts';
import { Session, type SessionParts } from '../payments/session.ts';
import { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Processors } from '../processors/port.ts';
import { FileLog } from '../storage/embedded/file-log.ts';
import type { Files } from '../storage/embedded/files.ts';
import { SharedDirectoryFeed } from '../storage/embedded/shared-directory-feed.ts';
import type { Reopening, Store, StoreFault } from '../storage/ports.ts';
import type { Dice } from './dice.ts';
import type { Disk } from './disk.ts';
import { DiskError } from './disk.ts';
import { type EventLoop, Process, ProcessClock, type WallClock } from './event-loop.ts';
import { Ingress } from './ingress.ts';
import type { WorldPlan } from './plan.ts';

/** As in `backend.ts`. */
const STOP_MS = 2500;
const REJOIN_MS = 500;

export interface InstanceParts {
  readonly timeline: EventLoop;
  readonly dice: Dice;
  readonly plan: WorldPlan;
  readonly disk: Disk;
  /** The parts of a new process; a mutation may have been at them. */
  connect(process: Process): Store & Reopening;
  network(process: Process): Processors;
  files(process: Process): Files;
  wired(parts: SessionParts): SessionParts;
  /** A process died: by a signal, or of an error that it did not expect. */
  died(instance: Instance, error: unknown): void;
  /** It was taken for dead, or its store broke, and joins anew. */
  rejoins(instance: Instance): void;
  say(who: string, what: () => string): void;
}

export class Instance {
  readonly name: string;
  readonly wall: WallClock & { turnedAtMs: number } = { offsetMs: 0, turnedAtMs: -1 };
  process: Process | undefined;
  service: Service | undefined;
  readonly door: Ingress;
  /** It will not be started again. */
  gone = false;
  /** The disk was taken out so often when this last joined. */
  joinedMount = 1;
  readonly #parts: InstanceParts;
  #lives = 0;
  #clock!: Clock;
  #session: Session | undefined;
  #leaving = false;
  #breakers: readonly [CircuitBreaker, CircuitBreaker] = [new CircuitBreaker(), new CircuitBreaker()];

  constructor(name: string, parts: InstanceParts) {
    this.name = name;
    this.#parts = parts;
    this.door = new Ingress({
      timeline: parts.timeline,
      dice: parts.dice,
      crash: (process, error) => this.#crash(process, error),
    });
  }

  /** It takes requests. */
  get listening(): boolean {
    return this.door.isOpen;
  }

  get isUp(): boolean {
    return this.process?.alive === true;
  }

  get session(): Session | undefined {
    return this.isUp ? this.#session : undefined;
  }

  /** When it took a payment into its queue; Infinity: it is not there. */
  heldSinceMs(id: Int32Array): number {
    const slot = this.session?.pool.find(id) ?? NONE;
    return slot === NONE ? Infinity : this.session!.pool.acceptedMonotonicMs[slot]!;
  }

  /** Starts a process. */
  start(): void {
    const { timeline, plan } = this.#parts;
    const process = new Process(this.name, ++this.#lives, timeline.nowMs);
    this.process = process;
    this.#leaving = false;
    this.#breakers = [new CircuitBreaker(), new CircuitBreaker()];
    this.#session = undefined;
    this.#clock = new ProcessClock(timeline, process, this.wall);
    const store = this.#parts.connect(process);
    const { name: instance } = this;
    const service = new Service({
      store,
      clock: this.#clock,
      instance,
      ackAfter: plan.ackAfter,
      accepted: () => {},
    });
    this.service = service;
    this.#say(() => 'starts');
    const parts = this.#sessionParts(process, service, store);
    this.#begin(process, service, parts).then(
      () => {
        this.door.open(process, service);
      },
      error => this.#crash(process, error),
    );
  }

  /** SIGKILL. */
  kill(): void {
    if (this.process?.alive === true) this.#crash(this.process, undefined);
  }

  /** An error that nobody caught. */
  die(error: unknown): void {
    if (this.process?.alive === true) this.#crash(this.process, error);
  }

  /** SIGSTOP. */
  pause(): void {
    if (this.process === undefined) return;
    this.#say(() => 'is stopped');
    this.process.stopped = true;
  }

  /** SIGCONT. */
  resume(): void {
    const { process } = this;
    if (process?.alive !== true || !process.stopped) return;
    this.#say(() => 'goes on');
    this.#parts.timeline.resume(process);
  }

  /** SIGTERM: `left` is called when the process has ended, unless it died before. */
  leave(left: () => void): void {
    const { process, service } = this;
    if (process?.alive !== true || this.#leaving || service === undefined) return;
    this.#leaving = true;
    this.door.close();
    this.#say(() => 'is asked to leave');
    service.announceStop();
    // What was read is answered first.
    const drained = (): void => {
      if (this.door.waiting > 0 && !late()) {
        this.#clock.after(20, drained);
        return;
      }
      this.door.hangUp(process);
      const stopped = this.#session?.stop(this.#clock.monotonicMs() + STOP_MS) ?? Promise.resolve();
      process.promises += 1;
      void stopped.then(() => {
        process.promises -= 1;
        this.#say(() => 'has left');
        this.#end(process);
        left();
      });
    };
    const lateAtMs = this.#clock.monotonicMs() + 1500;
    const late = (): boolean => this.#clock.monotonicMs() >= lateAtMs;
    this.door.deliver(process, drained);
  }

  async #begin(process: Process, service: Service, parts: SessionParts): Promise<void> {
    process.promises += 1;
    const session = await Session.begin(parts).finally(() => {
      process.promises -= 1;
    });
    this.#say(() => 'has joined');
    this.joinedMount = this.#parts.disk.mount;
    this.#session = session;
    service.session = session;
  }

  #sessionParts(process: Process, service: Service, store: Store & Reopening): SessionParts {
    const { plan, dice, network } = this.#parts;
    const { name: instance } = this;
    const files = this.#parts.files(process);
    return this.#parts.wired({
      store,
      processors: network(process),
      breakers: this.#breakers,
      clock: this.#clock,
      chance: dice.roll,
      policy: plan.policy,
      instance,
      openLog: joined =>
        new FileLog('', instance, joined, plan.ackAfter === 'flush', files, plan.segmentRecords),
      follow: events => this.#follow(new SharedDirectoryFeed('', instance, events, files)),
      queueCapacity: plan.queueCapacity,
      concurrency: plan.concurrency,
      events: {
        settled: () => {},
        attempted: () => {},
        faulty: () => {},
        fenced: () => {
          this.#say(() => 'is fenced');
          this.#rejoin(process, service, store, false);
        },
        broken: fault => {
          this.#say(() => `finds the store broken: ${fault.detail}`);
          this.#rejoin(process, service, store, true);
        },
        lostWrites: count => this.#say(() => `pins ${count} payments that may have been sent`),
        died: other => this.#say(() => `declares ${other} dead`),
        adopted: (other, count) => this.#say(() => `adopts ${count} payments of ${other}`),
        checking: mine => this.#say(() => (mine ? 'asks the health' : 'does not ask the health')),
        shared: () => {},
        figures: () => '',
      },
    });
  }

  /** Spares the follower the looks at a disk on which nothing happened. */
  #follow(follower: SharedDirectoryFeed): Pick<SharedDirectoryFeed, keyof SharedDirectoryFeed> {
    const { disk } = this.#parts;
    let seen = -1;
    let seenGeneration = -1;
    return {
      poll: generation => {
        if (seen === disk.version && seenGeneration === generation) return;
        seen = disk.version;
        seenGeneration = generation;
        follower.poll(generation);
      },
      find: id => follower.find(id),
      conflicts: (id, cents) => follower.conflicts(id, cents),
      forget: generation => follower.forget(generation),
      close: () => follower.close(),
    };
  }

  #rejoin(process: Process, service: Service, store: Store & Reopening, isBroken: boolean): void {
    service.session = undefined;
    this.#session = undefined;
    process.rejoined = true;
    this.#parts.rejoins(this);
    if (this.#leaving) return;
    let isStoreBroken = isBroken;
    const rejoin = (): void => {
      if (isStoreBroken) void store.reopen();
      this.#begin(process, service, this.#sessionParts(process, service, store)).catch(error => {
        if (!(error instanceof Unavailable || error instanceof DiskError)) return this.#crash(process, error);
        isStoreBroken ||= breaks(error);
        this.#clock.after(REJOIN_MS, rejoin);
      });
    };
    rejoin();
  }

  #crash(process: Process, error: unknown): void {
    if (!process.alive) return;
    this.#say(() => (error === undefined ? 'is killed' : `dies of ${error}`));
    this.#end(process);
    this.#parts.died(this, error);
  }

  #end(process: Process): void {
    process.alive = false;
    process.held = [];
    this.door.close();
    this.door.hangUp(process);
  }

  #say(what: () => string): void {
    this.#parts.say(`${this.name}/${this.#lives}`, what);
  }
}

/** As in `backend.ts`. */
function breaks(error: Unavailable | DiskError): boolean {
  if (error instanceof DiskError) return error.code !== 'ENOSPC';
  return (error.cause as StoreFault).reason === 'broken';
}
