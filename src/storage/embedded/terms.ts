/** What an instance finds out of what is in front of it in the log, and says there for all. */
import { StoreFault } from '../ports.ts';
import { faultOfLog, throwFault } from './appending.ts';
import type { EmbeddedParts } from './parts.ts';
import { asksFirstMs } from './recovery.ts';
import { BOOT_DOUBTS, BOOT_PINS } from './shared-log/boots.ts';
import type { Order } from './shared-log/order.ts';
import { LogFault, type LogWriter } from './shared-log/writer.ts';

type JoiningParts = Pick<EmbeddedParts, 'boot' | 'nonce' | 'clock' | 'isFlushing'>;

/**
 * Joins as `instance`, in a term that what stands in front allows; returns the epoch. `doubtfulTerm` as for
 * `beginTerms`. Throws `StoreFault`, and what the reader of the log throws.
 */
export function joinLog(
  log: LogWriter,
  order: Order,
  instance: string,
  doubtfulTerm: number | undefined,
  parts: JoiningParts,
): number {
  for (let inDoubt = doubtfulTerm; ; inDoubt = undefined) {
    if (log.epoch !== 0) log.rejoin();
    log.poll();
    refuseAstray(order);
    beginTerms(log, order, inDoubt, parts);
    const before = order.members.named(instance)?.epoch ?? 0;
    const epoch = log.join(instance, before, parts.nonce(), parts.isFlushing);
    if (epoch instanceof LogFault) throw faultOfLog(epoch);
    if (epoch === 0) throw new StoreFault('busy', `another process joined as ${instance} at the same moment`);
    refuseAstray(order);
    // What stood at the end was no batch that is still being written.
    if (!order.isDamaged) return epoch;
  }
}

/**
 * Another run of the machine, a disk that was away since the term `doubtfulTerm` (undefined: it was not), a
 * damaged part of the log. Throws `StoreFault`.
 */
function beginTerms(
  log: LogWriter,
  order: Order,
  doubtfulTerm: number | undefined,
  { boot, nonce, clock }: JoiningParts,
): void {
  if (order.isDamaged)
    throwFault(log.boot(boot, BOOT_PINS | BOOT_DOUBTS, nonce(), clock.wallMs() + asksFirstMs));
  if (order.boot !== boot) throwFault(log.boot(boot, 0, nonce()));
  // Unless a term has begun since: then another one has found the same.
  if ((doubtfulTerm ?? 0) >= order.term) throwFault(log.boot(boot, BOOT_PINS, nonce()));
}

/** What a damaged part of the log held is known to nobody: all have to join anew. Throws `StoreFault`. */
export function refuseDamaged({ isDamaged }: Order): void {
  if (isDamaged) throw new StoreFault('lost', 'a part of the log is damaged');
}

/**
 * What others could not read any more this one has read, so it may decide otherwise than they do: it has to
 * begin anew, with what is there. Throws `StoreFault`.
 */
function refuseAstray({ isAstray }: Order): void {
  if (isAstray) throw new StoreFault('lost', 'another instance has found the log damaged');
}
