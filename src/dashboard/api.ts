/** The JSON between a backend and the dashboard's page. Times are wall-clock ms, 0 for none. */
import type { HoldReason, Processor } from '../domain/payment.ts';
import type { ActKind } from '../storage/acts.ts';
import type { ProcessorFigures, QueueFigures, ReconciledBooks, Sample } from '../telemetry/snapshot.ts';

export interface DashboardView {
  readonly nowMs: number;
  readonly answeredBy: string;
  /** How connections are spread over the backends. */
  readonly door: 'HAProxy' | 'shared port';
  readonly policy: PolicyView;
  /** What a payment that was answered with 202 survives, as `GET /health` says it. */
  readonly survives: string;
  readonly instances: readonly InstanceLine[];
  readonly processors: readonly ProcessorState[];
  /** Undefined where no admin token is given; null before the first comparison. */
  readonly books?: ReconciledBooks | null;
  /** How many payments are held, by reason; those of no reason are left out. */
  readonly held: Readonly<Record<string, number>>;
  /** Of the store's disk; null: it is a database's, or cannot be read. */
  readonly disk: DiskView | null;
  readonly latest: readonly PaymentLine[];
  readonly samples: readonly Sample[];
  /** Whether payments can be acted on by hand from here. */
  readonly operator: boolean;
  /** Whether the processors can be broken from here. */
  readonly controls: boolean;
}

export interface DiskView {
  readonly usedBytes: number;
  readonly freeBytes: number;
  /** Until the disk is full at the rate of the last hour; null: it does not grow, or it is too early. */
  readonly daysLeft: number | null;
  /** Settled payments leave after so many days; null: they never do. */
  readonly retentionDays: number | null;
}

export interface PolicyView {
  readonly defaultAttempts: number;
  readonly attemptTimeoutMs: number;
  readonly backoffMinMs: number;
  readonly backoffMaxMs: number;
  readonly fallbackAfterMs: number;
  readonly workerConcurrency: number;
  readonly ackAfter: string;
  /** Shares of an amount, default's first; null where they are not configured. */
  readonly fees: readonly [number, number] | null;
}

export interface InstanceLine {
  readonly name: string;
  readonly alive: boolean;
  /** Why it takes no payments. */
  readonly reasons: readonly string[];
  readonly isChecker: boolean;
  readonly connections: number;
  readonly accepted: number;
  readonly unsettled: number;
  readonly queue: QueueFigures | null;
  readonly busy: number;
  readonly residentBytes: number;
  readonly startedAtMs: number;
  /** The age of its snapshot. */
  readonly ageMs: number;
}

export interface ProcessorState {
  readonly name: Processor;
  readonly url: string;
  readonly failing: boolean;
  readonly minResponseMs: number;
  readonly healthAgeMs: number | null;
  /** The state of the circuit in each living instance. */
  readonly circuits: readonly {
    readonly instance: string;
    readonly circuit: ProcessorFigures['circuit'];
    readonly probing: boolean;
    readonly probeAtMs: number;
  }[];
  readonly settled: number;
  readonly cents: number;
  /** By outcome, since the instances started. */
  readonly attempts: Readonly<Record<string, number>>;
}

export interface PaymentLine {
  readonly correlationId: string;
  readonly cents: number;
  readonly state: 'waiting' | 'sent' | 'pinned' | 'settled' | 'closed';
  readonly processor: Processor | null;
  readonly acceptedAtMs: number;
  readonly settledAtMs: number;
  readonly attempts: number;
  readonly owner: string;
  /** Why it is held; null: it is not. */
  readonly held: HoldReason | null;
}

/** A held payment. */
export interface HeldLine extends PaymentLine {
  /** When it is tried again; null: not by itself. */
  readonly retryAtMs: number | null;
}

/** A page of settled payments, in the order of their arrival. */
export interface SettledLines {
  readonly payments: readonly {
    readonly correlationId: string;
    readonly cents: number;
    readonly processor: Processor;
    readonly requestedAtMs: number;
  }[];
  /** What to ask for the next page with; 0: there is none. */
  readonly after: number;
}

/** The story of one payment, oldest event first. */
export interface PaymentTimeline {
  readonly payment: PaymentLine;
  readonly events: readonly TimelineEvent[];
  /** What the payment waits for; null when it is settled or closed. */
  readonly waits: { readonly why: string; readonly untilMs: number } | null;
}

export interface TimelineEvent {
  readonly atMs: number;
  readonly kind: 'accepted' | 'attempt' | 'sent' | 'settled' | 'act';
  readonly processor: Processor | null;
  /** The outcome of an attempt, in words. */
  readonly outcome: string | null;
  readonly durationMs: number | null;
  /** What an operator did. */
  readonly act?: ActKind;
  readonly text: string;
}
