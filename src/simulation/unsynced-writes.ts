/**
 * What a power loss takes from a store that does not wait for its disk: the end of what was committed. The
 * disk has all up to some commit, at the earliest the last that was waited for, for the WAL is read back up
 * to its first gap.
 */
import type { MemoryState } from '../storage/memory/state.ts';
import type { Dice } from './dice.ts';

type Held = Pick<MemoryState, 'generation' | 'term' | 'boot' | 'checker' | 'lastSeq'>;

/** The whole store as of one commit. */
interface Snapshot extends Held {
  readonly payments: MemoryState['payments'];
  readonly instances: MemoryState['instances'];
  readonly health: MemoryState['health'];
  readonly flushing: readonly string[];
}

/** So many commits later the kernel has written one by itself. */
const UNSYNCED_MAX = 200;

export class UnsyncedWrites {
  readonly #world: MemoryState;
  /** As of the commits that the disk may have, or not, the oldest of which it has. */
  #snapshots: Snapshot[];
  #isFlushDue = false;

  constructor(world: MemoryState) {
    this.#world = world;
    this.#snapshots = [snapshotOf(world)];
  }

  /** The commit under way is waited for. */
  flush(): void {
    this.#isFlushDue = true;
  }

  committed(): void {
    if (this.#isFlushDue) this.#snapshots = [];
    else if (this.#snapshots.length === UNSYNCED_MAX) this.#snapshots.shift();
    this.#isFlushDue = false;
    this.#snapshots.push(snapshotOf(this.#world));
  }

  /** Goes back to any of the commits that the disk may have. */
  losePower(dice: Dice): void {
    const kept = this.#snapshots[dice.whole(0, this.#snapshots.length - 1)]!;
    restore(this.#world, kept);
    this.#snapshots = [snapshotOf(this.#world)];
  }
}

function snapshotOf(world: MemoryState): Snapshot {
  const { generation, term, boot, checker, lastSeq, payments, instances, health, flushing } = world;
  return {
    ...{ generation, term, boot, checker, lastSeq },
    payments: copyOf(payments),
    instances: copyOf(instances),
    health: [{ ...health[0] }, { ...health[1] }],
    flushing: [...flushing],
  };
}

function restore(world: MemoryState, snapshot: Snapshot): void {
  const { payments, instances, health, flushing, ...held } = snapshot;
  Object.assign(world, held);
  world.payments.clear();
  world.bySeq.clear();
  world.instances.clear();
  world.flushing.clear();
  for (const name of flushing) world.flushing.add(name);
  for (const [id, payment] of copyOf(payments)) {
    world.payments.set(id, payment);
    world.bySeq.set(payment.seq, payment);
  }
  for (const [name, instance] of copyOf(instances)) world.instances.set(name, instance);
  world.health[0] = health[0];
  world.health[1] = health[1];
}

const copyOf = <T extends object>(map: ReadonlyMap<string, T>): Map<string, T> =>
  new Map([...map].map(([key, value]) => [key, { ...value }]));
