/** Has an archiver at work again and again, for as long as a store is open. */
import type { Clock, Timer } from '../../domain/clock.ts';
import type { ServerArchiver } from './server-archiver.ts';
import type { Retention } from './store-archive.ts';

/** Between two passes at most. */
const PASS_MS = 60_000;

export interface ArchiveLoopParts {
  readonly archiver: ServerArchiver;
  readonly retention: Retention;
  readonly clock: Clock;
  /** Nothing is archived, for a reason that is another one than before. */
  readonly failed: (detail: string) => void;
}

export class ArchiveLoop {
  readonly #parts: ArchiveLoopParts;
  #timer: Timer | undefined;
  #isStopped = false;
  #complaint = '';

  constructor(parts: ArchiveLoopParts) {
    this.#parts = parts;
    this.#rest();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #rest(): void {
    if (this.#isStopped) return;
    const { clock, retention } = this.#parts;
    this.#timer = clock.after(Math.min(PASS_MS, Math.max(100, retention.keptMs / 4)), () => this.#pass());
  }

  #pass(): void {
    const { archiver, retention, clock, failed } = this.#parts;
    archiver
      .pass(retention, clock.wallMs())
      .then(
        () => {
          this.#complaint = '';
        },
        (error: Error & { detail?: string }) => {
          const detail = error.detail ?? error.message;
          if (detail !== this.#complaint && !this.#isStopped) failed(detail);
          this.#complaint = detail;
        },
      )
      .then(() => this.#rest());
  }
}
