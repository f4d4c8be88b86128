/**
 * A log that ends with a part of a batch. Where somebody is writing it, or lives and goes on behind it, only
 * that batch is missing, and nobody was answered. Where nobody lives, more may be missing than that: what cut
 * the log off need not have been the death of its last writer.
 */
import type { Clock } from '../../domain/clock.ts';
import type { LogWriter } from './shared-log/writer.ts';

/** Whoever lives appends a beat twice a second. */
const STILL_MS = 1200;
const LOOK_MS = 100;

/** Whether the log ends so and stays as it is. Rejects with what the reader of the log throws. */
export async function isCutOff(log: LogWriter, clock: Clock): Promise<boolean> {
  const { position } = log;
  for (let stillMs = 0; log.endsInPart && log.position === position; stillMs += LOOK_MS) {
    if (stillMs >= STILL_MS) return true;
    await new Promise<void>(resolve => void clock.after(LOOK_MS, resolve));
    log.poll();
  }
  return false;
}
