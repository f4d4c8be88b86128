/**
 * One backend of the world: the real service and session on a virtual clock, in a process that can be killed, stopped,
 * resumed and asked to leave. Wires the parts as `backend.ts` does; `arrive` is what `http/server` makes of a request.
 */
import type { Clock } from '../../clock.ts';
import {
  ACCEPTED,
  type Acceptance,
  CONFLICT,
  type PaymentView,
  type Summary,
  UNAVAILABLE,
  Unavailable,
} from '../../payments/payments.ts';
import { Service } from '../../payments/service.ts';
import { Session, type SessionParts } from '../../payments/session.ts';
import { Breaker } from '../../processors/breaker.ts';
import type { Processors } from '../../processors/processors.ts';
import type { Files } from '../../store/files.ts';
import { Follower } from '../../store/follow.ts';
import { Log } from '../../store/log.ts';
import type { Store } from '../../store/store.ts';
import type { Dice } from './dice.ts';
import type { Disk } from './disk.ts';
import { DiskError } from './disk.ts';
import type { Plan } from './plan.ts';
import { Process, type Timeline, VirtualClock, type WallClock } from './timeline.ts';

/** As in `backend.ts`. */
const STOP_MS = 2500;
const REJOIN_MS = 500;

/** What a client is told: a status, or nothing, because the process died. */
export type Told = 202 | 409 | 503 | 'nothing';

export interface InstanceParts {
  readonly timeline: Timeline;
  readonly dice: Dice;
  readonly plan: Plan;
  readonly disk: Disk;
  /** The parts of a new process; a mutation may have been at them. */
  connect(process: Process): Store;
  network(process: Process): Processors;
  files(process: Process): Files;
  wired(parts: SessionParts): SessionParts;
  /** A process died: by a signal, or of an error that it did not expect. */
  died(instance: Instance, error: unknown): void;
  /** It was taken for dead, and joins anew. */
  fenced(instance: Instance): void;
  say(who: string, what: () => string): void;
}

const STATUS = { [ACCEPTED]: 202, [CONFLICT]: 409, [UNAVAILABLE]: 503 } as const;

interface Open {
  readonly process: Process;
  readonly lost: () => void;
}

export class Instance {
  readonly name: string;
  readonly wall: WallClock & { turnedAtMs: number } = { offsetMs: 0, turnedAtMs: -1 };
  process: Process | undefined;
  service: Service | undefined;
  /** It takes requests. */
  listening = false;
  /** It will not be started again. */
  gone = false;
  readonly #parts: InstanceParts;
  #lives = 0;
  #clock!: Clock;
  #session: Session | undefined;
  #leaving = false;
  #breakers: readonly [Breaker, Breaker] = [new Breaker(), new Breaker()];
  /** Questions that nobody answered yet. */
  readonly #open = new Set<Open>();
  /** What this turn of the event loop will answer when it has committed. */
  #turn: ((stored: boolean) => void)[] = [];
  #turnIsDue = false;

  constructor(name: string, parts: InstanceParts) {
    this.name = name;
    this.#parts = parts;
  }

  get isUp(): boolean {
    return this.process?.alive === true;
  }

  get session(): Session | undefined {
    return this.isUp ? this.#session : undefined;
  }

  /** Starts a process. */
  start(): void {
    const { timeline, plan } = this.#parts;
    const process = new Process(this.name, ++this.#lives, timeline.nowMs);
    this.process = process;
    this.#leaving = false;
    this.#breakers = [new Breaker(), new Breaker()];
    this.#session = undefined;
    this.#turn = [];
    this.#turnIsDue = false;
    this.#clock = new VirtualClock(timeline, process, this.wall);
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
        this.listening = true;
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
    this.listening = false;
    this.#say(() => 'is asked to leave');
    service.announceStop();
    // What was read is answered first.
    const drained = (): void => {
      if (this.#open.size > 0 && !late()) {
        this.#clock.after(20, drained);
        return;
      }
      this.#hangUp(process);
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
    this.#deliver(process, drained);
  }

  /** A `POST /payments` arrives. `generation`: of the session that heard it. */
  pay(id: Int32Array, cents: number, told: (told: Told, generation: number) => void): void {
    let generation = 0;
    this.#ask<Told>(
      'nothing',
      status => told(status, generation),
      (process, service, answer) => {
        generation = service.session?.generation ?? 0;
        const tell = (acceptance: Acceptance): void => answer(STATUS[acceptance]);
        const acceptance = service.accept(id, cents);
        if (typeof acceptance !== 'number') this.#promise(process, acceptance, tell, () => answer(503));
        else if (acceptance === ACCEPTED) this.#atEndOfTurn(process, service, tell);
        else tell(acceptance);
      },
    );
  }

  /** A `GET /payments/{id}` arrives; null: `503`, or the process died. */
  find(id: Uint8Array, told: (view: PaymentView | undefined | null) => void): void {
    this.#ask<PaymentView | undefined | null>(null, told, (process, service, answer) => {
      this.#promise(process, service.find(id), answer, () => answer(null));
    });
  }

  /** A `GET /payments-summary` arrives. */
  summary(fromMs: number, toMs: number, told: (summary: Summary | null) => void): void {
    this.#ask<Summary | null>(null, told, (process, service, answer) => {
      this.#promise(process, service.summary(fromMs, toMs), answer, () => answer(null));
    });
  }

  /** A `POST /purge-payments` arrives. */
  purge(told: (done: boolean) => void): void {
    this.#ask<boolean>(false, told, (process, service, answer) => {
      this.#promise(
        process,
        service.purge(),
        () => answer(true),
        () => answer(false),
      );
    });
  }

  /** Questions on their way here. */
  get open(): number {
    return this.#open.size;
  }

  async #begin(process: Process, service: Service, parts: SessionParts): Promise<void> {
    process.promises += 1;
    const session = await Session.begin(parts).finally(() => {
      process.promises -= 1;
    });
    this.#say(() => 'has joined');
    this.#session = session;
    service.session = session;
  }

  #sessionParts(process: Process, service: Service, store: Store): SessionParts {
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
      openLog: generation =>
        new Log('', instance, generation, plan.ackAfter === 'flush', files, plan.segmentRecords),
      follow: events => this.#follow(new Follower('', instance, events, files)),
      queueCapacity: plan.queueCapacity,
      concurrency: plan.concurrency,
      events: {
        settled: () => {},
        attempted: () => {},
        faulty: () => {},
        fenced: () => this.#fenced(process, service, store),
        died: other => this.#say(() => `declares ${other} dead`),
        adopted: (other, count) => this.#say(() => `adopts ${count} payments of ${other}`),
        checking: mine => this.#say(() => (mine ? 'asks the health' : 'does not ask the health')),
        shared: () => {},
        figures: () => '',
      },
    });
  }

  /** Spares the follower the looks at a disk on which nothing happened. */
  #follow(follower: Follower): Pick<Follower, keyof Follower> {
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
      forget: generation => follower.forget(generation),
      close: () => follower.close(),
    };
  }

  #fenced(process: Process, service: Service, store: Store): void {
    this.#say(() => 'is fenced');
    service.session = undefined;
    this.#session = undefined;
    process.rejoined = true;
    this.#parts.fenced(this);
    if (this.#leaving) return;
    const rejoin = (): void => {
      this.#begin(process, service, this.#sessionParts(process, service, store)).catch(error => {
        if (!(error instanceof Unavailable || error instanceof DiskError)) this.#crash(process, error);
        else this.#clock.after(REJOIN_MS, rejoin);
      });
    };
    rejoin();
  }

  /** Has a request heard by the process: at once, or when it goes on. */
  #deliver(process: Process, task: () => void): void {
    const { timeline } = this.#parts;
    if (process.stopped) timeline.after(0, process, task);
    else {
      timeline.active = process;
      task();
    }
  }

  /** Has the process answer a question, once; `none` where it dies first or does not listen. */
  #ask<T>(
    none: T,
    told: (answer: T) => void,
    question: (process: Process, service: Service, answer: (value: T) => void) => void,
  ): void {
    const { process, service } = this;
    if (process?.alive !== true || !this.listening || service === undefined) {
      told(none);
      return;
    }
    const open: Open = { process, lost: () => told(none) };
    this.#open.add(open);
    this.#deliver(process, () =>
      question(process, service, value => {
        if (this.#open.delete(open)) told(value);
      }),
    );
  }

  #promise<T>(process: Process, promise: Promise<T>, then: (value: T) => void, failed: () => void): void {
    process.promises += 1;
    promise.then(
      value => {
        process.promises -= 1;
        then(value);
      },
      error => {
        process.promises -= 1;
        if (error instanceof Unavailable) failed();
        else this.#crash(process, error);
      },
    );
  }

  #atEndOfTurn(process: Process, service: Service, tell: (acceptance: Acceptance) => void): void {
    this.#turn.push(stored => tell(stored ? ACCEPTED : UNAVAILABLE));
    if (this.#turnIsDue) return;
    this.#turnIsDue = true;
    const { timeline, dice } = this.#parts;
    timeline.after(dice.between(0, 0.3), process, () => {
      this.#turnIsDue = false;
      const turn = this.#turn;
      this.#turn = [];
      const stored = service.commit();
      const decide = (kept: boolean): void => {
        for (const each of turn) each(kept);
      };
      if (typeof stored === 'boolean') decide(stored);
      else this.#promise(process, stored, decide, () => decide(false));
    });
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
    this.listening = false;
    this.#hangUp(process);
  }

  /** Closes every connection. */
  #hangUp(process: Process): void {
    const lost = [...this.#open].filter(open => open.process === process);
    for (const open of lost) {
      this.#open.delete(open);
      open.lost();
    }
  }

  #say(what: () => string): void {
    this.#parts.say(`${this.name}/${this.#lives}`, what);
  }
}
