/**
 * The clients: payments in bursts, sent again until they are accepted, with ids that come twice; questions,
 * purges.
 */
import { addTotal, emptyTotal, type Total, totalCents } from '../domain/money.ts';
import type { Summary } from '../domain/payment.ts';
import { idBytes, idText, PROCESSORS, type ProcessorIndex, SETTLED } from '../domain/payment.ts';
import { DAY_MS, dayStart } from '../storage/archive/archive-line.ts';
import type { Dice } from './dice.ts';
import { WALL_START_MS } from './event-loop.ts';
import type { FaultInjector } from './fault-injector.ts';
import { copyOfStore, lostInBooks } from './older-copy.ts';
import type { SimulatedBackend } from './simulated-backend.ts';
import type { Surroundings } from './surroundings.ts';
import type { TrackedPayment } from './tracked-payment.ts';

/** A client gives up after so many answers that were no `202`. */
const TRIES_MAX = 15;
/** So often a summary is asked for again that an instance cannot give. */
const AUDITS_MAX = 3;
const AUDIT_PAUSE_MS = 100;
const HOUR_MS = 3_600_000;

export class Clients {
  readonly #world: Surroundings;
  readonly #faultInjector: Pick<FaultInjector, 'met' | 'restore'>;
  readonly #dice: Dice;
  /** Requests that are under way or will be sent. */
  #pending = 0;
  #nextInstance = 0;
  #unaudited = 0;
  #over = false;

  constructor(world: Surroundings, faultInjector: Pick<FaultInjector, 'met' | 'restore'>, dice: Dice) {
    this.#world = world;
    this.#faultInjector = faultInjector;
    this.#dice = dice;
  }

  get isQuiet(): boolean {
    return this.#pending === 0;
  }

  /** Plans all payments and questions of the bad phase. */
  begin(): void {
    const { plan } = this.#world;
    for (let left = plan.payments; left > 0; ) {
      const burst = Math.min(left, this.#dice.whole(1, plan.burstMax));
      const atMs = this.#dice.between(5, plan.breakMs * 0.9);
      for (let one = 0; one < burst; one++)
        this.#later(atMs + this.#dice.between(0, 2), () => this.#newPayment());
      left -= burst;
    }
    for (let times = this.#dice.whole(2, 12); times > 0; times--) {
      this.#later(this.#dice.between(50, plan.breakMs * 1.2), () => this.#askSummary());
    }
    const restores = plan.rates.restoreOlder > 0 ? this.#dice.whole(1, 3) : 0;
    for (let times = restores; times > 0; times--) this.#planRestore();
    const purges = plan.rates.purge > 0 ? this.#dice.whole(1, 2) : 0;
    for (let times = purges; times > 0; times--) {
      this.#later(this.#dice.between(50, plan.breakMs), () => this.#purge());
    }
  }

  /** A backup, and later all is as it was then: clients send again some of what they had sent. */
  #planRestore(): void {
    const { plan, invariants } = this.#world;
    const copiedMs = this.#dice.between(100, plan.breakMs * 0.5);
    this.#later(copiedMs, () => {
      const copy = copyOfStore(this.#world);
      if (copy === undefined) return;
      this.#later(this.#dice.between(50, plan.breakMs * 0.4), () => {
        if (!this.#faultInjector.restore(copy, wall(plan.breakMs) + DAY_MS)) return;
        for (const { id, amounts } of invariants.payments.values()) {
          if (!this.#dice.hits(0.7)) continue;
          const cents = amounts.values().next().value!;
          const withinMs = this.#dice.pick([1500, plan.breakMs / 2]);
          this.#later(this.#dice.between(0, withinMs), () => this.#send(id, cents));
        }
      });
    });
  }

  /** The bad phase is over: long waits would only delay the end. */
  hurry(): void {
    this.#over = true;
  }

  /** Asks every instance for sums that must equal the books. */
  audit(): void {
    const { backends, plan } = this.#world;
    for (const instance of backends) {
      if (instance.gone) continue;
      const windows: [number, number][] = [[-Infinity, Infinity]];
      for (let count = 0; count < 3; count++) {
        const [one, other] = [this.#dice.between(0, plan.breakMs * 1.5), this.#dice.between(0, plan.breakMs)];
        windows.push([wall(Math.min(one, other)), wall(Math.max(one, other))]);
      }
      for (const window of windows) {
        this.#unaudited += 1;
        this.#audit(instance, ...this.#exact(...window));
      }
    }
  }

  /** One that was overtaken by a segment's removal, as these are tiny, joins anew before it answers. */
  #audit(instance: SimulatedBackend, fromMs: number, toMs: number, tries = 0): void {
    instance.ingress.summary(fromMs, toMs, summary => {
      if (summary === null && tries < AUDITS_MAX) {
        this.#later(AUDIT_PAUSE_MS, () => this.#audit(instance, fromMs, toMs, tries + 1));
        return;
      }
      this.#unaudited -= 1;
      if (summary !== null) this.#checkExact(instance, summary, fromMs, toMs);
      else this.#world.invariants.fail(undefined, `${instance.name} has no summary though all is healed`);
    });
  }

  closeAudit(): void {
    const { violations } = this.#world.invariants;
    if (this.#unaudited > 0 && violations.length === 0)
      this.#world.invariants.fail(undefined, 'an instance never answered for its summary');
  }

  #later(delayMs: number, task: () => void): void {
    this.#pending += 1;
    this.#world.eventLoop.after(delayMs, undefined, () => {
      // A process may die of what it is asked.
      try {
        task();
      } finally {
        this.#pending -= 1;
      }
    });
  }

  #newPayment(): void {
    const { plan } = this.#world;
    const faultInjector = this.#faultInjector;
    const { rates } = plan;
    const dice = this.#dice;
    const id = this.#newId();
    const cents = dice.hits(0.1) ? dice.whole(1, 999_999_999_999) : dice.whole(1, 100_000);
    this.#send(id, cents);
    if (dice.hits(rates.sameIdAtOnce * 0.3)) {
      faultInjector.met('sameIdAtOnce');
      this.#later(dice.between(0, 3), () => this.#send(id, cents));
    }
    if (dice.hits(rates.sameIdLater * 0.3)) {
      faultInjector.met('sameIdLater');
      this.#later(dice.between(10, plan.breakMs / 2), () => this.#send(id, cents));
    }
    if (dice.hits(rates.otherAmount * 0.3)) {
      faultInjector.met('otherAmount');
      this.#later(dice.pick([0, 1, 150, 3000]), () => this.#send(id, cents + 1));
    }
    if (dice.hits(0.5)) this.#later(dice.between(0, plan.breakMs), () => this.#lookUp(id));
    if (dice.hits(0.3)) this.#later(dice.between(0, plan.breakMs), () => this.#lookUp(id));
  }

  #newId(): string {
    const bytes = new Uint8Array(16);
    for (let at = 0; at < 16; at++) bytes[at] = this.#dice.whole(0, 255);
    return idText(bytes);
  }

  /** As a proxy does: the next one that listens. */
  #choose(): SimulatedBackend | undefined {
    const listening = this.#world.backends.filter(instance => instance.listening);
    return listening[this.#nextInstance++ % listening.length];
  }

  #send(id: string, cents: number, tries = 0): void {
    const { invariants, plan, trace, disk } = this.#world;
    const faultInjector = this.#faultInjector;
    const payment = invariants.sent(id, cents);
    const instance = this.#choose();
    const again = (): void => {
      if (tries >= TRIES_MAX) return;
      this.#later(this.#dice.between(10, this.#over ? 100 : 500), () => this.#send(id, cents, tries + 1));
    };
    if (instance === undefined) {
      again();
      return;
    }
    const { process } = instance;
    trace.say(id, instance.name, () => `is sent ${cents} cents`);
    this.#pending += 1;
    const read = (generation: number): void => payment.readIn(generation);
    instance.ingress.pay(payment.words, cents, read, (told, generation) => {
      this.#pending -= 1;
      trace.say(id, instance.name, () => `tells the client ${told} for ${cents} cents`);
      if (told === 202) {
        // With `flush` nothing that an earlier 202 promised can be lost with the disk.
        const isUnaware = plan.ackAfter !== 'flush' && instance.joinedMount < disk.mount;
        const said = { cents, process: process!, generation, isUnaware };
        invariants.acknowledge(payment, said);
      } else if (told === 409) {
        if (payment.amounts.size === 1) invariants.fail(id, '409, though every request had the same amount');
      } else {
        if (told === 503 && instance.isQueueFull) faultInjector.met('queueFull');
        again();
      }
    });
  }

  #lookUp(id: string): void {
    const { invariants, eventLoop, trace } = this.#world;
    const payment = invariants.payments.get(id) as TrackedPayment;
    const instance = this.#choose();
    if (instance === undefined) return;
    const { process } = instance;
    const askedAtMs = eventLoop.nowMs;
    const generation = this.#world.memory.generation;
    trace.say(id, instance.name, () => 'is asked for it');
    instance.ingress.find(idBytes(id)!, view => {
      if (view !== null && generation === this.#world.memory.generation) {
        invariants.shown(payment, view, process!, askedAtMs);
      }
    });
  }

  /** A summary counts all that was booked when it was asked, and nothing that the processors do not have. */
  #askSummary(): void {
    const { memory, addresses, plan, invariants } = this.#world;
    const instance = this.#choose();
    if (instance === undefined) return;
    const [fromMs, toMs] = this.#exact(
      this.#dice.hits(0.5) ? -Infinity : wall(this.#dice.between(0, plan.breakMs)),
      this.#dice.hits(0.5) ? Infinity : wall(this.#dice.between(0, plan.breakMs)) + HOUR_MS,
    );
    const { generation } = memory;
    const { losses } = invariants;
    const least = this.#booked(fromMs, toMs);
    instance.ingress.summary(fromMs, toMs, summary => {
      const isOfBefore = memory.generation !== generation || invariants.losses !== losses;
      if (summary === null || isOfBefore) return;
      for (const [which, name] of PROCESSORS.entries()) {
        const { count } = summary[name];
        const most = addresses.total(which as ProcessorIndex, fromMs, toMs);
        if (losses === invariants.losses && less(summary[name], least[which]!)) {
          invariants.fail(
            undefined,
            `${instance.name} sums ${count} of ${name}, ${least[which]!.count} were booked`,
          );
        }
        // One that a power loss forgot may come again with another amount than the processor has.
        if (!invariants.isPurged && invariants.forgotten === 0 && less(most, summary[name])) {
          invariants.fail(undefined, `${instance.name} sums ${count} of ${name}, which has ${most.count}`);
        }
      }
    });
  }

  /** Windows are of whole days where something may be archived. */
  #exact(fromMs: number, toMs: number): [number, number] {
    if (this.#world.plan.retentionMs === 0) return [fromMs, toMs];
    return [dayStart(fromMs), dayStart(toMs + DAY_MS) - 1];
  }

  #checkExact(instance: SimulatedBackend, summary: Summary, fromMs: number, toMs: number): void {
    const { addresses, invariants } = this.#world;
    // Processors keep what a purge or a power loss forgot; what is left is compared payment by payment
    // elsewhere.
    const isExact = !invariants.isPurged && invariants.forgotten === 0;
    const books = isExact
      ? ([0, 1] as const).map(which => addresses.total(which, fromMs, toMs))
      : this.#booked(fromMs, toMs);
    // What a restore lost and nobody sent again is in the processors' books alone.
    for (const { from, requestedAtMs, cents } of isExact ? lostInBooks(this.#world) : []) {
      if (requestedAtMs >= fromMs && requestedAtMs <= toMs)
        addTotal(books[from]!, { count: -1, high: 0, low: -cents });
    }
    for (const [which, name] of PROCESSORS.entries()) {
      const [ours, theirs] = [summary[name], books[which]!];
      if (ours.count === theirs.count && totalCents(ours) === totalCents(theirs)) continue;
      const says = `${ours.count} payments, ${totalCents(ours)} cents of ${name}`;
      invariants.fail(
        undefined,
        `${instance.name} sums ${says}; the book ${theirs.count}, ${totalCents(theirs)}`,
      );
    }
  }

  #booked(fromMs: number, toMs: number): [Total, Total] {
    const totals: [Total, Total] = [emptyTotal(), emptyTotal()];
    for (const { state, processor, requestedAtMs, cents } of this.#world.memory.payments.values()) {
      if (state !== SETTLED || requestedAtMs < fromMs || requestedAtMs > toMs) continue;
      addTotal(totals[processor!], { count: 1, high: 0, low: cents });
    }
    return totals;
  }

  #purge(): void {
    const { memory, backends, invariants, keptOnDisk, plan } = this.#world;
    const faultInjector = this.#faultInjector;
    const instance = this.#choose();
    if (instance === undefined) return;
    faultInjector.met('purge');
    const old = [...invariants.payments.keys()];
    const { generation } = memory;
    for (let times = this.#dice.whole(0, 3); times > 0; times--) {
      this.#later(this.#dice.between(0, 80), () => this.#newPayment());
    }
    instance.ingress.purge(done => {
      if (!done) return;
      keptOnDisk.purged(generation + 1);
      // Every instance that lives, and has not been taken for dead, has forgotten.
      for (const { session, name, process } of backends) {
        const isAlive = memory.instances.get(name)?.alive === true && process?.stopped === false;
        if (session === undefined || !isAlive || session.generation > generation) continue;
        invariants.fail(undefined, `purged, and ${name} does not know it`);
      }
      for (const id of old) {
        if (!this.#dice.hits(0.2) || this.#over) continue;
        const cents = invariants.payments.get(id)!.amounts.values().next().value!;
        this.#later(this.#dice.between(0, plan.breakMs / 4), () => this.#send(id, cents));
      }
    });
  }
}

const less = (one: Total, other: Total): boolean =>
  one.count < other.count || totalCents(one) < totalCents(other);

const wall = (atMs: number): number => Math.floor(WALL_START_MS + atMs);
