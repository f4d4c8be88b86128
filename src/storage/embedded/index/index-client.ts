/** What the engine asks of the index, which may be in another thread: answered by callback, in order. */
import type { Summary } from '../../../domain/payment.ts';
import type { HeldCounts, History, InspectedPayment, SettledPage } from '../../inspection.ts';
import type { Reply } from '../../ports.ts';
import type { ArchiveStep, ArchiveValues } from '../archive/archiver.ts';
import type { IndexDamage, IndexOpened } from './log-index.ts';
import type { IndexedPayment } from './statements.ts';

export interface IndexClient {
  /** Called when the index has come upon damage in the log, also where it cannot be opened then. */
  damaged: (found: IndexDamage) => void;
  /** Opens the index, again if need be. Rejects with `StoreOpenError`. */
  open(): Promise<IndexOpened>;
  /** Moves all that the log holds now into the index; replies with the position up to which that has it. */
  advance(reply: Reply<number>): void;
  /** What the index has at this position is safe from a power loss when this replies. */
  sync(reply: Reply<number>): void;
  /** At once, over a connection of this thread that only reads. Throws what SQLite throws. */
  find(id: Uint8Array): IndexedPayment | undefined;
  /** Why a closed payment was closed; as `find`. */
  closedBecause(id: Uint8Array): string;
  summary(
    fromMs: number,
    toMs: number,
    reply: Reply<{ readonly summary: Summary; readonly position: number }>,
  ): void;
  unsettled(
    origins: readonly number[],
    afterSeq: number,
    limit: number,
    reply: Reply<{ readonly payments: IndexedPayment[]; readonly position: number }>,
  ): void;
  /** Held ones that are due at `dueMs`. */
  held(
    origins: readonly number[],
    dueMs: number,
    limit: number,
    reply: Reply<{ readonly payments: IndexedPayment[]; readonly position: number }>,
  ): void;
  latest(limit: number, reply: Reply<InspectedPayment[]>): void;
  history(id: Uint8Array, reply: Reply<History | undefined>): void;
  heldCounts(reply: Reply<HeldCounts>): void;
  inspectHeld(limit: number, reply: Reply<InspectedPayment[]>): void;
  settled(after: number, limit: number, reply: Reply<SettledPage>): void;
  /** Unsettled ones of all origins that a processor may have, and that are not held for its address. */
  pinnedTo(processor: number, limit: number, reply: Reply<IndexedPayment[]>): void;
  /** A step of the archive, as of `Archiver`. */
  archive(values: ArchiveValues, reply: Reply<ArchiveStep>): void;
  close(): Promise<void>;
}
