/** The log lines about the state of an instance. */
import type { InstanceState } from '../payments/instance.ts';
import type { Logger } from './logger.ts';

export class InstanceLog {
  readonly #logger: Logger;
  #before: InstanceState = { is: 'joining' };
  #cannotJoin = '';

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  changed(state: InstanceState): void {
    const logger = this.#logger;
    const before = this.#before;
    this.#before = state;
    switch (state.is) {
      case 'joining':
        return;
      case 'live':
        this.#cannotJoin = '';
        if (state.fault !== undefined) {
          const { reason, detail } = state.fault;
          logger.error({ reason, detail }, 'the store does not take writes');
        } else if (before.is === 'store lost' || (before.is === 'live' && before.fault !== undefined)) {
          logger.info('the store takes writes again');
        }
        return;
      case 'fenced':
        logger.warn('fenced: the other instances declared this one dead, so it joins again');
        return;
      case 'purged':
        logger.info('all payments were purged, so this instance joins again');
        return;
      case 'store lost':
        if (before.is === 'store lost') return;
        logger.error({ detail: state.detail }, 'the store is lost: it is opened anew as soon as it is there');
        return;
      case 'stopping':
        if (before.is !== 'stopping') logger.info('stopping');
    }
  }

  /** Once for each reason. */
  cannotJoin({ message }: Error): void {
    if (message === this.#cannotJoin) return;
    this.#cannotJoin = message;
    this.#logger.error({ error: message }, 'cannot join the others yet');
  }
}
