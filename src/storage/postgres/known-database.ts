/** What is known of the database, and what each new connection to it has to show before it is used. */
import { StoreFault, StoreOpenError } from '../ports.ts';
import type { ServerStoreOptions } from '../server-options.ts';
import type { Ask, ServerState } from './connection.ts';
import { type Durability, durabilityOf } from './durability.ts';
import { lossBetween, lsnOf, type ServerHistory } from './history.ts';

export const describeLack = (calls: number, instance: string): string =>
  `it lacks the last ${calls} calls that it acknowledged to ${instance}`;

export class KnownDatabase {
  readonly #options: Pick<ServerStoreOptions, 'ackAfter' | 'run'>;
  /** What the server had when it was last heard of. */
  #history: ServerHistory | undefined;
  #durability: Durability | undefined;
  #loss: string | undefined;
  /** The timeline of the last loss, if all that was acknowledged should be there. */
  #promotedTo: number | undefined;
  /** A commit waits for a standby. */
  isSynchronous = false;

  constructor(options: Pick<ServerStoreOptions, 'ackAfter' | 'run'>) {
    this.#options = options;
  }

  get history(): ServerHistory {
    return this.#history!;
  }

  /** Tells one run of the server from the next. */
  get run(): string {
    return this.#options.run ?? this.history.started;
  }

  get durability(): Durability {
    return this.#durability!;
  }

  /** Why what was acknowledged may be gone. */
  get loss(): string | undefined {
    return this.#loss;
  }

  /** What was found last was a standby that was promoted, and every commit had waited for it. */
  get hadAll(): boolean {
    return this.#promotedTo !== undefined && this.#promotedTo === this.#history?.timeline;
  }

  lose(detail: string): StoreFault {
    this.#loss = detail;
    return new StoreFault('lost', detail);
  }

  /** What the next connection finds is taken as it is. */
  forget(): void {
    this.#loss = undefined;
    this.#history = undefined;
  }

  joined(): void {
    this.#promotedTo = undefined;
  }

  wrote(lsn: string): void {
    if (lsn !== '' && this.#history !== undefined) this.#history = { ...this.#history, lsn: lsnOf(lsn) };
  }

  /** `lack`: asks what the database lacks, if that can be said. Throws `StoreOpenError`. */
  async check(state: ServerState, lack?: () => Promise<string>): Promise<StoreFault | undefined> {
    const { ackAfter } = this.#options;
    const durability = durabilityOf(state, ackAfter);
    if (durability.refusal !== undefined) {
      // At the start nothing will change that; later it says why nothing is accepted.
      if (this.#durability === undefined) throw new StoreOpenError(durability.refusal);
      return new StoreFault('busy', durability.refusal);
    }
    const before = this.#history;
    const loss = before && lossBetween(before, state, ackAfter !== 'parse');
    if (loss !== undefined) {
      this.#promotedTo = this.#hasAll(before!, state) ? state.timeline : undefined;
      // Before the loss is known: the first to learn of it says all of it.
      const missing = (await lack?.().catch(() => '')) ?? '';
      return this.lose(missing === '' ? loss : `${loss}; ${missing}`);
    }
    this.#history = state;
    this.#durability = durability;
    this.isSynchronous = state.standbys !== '';
    return undefined;
  }

  #hasAll(before: ServerHistory, now: ServerHistory): boolean {
    const isPromoted = before.system === now.system && before.timeline < now.timeline;
    // A backup that was restored to a point in time has a later timeline, too, but not as much.
    return isPromoted && before.lsn <= now.lsn && this.isSynchronous && this.#options.ackAfter !== 'parse';
  }

  /**
   * Whether the database has all that was acknowledged to an instance, whatever its history says: that of an
   * older copy that has written more since is in the same timeline, and longer. Throws `StoreFault`.
   */
  async confirm(ask: Ask, schema: string, instance: string, step: number, term: number): Promise<void> {
    const found = await standing(ask, schema, instance);
    if (found.term < term) throw this.lose(`it is older than it was (term ${found.term})`);
    if (found.step < step) throw this.lose(describeLack(step - found.step, instance));
  }
}

/** What it lacks of what was acknowledged to an instance, for people; '' where that is nothing. */
export async function lackIn(ask: Ask, schema: string, instance: string, step: number): Promise<string> {
  const found = await standing(ask, schema, instance);
  return found.step < step ? describeLack(step - found.step, instance) : '';
}

async function standing(ask: Ask, schema: string, instance: string): Promise<{ term: number; step: number }> {
  const [row] = await ask({
    text: `SELECT d.term, coalesce(i.step, 0) AS step
      FROM ${schema}.deployment d LEFT JOIN ${schema}.instances i ON i.name = $1`,
    values: [instance],
  });
  return { term: Number(row!['term']), step: Number(row!['step']) };
}
