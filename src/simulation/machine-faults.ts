/**
 * What befalls the whole machine, with its disk and all backends on it: no power, no disk, another disk, a
 * damaged log, an older copy of the store.
 */
import type { Dice } from './dice.ts';
import { forgetWhatIsOpen, restoreCopy, type StoreCopy } from './older-copy.ts';
import type { Kind } from './plan.ts';
import type { SimulatedBackend } from './simulated-backend.ts';
import type { Surroundings } from './surroundings.ts';

export interface MachineFaultsParts {
  readonly world: Surroundings;
  readonly dice: Dice;
  /** Starts a backend again, unless it must not. */
  start(backend: SimulatedBackend): void;
  met(kind: Kind): void;
}

export class MachineFaults {
  /** How often the machine was started. */
  boots = 1;
  /** Nothing can be started. */
  isDown = false;
  readonly #parts: MachineFaultsParts;
  #stores = 1;

  constructor(parts: MachineFaultsParts) {
    this.#parts = parts;
  }

  losePower(): boolean {
    const { world, dice } = this.#parts;
    this.#stop('loses its power', dice.between(10, 1000));
    world.disk.losePower(dice);
    const isDamaged = dice.hits(Math.sqrt(world.plan.rates.logDamaged)) && world.disk.damage(dice);
    this.#loseUnsynced(isDamaged);
    if (isDamaged) this.#doubt();
    return true;
  }

  /**
   * What it had not got is gone, as after a power loss; but the processes live, and their descriptors are
   * dead.
   */
  takeDiskOut(): boolean {
    const { world, dice } = this.#parts;
    const { disk, trace, eventLoop, plan } = world;
    if (plan.storeIsRemote || disk.isOut) return false;
    trace.say(undefined, 'world', () => 'has its disk taken out');
    disk.takeOut(dice);
    this.#loseUnsynced();
    eventLoop.after(dice.between(10, 3000), undefined, () => {
      disk.isOut = false;
    });
    return true;
  }

  /** A store on another machine goes on as it was a moment ago, which it does not say. */
  goBack(): boolean {
    const { world, dice } = this.#parts;
    const { memory, eventLoop, trace, invariants } = world;
    const copy = memory.copy();
    const { incarnation } = memory;
    eventLoop.after(dice.between(5, 800), undefined, () => {
      if (memory.incarnation !== incarnation) return;
      trace.say(undefined, 'store', () => 'is as it was a moment ago');
      const before = structuredClone(memory.payments);
      memory.goBackTo(copy);
      invariants.wentBack(before);
      this.#forgetNothing();
    });
    return true;
  }

  /** Another machine is put in the place of this one, which is lost with its disk: all begins anew. */
  replace(): boolean {
    const { world, dice } = this.#parts;
    const { disk, index, invariants, keptOnDisk, observer, plan } = world;
    if (plan.storeIsRemote || disk.isOut || this.isDown) return false;
    this.#stop('is lost with its disk', dice.between(10, 1000));
    disk.clear();
    index.begin(++this.#stores);
    world.archive.takeAway();
    observer.rebuild();
    keptOnDisk.replaced();
    invariants.losePower(true);
    // A store that knows nothing asks nobody first, whatever the one before it was restored from.
    for (const payment of invariants.payments.values()) payment.mustAsk = false;
    return true;
  }

  /** All backends are stopped, and start again. */
  restart(what: string): void {
    this.#stop(what, this.#parts.dice.between(10, 1000), false);
  }

  /** Stops all, and starts them on an older copy of the store. */
  restore(copy: StoreCopy, asksFirstUntilMs: number): boolean {
    const { world, dice, met } = this.#parts;
    if (world.disk.isOut || this.isDown) return false;
    met('restoreOlder');
    this.#stop('restores a backup', dice.between(10, 1000), false);
    restoreCopy(world, copy, asksFirstUntilMs, dice);
    world.keptOnDisk.replaced();
    this.#forgetNothing();
    return true;
  }

  /** What the disk had is not all there. */
  #doubt(): void {
    const { world, met } = this.#parts;
    met('logDamaged');
    world.trace.say(undefined, 'world', () => 'has a damaged log');
    forgetWhatIsOpen(world.invariants);
    this.#forgetNothing();
  }

  /** From here on soquete relies on processors that know what they recorded a while ago. */
  #forgetNothing(): void {
    for (const processor of this.#parts.world.processors)
      processor.faults = { ...processor.faults, lookupMissing: 0 };
  }

  #loseUnsynced(isDamaged = false): void {
    const { world, dice } = this.#parts;
    if (world.plan.storeIsRemote) return;
    world.index.losePower(dice);
    world.observer.rebuild();
    if (isDamaged) world.keptOnDisk.replaced();
    else world.keptOnDisk.lostUnsynced();
    world.invariants.losePower(isDamaged || world.plan.ackAfter !== 'flush');
  }

  /** Kills all and starts them after a while. */
  #stop(what: string, forMs: number, isAnotherBoot = true): void {
    const { world, start } = this.#parts;
    world.trace.say(undefined, 'world', () => what);
    this.isDown = true;
    if (isAnotherBoot) this.boots += 1;
    for (const backend of world.backends) backend.killAll();
    world.eventLoop.after(forMs, undefined, () => {
      this.isDown = false;
      for (const backend of world.backends) start(backend);
    });
  }
}
