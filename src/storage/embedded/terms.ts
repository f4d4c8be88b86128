/** What an instance finds out of what is in front of it in the log, and says there for all. */
import { StoreFault } from '../ports.ts';
import { throwFault } from './appending.ts';
import type { EmbeddedParts } from './parts.ts';
import { asksFirstMs } from './recovery.ts';
import { BOOT_DOUBTS, BOOT_PINS } from './shared-log/boots.ts';
import type { Order } from './shared-log/order.ts';
import type { LogWriter } from './shared-log/writer.ts';

/**
 * Another run of the machine, a disk that was away since the term `doubtfulTerm` (undefined: it was not), a
 * damaged part of the log. Throws `StoreFault`.
 */
export function beginTerms(
  log: LogWriter,
  order: Order,
  doubtfulTerm: number | undefined,
  { boot, nonce, clock }: Pick<EmbeddedParts, 'boot' | 'nonce' | 'clock'>,
): void {
  if (order.isDamaged)
    throwFault(log.boot(boot, BOOT_PINS | BOOT_DOUBTS, nonce(), clock.wallMs() + asksFirstMs));
  if (order.boot !== boot) throwFault(log.boot(boot, 0, nonce()));
  // Unless a term has begun since: then another one has found the same.
  if ((doubtfulTerm ?? 0) >= order.term) throwFault(log.boot(boot, BOOT_PINS, nonce()));
}

/** What a damaged part of the log held is known to nobody: all have to join anew. */
export function refuseDamaged({ isDamaged }: Order): void {
  if (isDamaged) throw new StoreFault('lost', 'a part of the log is damaged');
}
