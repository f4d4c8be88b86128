/**
 * What the log's order says of the instances: who lives, who holds which lease, and whose payments are whose.
 *
 * Epochs. Each join begins an epoch, numbered through the whole log, so an epoch names one life of one
 * instance and nothing else. It ends with a leave, a fence, or the next join of its name, and never comes
 * back.
 *
 * Estates. A payment's *origin* is the epoch that accepted it, and stays that. While its origin lives, that
 * owns it. What a dead epoch owns can be adopted, in sixteen shares by id so that the living can divide it:
 * for each dead origin and share there is one heir. Adopting share s of a dead epoch takes over its own
 * payments and all that it had inherited; the heir is found in one step, however many have died meanwhile.
 */

import { strict as assert } from 'node:assert';

export const SHARES = 16;
export const ALL_SHARES = 0xffff;
export const shareOf = (lastWord: number): number => lastWord & (SHARES - 1);

export const CHECKER = 0;
export const INDEXER = 1;
const LEASES = 2;
/** More than ever join while a log is being read. */
const EPOCHS_SKIPPED = 1024;

export interface OrderedMember {
  readonly name: string;
  /** Its place in the order of first joins, from 1. */
  readonly number: number;
  epoch: number;
  isAlive: boolean;
  beat: number;
  /** When it beat last, by its own clock. */
  beatAtMs: number;
  /** The generation in which it joined: what it holds is of that one. */
  generation: number;
  /** The number of its last batch that counted. */
  batch: number;
  figures: string;
  /** It waits for the disk before it answers. */
  isFlushing: boolean;
}

export interface MembersState {
  readonly lastEpoch: number;
  readonly lastNumber: number;
  readonly leases: readonly number[];
  readonly members: readonly OrderedMember[];
  readonly heirs: readonly (readonly [origin: number, heirs: readonly number[]])[];
  /** Unsettled payments by origin and share. */
  readonly unsettled: readonly (readonly [origin: number, counts: readonly number[]])[];
  /** Origins of which an acceptance may be missing, so that the counts may be too small. */
  readonly doubted: readonly number[];
}

export class OrderedMembers {
  #lastEpoch = 0;
  #lastNumber = 0;
  readonly #byName = new Map<string, OrderedMember>();
  /** The living. */
  readonly #byEpoch = new Map<number, OrderedMember>();
  /** For each dead origin with payments: the epoch that owns each share, itself at first. */
  readonly #heirs = new Map<number, number[]>();
  readonly #unsettled = new Map<number, number[]>();
  readonly #doubted = new Set<number>();
  readonly #leases: number[] = new Array(LEASES).fill(0);

  /** By name, in the order of first joins. */
  get all(): IterableIterator<OrderedMember> {
    return this.#byName.values();
  }

  named(name: string): OrderedMember | undefined {
    return this.#byName.get(name);
  }

  /** The living instance with this epoch. */
  living(epoch: number): OrderedMember | undefined {
    return this.#byEpoch.get(epoch);
  }

  holder(lease: number): number {
    return this.#leases[lease] ?? 0;
  }

  /** The new epoch; 0: another one joined with this name since `epochSeen` was its latest. */
  join(name: string, epochSeen: number, generation: number, isFlushing = false): number {
    const before = this.#byName.get(name);
    if ((before?.epoch ?? 0) !== epochSeen) return 0;
    if (before?.isAlive) this.end(before);
    this.#lastEpoch += 1;
    const number = before?.number ?? ++this.#lastNumber;
    const member = newMember(name, number, this.#lastEpoch, generation, isFlushing);
    this.#byName.set(name, member);
    this.#byEpoch.set(member.epoch, member);
    return member.epoch;
  }

  /**
   * Behind damage: a batch says that `epoch` lives and is that of the instance with this number (see
   * `damaged-order`).
   */
  believe(epoch: number, number: number, generation: number): void {
    const living = this.#byEpoch.get(epoch);
    if (living?.number === number) return;
    if (living !== undefined) {
      living.isAlive = false;
      this.#byEpoch.delete(epoch);
    }
    const before = [...this.#byName.values()].find(member => member.number === number);
    if (before?.isAlive === true) this.end(before);
    const name = before?.name ?? `?${number}`;
    const isSame = before?.epoch === epoch;
    const member = isSame ? before : newMember(name, number, epoch, generation);
    member.isAlive = true;
    this.#byName.set(name, member);
    this.#byEpoch.set(epoch, member);
    this.#lastEpoch = Math.max(this.#lastEpoch, epoch);
    this.#lastNumber = Math.max(this.#lastNumber, number);
    // Its acceptances may be missing as well.
    this.#doubted.add(epoch);
  }

  /** Behind damage: a record speaks of a payment of `origin`, which nothing else may speak of any more. */
  claim(origin: number): void {
    this.#doubted.add(origin);
    if (!this.#byEpoch.has(origin) && !this.#heirs.has(origin))
      this.#heirs.set(origin, new Array(SHARES).fill(origin));
  }

  /** Epochs may have been given that nothing says any more: none of them is given again. */
  skipEpochs(): void {
    this.#lastEpoch += EPOCHS_SKIPPED;
  }

  end(member: OrderedMember): void {
    member.isAlive = false;
    this.#byEpoch.delete(member.epoch);
    if (this.#unsettled.has(member.epoch) || this.#doubted.has(member.epoch))
      this.#heirs.set(member.epoch, new Array(SHARES).fill(member.epoch));
    for (let lease = 0; lease < LEASES; lease++) {
      if (this.#leases[lease] === member.epoch) this.#leases[lease] = 0;
    }
  }

  /** Those that live. */
  get alive(): IterableIterator<OrderedMember> {
    return this.#byEpoch.values();
  }

  takeLease(lease: number, holderSeen: number, epoch: number): boolean {
    if (lease >= LEASES || this.#leases[lease] !== holderSeen) return false;
    this.#leases[lease] = epoch;
    return true;
  }

  /** Who may work on a payment; 0: nobody. */
  owner(origin: number, share: number): number {
    if (this.#byEpoch.has(origin)) return origin;
    return this.#heirs.get(origin)?.[share] ?? 0;
  }

  /**
   * A payment of `origin` was accepted (1), or is settled or closed (-1). An estate without any is forgotten,
   * but for one that is in doubt: that waits for EMPTY, as its index knows what it has.
   */
  count(origin: number, share: number, change: 1 | -1): void {
    let counts = this.#unsettled.get(origin);
    if (counts === undefined) {
      counts = new Array(SHARES).fill(0);
      this.#unsettled.set(origin, counts);
    }
    counts[share]! += change;
    if (this.#doubted.has(origin)) {
      counts[share] = Math.max(0, counts[share]!);
      return;
    }
    assert(counts[share]! >= 0, 'more payments are settled than were accepted');
    if (change === 1 || counts.some(count => count > 0)) return;
    this.#unsettled.delete(origin);
    this.#heirs.delete(origin);
  }

  /** Unsettled payments that an epoch owns. */
  unsettledOf(epoch: number): number {
    let sum = 0;
    for (const [origin, counts] of this.#unsettled) {
      for (let share = 0; share < SHARES; share++) {
        if (counts[share]! > 0 && this.owner(origin, share) === epoch) sum += counts[share]!;
      }
    }
    // There may be one more than is counted, and an heir has to look.
    for (const origin of this.#doubted) if (this.#heirs.get(origin)?.includes(epoch)) sum += 1;
    return sum;
  }

  /** A part of the log was passed over: acceptances may have been in it, of all that can have written it. */
  doubt(): void {
    for (const epoch of [...this.#byEpoch.keys(), ...this.#unsettled.keys()]) this.#doubted.add(epoch);
  }

  isDoubted(origin: number): boolean {
    return this.#doubted.has(origin);
  }

  /** Dead origins in doubt. */
  get doubtedEstates(): number[] {
    return [...this.#doubted].filter(origin => !this.#byEpoch.has(origin));
  }

  unsettledTotal(): number {
    let sum = 0;
    for (const counts of this.#unsettled.values()) for (const count of counts) sum += count;
    return sum;
  }

  /** Whether a dead epoch owns anything, or anybody something that it accepted. */
  hasEstate(epoch: number): boolean {
    return this.#heirs.has(epoch) || this.originsOf(epoch).length > 0;
  }

  /** Origins of which an epoch owns a share. */
  originsOf(epoch: number): number[] {
    const origins = [...this.#heirs].filter(([, heirs]) => heirs.includes(epoch)).map(([origin]) => origin);
    return this.#byEpoch.has(epoch) ? [epoch, ...origins] : origins;
  }

  /** Dead epochs that own something. */
  deadOwners(): number[] {
    const owners = new Set<number>();
    for (const heirs of this.#heirs.values()) {
      for (const owner of heirs) if (!this.#byEpoch.has(owner)) owners.add(owner);
    }
    return [...owners];
  }

  /** The shares of `shares` of which `heir` owns anything of the dead epoch now. */
  adopt(dead: number, shares: number, heir: number): number {
    if (this.#byEpoch.has(dead)) return 0;
    let taken = 0;
    for (const heirs of this.#heirs.values()) {
      for (let share = 0; share < SHARES; share++) {
        if ((shares & (1 << share)) === 0 || heirs[share] !== dead) continue;
        heirs[share] = heir;
        taken |= 1 << share;
      }
    }
    return taken;
  }

  /** Forgets a dead origin that has no unsettled payment, and its name if that is asked. */
  forget(epoch: number, isNameForgotten: boolean): boolean {
    if (this.#byEpoch.has(epoch)) return false;
    let isKnown = this.#heirs.delete(epoch);
    this.#unsettled.delete(epoch);
    this.#doubted.delete(epoch);
    if (!isNameForgotten) return isKnown;
    for (const { name, epoch: latest } of this.#byName.values()) {
      if (latest !== epoch) continue;
      this.#byName.delete(name);
      isKnown = true;
    }
    return isKnown;
  }

  /** After a purge nothing has payments. */
  forgetEstates(): void {
    this.#heirs.clear();
    this.#unsettled.clear();
    this.#doubted.clear();
  }

  save(): MembersState {
    return {
      lastEpoch: this.#lastEpoch,
      lastNumber: this.#lastNumber,
      leases: [...this.#leases],
      members: [...this.#byName.values()].map(member => ({ ...member })),
      heirs: [...this.#heirs].map(([origin, heirs]) => [origin, [...heirs]]),
      unsettled: [...this.#unsettled].map(([origin, counts]) => [origin, [...counts]]),
      doubted: [...this.#doubted].sort((one, other) => one - other),
    };
  }

  restore(state: MembersState): void {
    this.#lastEpoch = state.lastEpoch;
    this.#lastNumber = state.lastNumber;
    this.#leases.splice(0, LEASES, ...state.leases);
    for (const saved of state.members) {
      const member = { ...saved };
      this.#byName.set(member.name, member);
      if (member.isAlive) this.#byEpoch.set(member.epoch, member);
    }
    for (const [origin, heirs] of state.heirs) this.#heirs.set(origin, [...heirs]);
    for (const [origin, counts] of state.unsettled) this.#unsettled.set(origin, [...counts]);
    for (const origin of state.doubted) this.#doubted.add(origin);
  }
}

const newMember = (
  name: string,
  number: number,
  epoch: number,
  generation: number,
  isFlushing = false,
): OrderedMember => ({
  ...{ name, number, epoch, isAlive: true, beat: 0, beatAtMs: 0, generation, batch: 0, figures: '' },
  isFlushing,
});
