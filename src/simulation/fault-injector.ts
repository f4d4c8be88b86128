/** Everything that goes wrong while the bad phase lasts, by the rates of the plan; healed at its end. */
import type { ProcessorIndex } from '../domain/payment.ts';
import { isSystemError } from '../domain/system-error.ts';
import { Unavailable } from '../domain/unavailable.ts';
import { PinnedElsewhere } from '../payments/processor-addresses.ts';
import { type Faults, NO_FAULTS, OTHER_FAULTS, POST_FAULTS } from '../processor-simulator/faults.ts';
import { type Store, StoreFault, StoreOpenError } from '../storage/ports.ts';
import type { Dice } from './dice.ts';
import type { DiskFaults } from './disk.ts';
import type { Process } from './event-loop.ts';
import { MachineFaults } from './machine-faults.ts';
import type { StoreCopy } from './older-copy.ts';
import { Operator } from './operator.ts';
import { DOUBTED_LATE_MS, DOUBTED_SLOW_MS, type Kind, mayForget } from './plan.ts';
import type { SimulatedBackend } from './simulated-backend.ts';
import { Spells } from './spells.ts';
import type { Surroundings } from './surroundings.ts';

const HOUR_MS = 3_600_000;

/** The probability of a message's fault where its rate is 1. */
const MESSAGE_MAX: Partial<Record<Kind, number>> = {
  requestLost: 0.3,
  requestTwice: 0.5,
  responseLost: 0.3,
  messageLate: 0.3,
  refused: 0.5,
  preempted: 0.1,
  writeCut: 0.02,
  halfSeen: 0.2,
};

export class FaultInjector {
  readonly counts = new Map<Kind, number>();
  readonly machine: MachineFaults;
  readonly #world: Surroundings;
  readonly #dice: Dice;
  readonly #spells: Spells;
  readonly #operator: Operator;
  /** Everything may break. */
  #raging = true;

  constructor(world: Surroundings, dice: Dice) {
    this.#world = world;
    this.#dice = dice;
    this.#spells = new Spells(() => world.eventLoop.nowMs);
    this.machine = new MachineFaults({
      ...{ world, dice },
      start: backend => this.start(backend),
      met: kind => this.met(kind),
    });
    this.#operator = new Operator(world, dice.fork(), what => this.machine.restart(what));
  }

  met(kind: Kind, count = 1): void {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + count);
  }

  /** Does a fault of a message strike now? */
  strikes(kind: Kind): boolean {
    if (!this.#raging) return false;
    const rate = this.#world.plan.rates[kind];
    if (!this.#dice.hits(rate * (MESSAGE_MAX[kind] ?? 0))) return false;
    this.met(kind);
    return true;
  }

  refused(to: ProcessorIndex): boolean {
    return this.#inSpell(`processorAway ${to}`);
  }

  storeDelayMs(): number {
    const { storeDelayMs } = this.#world.plan;
    const isSlow = this.#inSpell('storeSlow');
    const slowMs = isSlow ? this.#dice.between(20, 600) : 0;
    return storeDelayMs === 0 && slowMs === 0 ? 0 : this.#dice.between(0.5, 1.5) * storeDelayMs + slowMs;
  }

  storeFault(call: keyof Store, { name }: Process): StoreFault | undefined {
    const is = (reason: StoreFault['reason']): StoreFault =>
      new StoreFault(reason, `the modelled store is ${reason}`);
    // Of the log on a disk the disk itself says so.
    if (this.#world.plan.storeIsRemote && this.#isAway(name)) return is('unanswered');
    if (call === 'write' && this.#meets('storeFull')) return is('full');
    if (this.#meets('storeBusy')) return is('busy');
    return this.#meets('storeLost') ? is('lost') : undefined;
  }

  /** Since when the disk has had no room; undefined: it has some. */
  get noRoomSinceMs(): number | undefined {
    return this.#spells.at('logFull')?.sinceMs;
  }

  losesReply(): boolean {
    return this.#meets('replyLost');
  }

  /** Of the log, as a process uses it. */
  diskFaultsOf(process: Process, kill: () => void): DiskFaults {
    const world = this.#world;
    return {
      write: () => {
        if (this.#meets('logFull')) return 'refused';
        if (this.#meets('logTorn')) return 'torn';
        if (this.strikes('writeCut')) return 'cut';
        return this.strikes('halfSeen') ? 'half' : 'none';
      },
      beforeWrite: () => {
        if (this.strikes('preempted')) world.preempt(process, this.#dice.pick([0.3, 2, 20, 150, 3600]));
      },
      onHalf: () => world.readLog(process),
      kill,
      isAway: () => this.#isAway(process.name),
      create: () => {
        if (this.#meets('logFull')) return 'ENOSPC';
        return this.#meets('noDescriptors') ? 'EMFILE' : undefined;
      },
      open: () => this.#meets('noDescriptors'),
      sync: () => this.#meets('flushFails'),
      syncMs: () => this.#dice.between(0.1, 3),
    };
  }

  /** Whether an instance cannot reach the store. */
  #isAway(name: string): boolean {
    if (this.#world.plan.rates.storeAway === 0 || !this.#inSpell(`storeAway ${name}`)) return false;
    this.met('storeAway');
    return true;
  }

  /** Whether a spell of this kind is at work, and strikes now. */
  #meets(kind: Kind): boolean {
    if (this.#world.plan.rates[kind] === 0 || !this.#inSpell(kind)) return false;
    this.met(kind);
    return true;
  }

  /** Starts an instance, perhaps not for long. */
  start(instance: SimulatedBackend): void {
    if (instance.isUp || instance.gone || this.machine.isDown) return;
    instance.start();
    const { plan, eventLoop } = this.#world;
    if (!this.#raging || !this.#dice.hits(plan.rates.crashAtStart * 0.6)) return;
    const { process } = instance;
    eventLoop.after(this.#dice.between(0, 10 + plan.storeDelayMs * 6), process, () => {
      if (!this.#raging || instance.listening) return;
      this.met('crashAtStart');
      instance.kill();
    });
  }

  /** From now on everything may break. */
  begin(): void {
    const { backends } = this.#world;
    for (const instance of backends) this.start(instance);
    this.#breakProcessors();
    this.#repeat('crash', 1500, () => this.#anyUp(instance => instance.kill()));
    this.#repeat('checkerDies', 1500, () => {
      const checker = backends.find(({ name }) => name === this.#world.memory.checker);
      if (checker?.isUp !== true) return false;
      checker.kill();
      return true;
    });
    this.#repeat('neverBack', 2500, () => this.#neverBack());
    this.#repeat('pause', 1500, () => this.#pause(this.#dice.pick([5, 100, 800, 3200, 3500, 5000])));
    this.#repeat('slowTurns', 300, () => this.#pause(this.#dice.between(1, 90)));
    this.#repeat('stopGracefully', 2500, () => this.#anyUp(instance => this.#leave(instance)));
    this.#repeat('rollingRestart', 5000, () => this.#rollOn(0));
    this.#repeat('powerLoss', 3000, () => this.machine.losePower());
    this.#repeat('diskOut', 3000, () => this.machine.takeDiskOut());
    this.#repeat('urlChanged', 3000, () => !this.machine.isDown && this.#operator.changeAddress());
    this.#repeat('storeOlder', 2500, () => this.machine.goBack());
    this.#repeat('machineLost', 5000, () => this.machine.replace());
    this.#repeat('sameName', 1500, () => this.#startSecond());
    this.#repeat(
      'storeAway',
      2500,
      () => {
        const { name } = this.#dice.pick(backends);
        return this.#begin('storeAway', this.#dice.pick([50, 800, 4000]), ` ${name}`, 1);
      },
      false,
    );
    this.#repeat('wallBack', 2000, () => this.#turnWall(-1));
    this.#repeat('wallForth', 2000, () => this.#turnWall(1));
    for (const kind of [
      'storeFull',
      'storeBusy',
      'storeLost',
      'replyLost',
      'noDescriptors',
      'logFull',
      'logTorn',
      'flushFails',
    ] as const) {
      this.#repeat(kind, 2000, () => this.#begin(kind, this.#dice.pick([50, 300, 1500, 4000])), false);
    }
    this.#repeat('storeSlow', 1500, () => this.#begin('storeSlow', this.#dice.pick([300, 1500])));
    for (const to of [0, 1] as const) this.#breakProcessor(to);
    this.#repeat('healthAsked', 1500, () => {
      for (let times = this.#dice.whole(1, 3); times > 0; times--) {
        this.#dice.pick(this.#world.processors).health(() => {});
      }
      return true;
    });
  }

  /** From now on nothing breaks any more, and what is broken is repaired. */
  heal(): void {
    const { backends, addresses, trace, disk } = this.#world;
    trace.say(undefined, 'world', () => 'heals');
    this.#raging = false;
    this.#spells.endAll();
    disk.isOut = false;
    for (const processor of addresses.all.flat()) {
      processor.faults = NO_FAULTS;
      processor.failing = false;
      processor.delayMs = 1;
    }
    for (const instance of backends) {
      if (instance.wall.offsetMs !== 0) instance.wall.turnedAtMs = this.#world.eventLoop.nowMs;
      instance.wall.offsetMs = 0;
      instance.resume();
      this.start(instance);
    }
  }

  /** A process died: of a signal, or of an error. It is started again after a while. */
  died(instance: SimulatedBackend, error: unknown): void {
    this.#expect(instance, error);
    this.#startLater(instance);
  }

  #expect({ name }: SimulatedBackend, error: unknown): void {
    if (error instanceof PinnedElsewhere) this.#operator.refused();
    const isExpected =
      error === undefined ||
      isSystemError(error) ||
      error instanceof Unavailable ||
      error instanceof PinnedElsewhere ||
      error instanceof StoreOpenError;
    if (isExpected) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#world.invariants.fail(undefined, `${name} died of an error: ${text}`);
  }

  #startLater(instance: SimulatedBackend): void {
    const delayMs = this.#raging ? this.#dice.pick([20, 200, 600, 600, 4000]) : 100;
    this.#world.eventLoop.after(delayMs, undefined, () => this.start(instance));
  }

  /** Has a kind strike again and again, about every `everyMs` at a rate of 1. */
  #repeat(kind: Kind, everyMs: number, strike: () => boolean, counted = true): void {
    const rate = this.#world.plan.rates[kind];
    if (rate === 0) return;
    const again = (): void => {
      this.#world.eventLoop.after(this.#dice.between(0, (2 * everyMs) / Math.sqrt(rate)), undefined, () => {
        if (!this.#raging) return;
        // What is waited for by promises would be late by the time that the others had.
        if (!this.#world.isPreempting && strike() && counted) this.met(kind);
        again();
      });
    };
    again();
  }

  #anyUp(strike: (instance: SimulatedBackend) => void): boolean {
    const up = this.#world.backends.filter(({ isUp }) => isUp);
    if (up.length === 0) return false;
    strike(this.#dice.pick(up));
    return true;
  }

  #neverBack(): boolean {
    const here = this.#world.backends.filter(({ gone }) => !gone);
    if (here.length < 2) return false;
    const instance = this.#dice.pick(here);
    instance.gone = true;
    instance.kill();
    return true;
  }

  #pause(durationMs: number): boolean {
    return this.#anyUp(instance => {
      const { process } = instance;
      instance.pause();
      this.#world.eventLoop.after(durationMs, undefined, () => {
        if (instance.process !== process) return;
        instance.resume();
        this.#killSoon(instance);
      });
    });
  }

  /** What a process does in its first moments awake, it may do as one that was taken for dead. */
  #killSoon(instance: SimulatedBackend): void {
    const { rates } = this.#world.plan;
    const kind = this.#dice.hits(rates.neverBack * 0.3) ? 'neverBack' : 'crash';
    if (kind === 'crash' && !this.#dice.hits(rates.crash * 0.3)) return;
    this.#world.eventLoop.after(this.#dice.pick([0, 0.1, 1, 5, 80]), instance.process, () => {
      const others = this.#world.backends.filter(({ gone, name }) => !gone && name !== instance.name);
      if (!this.#raging || (kind === 'neverBack' && others.length === 0)) return;
      instance.gone = kind === 'neverBack';
      this.met(kind);
      instance.kill();
    });
  }

  /** As when somebody starts the stack twice. */
  #startSecond(): boolean {
    return this.#anyUp(instance => {
      const second = instance.startSecond(error => this.#expect(instance, error));
      this.#world.eventLoop.after(this.#dice.pick([100, 800, 4000]), undefined, () => second.kill());
    });
  }

  #leave(instance: SimulatedBackend, then: () => void = () => {}): void {
    instance.leave(() => {
      this.#startLater(instance);
      then();
    });
  }

  #rollOn(place: number): boolean {
    const instance = this.#world.backends[place];
    if (instance === undefined) return false;
    if (instance.isUp) this.#leave(instance, () => this.#rollOn(place + 1));
    else this.#rollOn(place + 1);
    return true;
  }

  /** Stops all instances, and starts them on an older copy of the store. */
  restore(copy: StoreCopy, asksFirstUntilMs: number): boolean {
    return this.#raging && this.machine.restore(copy, asksFirstUntilMs);
  }

  #turnWall(direction: 1 | -1): boolean {
    const { eventLoop, backends, trace } = this.#world;
    const byMs = direction * this.#dice.pick([HOUR_MS, HOUR_MS, 50, 5000]);
    const { wall, name } = this.#dice.pick(backends);
    trace.say(undefined, name, () => `has its wall clock turned by ${byMs} ms`);
    wall.offsetMs += byMs;
    wall.turnedAtMs = eventLoop.nowMs;
    return true;
  }

  #breakProcessors(): void {
    const { plan, processors } = this.#world;
    const faults: Record<string, number> = { ...NO_FAULTS };
    const sum = POST_FAULTS.reduce((so, fault) => so + plan.rates[fault], 0);
    for (const fault of POST_FAULTS) faults[fault] = (plan.rates[fault] / Math.max(1, sum)) * 0.8;
    for (const fault of OTHER_FAULTS) faults[fault] = plan.rates[fault] * 0.8;
    const isDoubted = mayForget(plan.rates);
    faults['lateMs'] = this.#dice.pick(isDoubted ? DOUBTED_LATE_MS : [100, 1000, 4000]);
    faults['slowMs'] = this.#dice.pick(isDoubted ? DOUBTED_SLOW_MS : [50, 500, 4000]);
    for (const processor of processors) {
      const seed = this.#dice.whole(1, 2 ** 31);
      if (this.#dice.hits(0.8)) processor.faults = { ...faults, seed } as unknown as Faults;
      processor.delayMs = this.#dice.pick([0, 5, 60]);
    }
  }

  #breakProcessor(to: ProcessorIndex): void {
    const { processors, eventLoop, plan } = this.#world;
    const lasting = (): number => this.#dice.pick([200, 1500, 4000, plan.breakMs]);
    this.#repeat('processorFails', 2500, () => {
      const processor = processors[to];
      processor.failing = true;
      eventLoop.after(lasting(), undefined, () => {
        processor.failing = false;
      });
      return true;
    });
    this.#repeat('processorAway', 2500, () => this.#begin('processorAway', lasting(), ` ${to}`, 1));
    this.#repeat('processorSlow', 1500, () => {
      if (!this.#raging) return false;
      processors[to].delayMs = this.#dice.pick([
        0,
        20,
        200,
        plan.attemptTimeoutMs * 0.9,
        plan.attemptTimeoutMs * 2,
      ]);
      return true;
    });
  }

  #begin(kind: Kind, durationMs: number, suffix = '', probability = this.#dice.pick([0.3, 1])): boolean {
    this.#world.trace.say(undefined, 'world', () => `${kind}${suffix} for ${durationMs} ms`);
    this.#spells.begin(kind + suffix, durationMs, probability);
    return true;
  }

  #inSpell(name: string): boolean {
    const spell = this.#raging ? this.#spells.at(name) : undefined;
    return spell !== undefined && this.#dice.hits(spell.probability);
  }
}
