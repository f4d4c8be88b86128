/** The telemetry of one backend: counts events, logs them, and publishes a snapshot with each beat. */
import type { Clock } from '../domain/clock.ts';
import type { InstanceEvents } from '../payments/instance.ts';
import type { Session } from '../payments/session.ts';
import type { CircuitBreaker } from '../processors/circuit-breaker.ts';
import type { Shared, Store } from '../storage/ports.ts';
import { Counters } from './counters.ts';
import type { DamageLog } from './damage-log.ts';
import { EventLog } from './event-log.ts';
import { InstanceLog } from './instance-log.ts';
import type { Logger } from './logger.ts';
import { ProcessMetrics } from './process-metrics.ts';
import type { BooksParts } from './reconciliation.ts';
import {
  type DiskReserveFigures,
  type InstanceSeen,
  type InstanceSnapshot,
  type ProcessorFigures,
  PUBLISHED_VERSION,
  type ReconciledBooks,
  readPublished,
  type SharedHealth,
} from './snapshot.ts';
import { TimeSeries } from './time-series.ts';

/** Beats (two a second) between readings of the store's size, comparisons of the books, and samples. */
const STORE_EVERY = 10;
const BOOKS_EVERY = 10;
const SAMPLE_EVERY = 2;

export interface TelemetryParts {
  readonly instance: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly breakers: readonly [CircuitBreaker, CircuitBreaker];
  /** The size of the store in bytes. */
  readonly storeSize: () => Promise<number>;
  /** Of the store's disk; undefined where none is looked at. */
  readonly disk?: () => DiskReserveFigures | undefined;
  /** The present session; undefined between two sessions. */
  readonly session: () => Session | undefined;
  /** What of the store's log cannot be used. */
  readonly damage?: Pick<DamageLog, 'count'>;
  /** Why this instance does not take payments; empty when it does. */
  readonly reasons: () => readonly string[];
  /** For the comparison of the books; undefined where no admin token is given. */
  readonly books: BooksParts | undefined;
}

export class Telemetry {
  readonly figures: Counters;
  readonly journal: EventLog;
  readonly timeline = new TimeSeries();
  readonly #parts: TelemetryParts;
  readonly #instanceLog: InstanceLog;
  readonly #runtime = new ProcessMetrics();
  readonly #circuits = ['closed', 'closed'];
  readonly #health = [
    { version: 0, atMs: 0 },
    { version: 0, atMs: 0 },
  ];
  /** What each instance last published, parsed. */
  readonly #read = new Map<string, { text: string; figures: InstanceSnapshot | undefined }>();
  /** The last comparison of the books, where this instance is the one that compares. */
  #books: ReconciledBooks | undefined;
  #comparing = false;
  #beats = 0;
  #storeBytes = 0;

  constructor(parts: TelemetryParts) {
    this.#parts = parts;
    this.journal = new EventLog(parts.logger);
    this.#instanceLog = new InstanceLog(parts.logger);
    this.figures = new Counters({
      failed: (error, where) => parts.logger.error({ err: error, where }, 'unexpected error'),
      degraded: reason =>
        parts.logger.warn({ reason }, 'sockets are not as expected: the slower, documented way is used'),
    });
  }

  /** What is counted and logged of an instance's events. */
  get events(): Omit<InstanceEvents, 'failed'> {
    const { figures, journal } = this;
    return {
      accepted: () => figures.accepted(),
      changed: state => this.#instanceLog.changed(state),
      cannotJoin: error => this.#instanceLog.cannotJoin(error),
      settled: (processor, cents, waitedMs) => figures.settled(processor, cents, waitedMs),
      amountDiffers: (request, processor, cents) => journal.amountDiffers(request, processor, cents),
      attempted: (request, processor, outcome, durationMs) => {
        figures.attempted(processor, outcome);
        journal.attempted(request, processor, outcome, durationMs);
        this.#watchCircuits();
      },
      doubled: (id, by) => journal.doubled(id, by),
      lostWrites: count => journal.lostWrites(count),
      died: instance => journal.died(instance),
      adopted: (instance, count) => journal.adopted(instance, count),
      checking: mine => journal.checking(mine),
      shared: shared => this.#learn(shared),
      figures: () => this.#beat(),
    };
  }

  /** The same store, whose commits are timed. */
  timed(store: Store): Store {
    const { clock } = this.#parts;
    const write = store.write.bind(store);
    store.write = (batch, reply) => {
      const startedMs = clock.monotonicMs();
      write(batch, answer => {
        this.figures.committed(clock.monotonicMs() - startedMs);
        reply(answer);
      });
    };
    return store;
  }

  /** The snapshot of this moment. */
  read(): InstanceSnapshot {
    const { clock, breakers, session, reasons } = this.#parts;
    const [nowMs, atMs] = [clock.monotonicMs(), clock.wallMs()];
    const live = session();
    const disk = this.#parts.disk?.();
    const looked = live?.pool.look() ?? { pinned: 0, oldestMs: Infinity };
    const processor = (index: 0 | 1): ProcessorFigures => {
      const { circuit, isProbing, askAgainAtMs } = breakers[index];
      const isPlanned = circuit !== 'closed' && askAgainAtMs > nowMs;
      return {
        circuit,
        probing: isProbing,
        probeAtMs: isPlanned ? Math.round(atMs + askAgainAtMs - nowMs) : 0,
        healthAtMs: this.#health[index]!.atMs,
      };
    };
    return {
      version: PUBLISHED_VERSION,
      atMs,
      ...this.figures.read(),
      queue: {
        length: live?.pool.size ?? 0,
        capacity: live?.pool.capacity ?? 0,
        pinned: looked.pinned,
        oldestMs: looked.oldestMs === Infinity ? 0 : Math.round(nowMs - looked.oldestMs),
        atWork: live?.worker.atWork ?? 0,
      },
      processors: [processor(0), processor(1)],
      storeBytes: this.#storeBytes,
      ...(disk === undefined ? {} : { disk }),
      logDamaged: this.#parts.damage?.count ?? 0,
      runtime: this.#runtime.read(),
      reasons: reasons(),
      ...(this.#books === undefined ? {} : { books: this.#books }),
    };
  }

  /** All instances that the store knows: this one as it is now, the others as they last published. */
  instances(): InstanceSeen[] {
    const { instance, session } = this.#parts;
    const others = session()?.membership.shared?.instances ?? [];
    const seen = others.map(({ name, alive, unsettled, figures }) => ({
      name,
      alive,
      unsettled,
      figures: name === instance ? this.read() : this.#published(name, figures),
    }));
    // Between two sessions, or before the first look at the others.
    if (!seen.some(({ name }) => name === instance)) {
      seen.push({ name: instance, alive: true, unsettled: 0, figures: this.read() });
    }
    return seen;
  }

  shared(): SharedHealth {
    return this.#parts.session()?.membership.shared ?? { health: [], checker: '' };
  }

  close(): void {
    this.#runtime.close();
  }

  #beat(): string {
    const beat = this.#beats++;
    if (beat % STORE_EVERY === 0) void this.#measureStore();
    if (beat % BOOKS_EVERY === 0) void this.#compareBooks();
    if (beat % SAMPLE_EVERY === 0) this.timeline.sample(this.instances(), this.#parts.clock.wallMs());
    this.journal.readiness(this.#parts.reasons());
    this.journal.beat();
    return JSON.stringify(this.read());
  }

  #learn(shared: Shared): void {
    for (const [index, health] of this.#health.entries()) {
      const { version } = shared.health[index]!;
      if (version === health.version) continue;
      // The age of a report that predates this instance is unknown, so it counts from now.
      health.version = version;
      health.atMs = this.#parts.clock.wallMs();
    }
    this.#watchCircuits();
  }

  #published(name: string, text: string): InstanceSnapshot | undefined {
    const read = this.#read.get(name);
    if (read?.text === text) return read.figures;
    const figures = readPublished(text);
    this.#read.set(name, { text, figures });
    return figures;
  }

  /** One instance compares for all: the one that asks the processors' health. */
  async #compareBooks(): Promise<void> {
    const { books, clock, session } = this.#parts;
    if (books === undefined || this.#comparing) return;
    if (session()?.membership.isChecker !== true) {
      this.#books = undefined;
      return;
    }
    this.#comparing = true;
    try {
      const { compareBooks } = await import('./reconciliation.ts');
      this.#books = await compareBooks(books, clock.wallMs());
    } catch {
      // The store cannot be read: the last comparison stands, with its age.
    } finally {
      this.#comparing = false;
    }
  }

  #watchCircuits(): void {
    const { breakers } = this.#parts;
    for (const index of [0, 1] as const) {
      const { circuit } = breakers[index];
      // Half-open is not logged: it comes and goes with every probe.
      if (circuit === this.#circuits[index] || circuit === 'half-open') continue;
      this.#circuits[index] = circuit;
      this.journal.circuit(index, circuit);
    }
  }

  async #measureStore(): Promise<void> {
    this.#storeBytes = await this.#parts.storeSize();
  }
}
