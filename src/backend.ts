/** The parts of one backend, wired: store, processors, breakers and the session they serve. */

import { type Clock, realClock } from './clock.ts';
import type { Config } from './config.ts';
import type { Logger } from './observe/log.ts';
import { PROCESSORS } from './payments/payment.ts';
import { Service } from './payments/service.ts';
import { Session, type SessionEvents } from './payments/session.ts';
import { Breaker, type Circuit } from './processors/breaker.ts';
import { ProcessorsClient } from './processors/client.ts';
import { Follower } from './store/follow.ts';
import { Log } from './store/log.ts';
import type { Store } from './store/store.ts';

/** Attempts at work get this long to end when the backend stops; then they are left to be found as unknown. */
const STOP_MS = 2500;
const REJOIN_MS = 500;

export class Backend {
  readonly service: Service;
  readonly #config: Config;
  readonly #store: Store;
  readonly #logger: Logger;
  readonly #clock: Clock = realClock;
  readonly #processors: ProcessorsClient;
  readonly #breakers = [new Breaker(), new Breaker()] as const;
  readonly #circuits: [Circuit, Circuit] = ['closed', 'closed'];
  #faulty = false;
  #stopping = false;

  constructor(config: Config, store: Store, logger: Logger) {
    this.#config = config;
    this.#store = store;
    this.#logger = logger;
    this.#processors = new ProcessorsClient({
      urls: config.processorUrls,
      attemptTimeoutMs: config.attemptTimeoutMs,
      connections: config.workerConcurrency,
    });
    const { instance, ackAfter } = config;
    this.service = new Service({ store, clock: this.#clock, instance, ackAfter, accepted: () => {} });
  }

  /** Joins the others. Throws `Unavailable` when the store cannot be asked. */
  async begin(): Promise<void> {
    const config = this.#config;
    this.service.session = await Session.begin({
      store: this.#store,
      processors: this.#processors,
      breakers: this.#breakers,
      clock: this.#clock,
      chance: Math.random,
      policy: config,
      instance: config.instance,
      openLog: generation =>
        new Log(config.storeDirectory, config.instance, generation, config.ackAfter === 'flush'),
      follow: events => new Follower(config.storeDirectory, config.instance, events),
      queueCapacity: config.queueCapacity,
      concurrency: config.workerConcurrency,
      events: this.#events(),
    });
  }

  /** Says `not ready` from now on, so that the proxy looks elsewhere. */
  announceStop(): void {
    this.#stopping = true;
    this.service.announceStop();
    this.#logger.info('stopping');
  }

  /** Ends or parks what is at work and leaves the others. */
  async stop(): Promise<void> {
    await this.service.session?.stop(this.#clock.monotonicMs() + STOP_MS);
    await this.#processors.close();
    this.#logger.info('stopped');
  }

  #events(): SessionEvents {
    const logger = this.#logger;
    return {
      settled: () => {},
      attempted: (correlationId, processor, outcome, durationMs) => {
        this.#watchCircuit(processor);
        if (outcome === 'processed') return;
        logger.debug(
          { correlationId, processor: PROCESSORS[processor], outcome, durationMs },
          'attempt failed',
        );
      },
      faulty: fault => {
        if ((fault !== undefined) === this.#faulty) return;
        this.#faulty = fault !== undefined;
        this.service.fault = fault && `the store is ${fault.reason}: ${fault.detail}`;
        if (fault === undefined) logger.info('the store takes writes again');
        else logger.error({ reason: fault.reason, detail: fault.detail }, 'the store does not take writes');
      },
      fenced: () => {
        logger.warn('fenced: the others took this instance for dead, so it joins them anew');
        this.service.session = undefined;
        void this.#rejoin();
      },
      died: instance => logger.warn({ other: instance }, 'an instance died'),
      adopted: (instance, count) => logger.info({ other: instance, count }, 'payments adopted'),
      checking: mine =>
        logger.info(mine ? 'this instance asks the health now' : 'another one asks the health'),
      shared: () => {
        for (const processor of PROCESSORS.keys()) this.#watchCircuit(processor);
      },
      figures: () => '{}',
    };
  }

  async #rejoin(): Promise<void> {
    while (!this.#stopping) {
      try {
        await this.begin();
        return;
      } catch (error) {
        this.#logger.error({ error: String(error) }, 'cannot join the others yet');
        await new Promise<void>(resolve => this.#clock.after(REJOIN_MS, resolve));
      }
    }
  }

  #watchCircuit(processor: number): void {
    const { circuit } = this.#breakers[processor]!;
    // Half-open comes and goes with every probe.
    if (circuit === 'half-open' || circuit === this.#circuits[processor]) return;
    this.#circuits[processor] = circuit;
    this.#logger.warn({ processor: PROCESSORS[processor], circuit }, 'circuit');
  }
}
