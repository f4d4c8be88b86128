/**
 * One backend of the world: the real instance on a virtual clock, in a process that can be killed, stopped,
 * resumed and asked to leave, as `main` runs it in a real one.
 */
import type { Clock } from '../domain/clock.ts';
import type { Wish } from '../operator/hand.ts';
import { OperatorHand } from '../operator/hand.ts';
import type { StoreDisk } from '../payments/disk-reserve.ts';
import { Instance, type InstanceParts, type InstanceState } from '../payments/instance.ts';
import { settleAddresses } from '../payments/processor-addresses.ts';
import type { Session } from '../payments/session.ts';
import { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Processors } from '../processors/port.ts';
import type { Reopening, Store } from '../storage/ports.ts';
import type { SimulatedAddresses } from './addresses.ts';
import type { Dice } from './dice.ts';
import type { Disk } from './disk.ts';
import { type EventLoop, Process, ProcessClock, processLabel, type WallClock } from './event-loop.ts';
import { Ingress } from './ingress.ts';
import { LATEST_RECORD_MS, mayForget, type WorldPlan } from './plan.ts';

/** As in `main.ts`. */
const DRAIN_MS = 1500;

export interface SimulatedBackendParts {
  readonly eventLoop: EventLoop;
  readonly dice: Dice;
  readonly plan: WorldPlan;
  readonly disk: Disk;
  /** The parts of a new process; a mutation may have been at them. */
  connect(process: Process, clock: Clock): Promise<Store & Reopening>;
  network(process: Process): Processors;
  readonly addresses: Pick<SimulatedAddresses, 'urls' | 'mayHold'>;
  /** The disk of its store; undefined where nothing of it is kept free. */
  readonly storeDisk: StoreDisk | undefined;
  /** It has said that a new payment is accepted. */
  accepted(): void;
  wired(parts: InstanceParts): InstanceParts;
  /** A process died: by a signal, or of an error that it did not expect. */
  died(backend: SimulatedBackend, error: unknown): void;
  say(who: string, what: () => string): void;
}

export class SimulatedBackend {
  readonly name: string;
  readonly wall: WallClock & { turnedAtMs: number } = { offsetMs: 0, turnedAtMs: -1 };
  process: Process | undefined;
  readonly ingress: Ingress;
  /** It will not be started again. */
  gone = false;
  /** The disk was taken out so often when this last joined. */
  joinedMount = 1;
  readonly #parts: SimulatedBackendParts;
  #lives = 0;
  #instance: Instance | undefined;
  #hand: OperatorHand | undefined;
  #isLeaving = false;
  #joined: Session | undefined;
  readonly #seconds = new Map<Process, (error: unknown) => void>();

  constructor(name: string, parts: SimulatedBackendParts) {
    this.name = name;
    this.#parts = parts;
    this.ingress = new Ingress({
      eventLoop: parts.eventLoop,
      dice: parts.dice,
      crash: (process, error) => this.#crash(process, error),
    });
  }

  /** It takes requests. */
  get listening(): boolean {
    return this.ingress.isOpen;
  }

  get isUp(): boolean {
    return this.process?.alive === true;
  }

  get session(): Session | undefined {
    return this.isUp ? this.#instance?.session : undefined;
  }

  get isQueueFull(): boolean {
    return this.isUp && this.#instance?.readiness().reasons.includes('the queue is full') === true;
  }

  /** Starts a process. */
  start(): void {
    const { eventLoop } = this.#parts;
    const process = new Process(this.name, ++this.#lives, eventLoop.nowMs);
    this.process = process;
    this.#isLeaving = false;
    this.#say(process, () => 'starts');
    const clock = new ProcessClock(eventLoop, process, this.wall);
    process.isJoining = true;
    this.#instance = undefined;
    this.#begin(process, clock).then(
      instance => {
        if (process.alive) this.ingress.open(process, instance);
        process.isJoining = !('session' in instance.state);
      },
      error => this.#crash(process, error),
    );
  }

  /** Starts another process of this name; `ended` gets what it ended of, undefined: it was killed. */
  startSecond(ended: (error: unknown) => void): { kill(): void } {
    const { eventLoop } = this.#parts;
    const process = new Process(this.name, ++this.#lives, eventLoop.nowMs);
    // Whatever it waits for is seen to after each of its events.
    process.promises = 1;
    const end = (error: unknown): void => {
      if (!process.alive) return;
      this.#say(process, () => `is ended, the second of its name: ${error}`);
      process.alive = false;
      process.held = [];
      this.#parts.disk.closeAll(process);
      ended(error);
    };
    this.#seconds.set(process, end);
    this.#say(process, () => 'is started, the second of its name');
    const clock = new ProcessClock(eventLoop, process, this.wall);
    const begin = async (): Promise<void> => {
      const store = await this.#parts.connect(process, clock);
      await new Instance(this.#instanceParts(process, clock, store)).start();
    };
    begin().catch(end);
    return { kill: () => end(undefined) };
  }

  /** An operator's act arrives, at a process that may not end it. */
  act(wish: Wish): void {
    if (this.#hand !== undefined) this.ingress.act(this.#hand, wish);
  }

  /** SIGKILL. */
  kill(): void {
    if (this.process !== undefined) this.killProcess(this.process);
  }

  /** All processes of this name end with the machine. */
  killAll(): void {
    for (const process of this.#seconds.keys()) this.killProcess(process);
    this.kill();
  }

  killProcess(process: Process): void {
    this.die(process, undefined);
  }

  /** An error that nothing caught. */
  die(process: Process, error: unknown): void {
    if (!process.alive) return;
    if (process === this.process) this.#crash(process, error);
    else this.#seconds.get(process)?.(error);
  }

  /** SIGSTOP. */
  pause(): void {
    if (this.process === undefined) return;
    this.#say(this.process, () => 'is stopped');
    this.process.stopped = true;
  }

  /** SIGCONT. */
  resume(): void {
    const { process } = this;
    if (process?.alive !== true || !process.stopped) return;
    this.#say(process, () => 'goes on');
    this.#parts.eventLoop.resume(process);
  }

  /** SIGTERM: `left` is called when the process has ended, unless it died before. */
  leave(left: () => void): void {
    const process = this.process;
    const instance = this.#instance;
    if (process?.alive !== true || process.isPreempted || this.#isLeaving || instance === undefined) return;
    const { eventLoop } = this.#parts;
    this.#isLeaving = true;
    this.ingress.close();
    this.#say(process, () => 'is asked to leave');
    instance.announceStop();
    const lateAtMs = eventLoop.nowMs + DRAIN_MS;
    // What was read is answered first.
    const drained = (): void => {
      if (this.ingress.waiting > 0 && eventLoop.nowMs < lateAtMs) {
        eventLoop.after(20, process, drained);
        return;
      }
      this.ingress.hangUp(process);
      process.promises += 1;
      instance.stop().then(
        () => {
          process.promises -= 1;
          this.#say(process, () => 'has left');
          this.#end(process);
          left();
        },
        error => this.die(process, error),
      );
    };
    this.ingress.deliver(process, drained);
  }

  async #begin(process: Process, clock: Clock): Promise<Instance> {
    const store = await this.#parts.connect(process, clock);
    const parts = this.#instanceParts(process, clock, store);
    const instance = new Instance(parts);
    this.#instance = instance;
    this.#hand = new OperatorHand({ ...parts, instance });
    await instance.start();
    return instance;
  }

  #instanceParts(process: Process, clock: Clock, store: Store & Reopening): InstanceParts {
    const { plan, dice, network, storeDisk, accepted, addresses } = this.#parts;
    const { name } = this;
    return this.#parts.wired({
      store,
      processors: network(process),
      breakers: [new CircuitBreaker(), new CircuitBreaker()],
      clock,
      chance: dice.roll,
      policy: plan.policy,
      instance: name,
      queueCapacity: plan.queueCapacity,
      disk: storeDisk,
      joined: async () => {
        const { urls, mayHold } = addresses;
        await settleAddresses({ store, urls, mayHold, nowMs: () => clock.wallMs() });
      },
      concurrency: plan.concurrency,
      askAfterMs: mayForget(plan.rates) ? LATEST_RECORD_MS : 15_000,
      events: {
        accepted,
        settled: () => {},
        attempted: () => {},
        amountDiffers: () => {},
        changed: state => this.#changed(process, state),
        cannotJoin: () => {},
        failed: error => this.die(process, error),
        lostWrites: count => this.#say(process, () => `pins ${count} payments that may have been sent`),
        doubled: (id, by) =>
          this.#say(process, () => `finds ${id} at both processors, and books it at ${by}`),
        died: other => this.#say(process, () => `declares ${other} dead`),
        adopted: (other, count) => this.#say(process, () => `adopts ${count} payments of ${other}`),
        checking: mine => this.#say(process, () => (mine ? 'asks the health' : 'does not ask the health')),
        shared: () => {},
        figures: () => '',
      },
    });
  }

  #changed(process: Process, state: InstanceState): void {
    if (process !== this.process) return;
    // Joining goes from promise to promise, and only the events of this process fulfil them.
    process.isJoining = !('session' in state) || !this.ingress.isOpen;
    if (state.is === 'live') {
      if (state.session === this.#joined) return;
      this.#joined = state.session;
      this.#say(process, () => 'has joined');
      this.joinedMount = this.#parts.disk.mount;
      return;
    }
    if (state.is === 'joining' || state.is === 'stopping') return;
    this.#say(process, () =>
      state.is === 'store lost' ? `finds the store lost: ${state.detail}` : `is ${state.is}`,
    );
    process.rejoined = true;
  }

  #crash(process: Process, error: unknown): void {
    if (!process.alive) return;
    this.#say(process, () => (error === undefined ? 'is killed' : `dies of ${error}`));
    this.#end(process);
    this.#parts.died(this, error);
  }

  #end(process: Process): void {
    process.alive = false;
    process.held = [];
    this.#parts.disk.closeAll(process);
    this.ingress.close();
    this.ingress.hangUp(process);
  }

  /** A second process of the name may have been started since. */
  #say(process: Process, what: () => string): void {
    this.#parts.say(processLabel(process), what);
  }
}
