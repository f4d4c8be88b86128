/**
 * What of the store's log cannot be used: a line and a count for each part, from the instance that kept its
 * bytes.
 */
import type { LogDamage } from '../storage/embedded/damage.ts';
import type { Logger } from './logger.ts';

export class DamageLog {
  readonly #logger: Logger;
  #count = 0;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Parts that were damaged or lost. */
  get count(): number {
    return this.#count;
  }

  found({ is, ...where }: LogDamage): void {
    if (is === 'torn') {
      this.#logger.warn(where, 'a write to the log was cut short: what is whole around it was taken');
      return;
    }
    this.#count += 1;
    this.#logger.error(
      where,
      is === 'lost'
        ? 'a part of the log is lost: it goes on with what the index has'
        : 'the log is damaged: what is whole around it was taken',
    );
  }
}
