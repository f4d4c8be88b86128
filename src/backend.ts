/** The parts of one backend, wired: store, processors, breakers and the session they serve. */

import type { Config } from './config.ts';
import type { PolicyView } from './dashboard/api.ts';
import type { DashboardSource } from './dashboard/source.ts';
import { type Clock, realClock } from './domain/clock.ts';
import { Unavailable } from './payments/api.ts';
import { ask } from './payments/ask.ts';
import { Service } from './payments/service.ts';
import { Session, type SessionEvents } from './payments/session.ts';
import { CircuitBreaker } from './processors/circuit-breaker.ts';
import { UndiciClient } from './processors/undici-client.ts';
import { FileLog } from './storage/embedded/file-log.ts';
import { SharedDirectoryFeed } from './storage/embedded/shared-directory-feed.ts';
import type { Inspection } from './storage/inspection.ts';
import type { Reopening, Store, StoreFault } from './storage/ports.ts';
import type { Logger } from './telemetry/logger.ts';
import { Telemetry } from './telemetry/telemetry.ts';

/**
 * Attempts at work get this long to end when the backend stops; then they are left to be found as unknown.
 */
const STOP_MS = 2500;
const REJOIN_MS = 500;

export class Backend {
  readonly service: Service;
  readonly observation: Telemetry;
  readonly #config: Config;
  readonly #store: Store;
  readonly #reopen: () => Promise<void>;
  readonly #inspection: Inspection;
  readonly #logger: Logger;
  readonly #clock: Clock = realClock;
  readonly #processors: UndiciClient;
  readonly #breakers = [new CircuitBreaker(), new CircuitBreaker()] as const;
  #faulty = false;
  #stopping = false;

  constructor(config: Config, store: Store & Inspection & Reopening, logger: Logger) {
    this.#inspection = store;
    this.#reopen = () => store.reopen();
    this.#config = config;
    this.#logger = logger;
    this.observation = new Telemetry({
      instance: config.instance,
      logger,
      clock: this.#clock,
      breakers: this.#breakers,
      storeDirectory: config.storeDirectory,
      session: () => this.service.session,
      reasons: () => this.service.readiness().reasons,
      books:
        config.adminToken === undefined
          ? undefined
          : {
              urls: config.processorUrls,
              token: config.adminToken,
              fromMs: config.auditFromMs,
              summary: (fromMs, toMs) => this.service.summary(fromMs, toMs),
            },
    });
    this.#store = this.observation.timed(store);
    this.#processors = new UndiciClient({
      urls: config.processorUrls,
      attemptTimeoutMs: config.attemptTimeoutMs,
      connections: config.workerConcurrency,
    });
    const { instance, ackAfter } = config;
    const accepted = (): void => this.observation.figures.accepted();
    this.service = new Service({ store, clock: this.#clock, instance, ackAfter, accepted });
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
      openLog: joined =>
        new FileLog(config.storeDirectory, config.instance, joined, config.ackAfter === 'flush'),
      follow: events => new SharedDirectoryFeed(config.storeDirectory, config.instance, events),
      queueCapacity: config.queueCapacity,
      concurrency: config.workerConcurrency,
      events: this.#events(),
    });
  }

  /** What the pages show. */
  get observed(): DashboardSource {
    const { observation, service } = this;
    const { listen, processorUrls: urls, adminToken: token, processorControls } = this.#config;
    return {
      nowMs: () => this.#clock.wallMs(),
      instances: () => observation.instances(),
      shared: () => observation.shared(),
      readiness: () => service.readiness(),
      samples: sinceMs => observation.timeline.since(sinceMs),
      latest: limit => ask(reply => this.#inspection.latest(limit, reply)),
      history: id => ask(reply => this.#inspection.history(id, reply)),
      door: listen.is === 'unix' ? 'HAProxy' : 'shared port',
      policy: policyOf(this.#config),
      processorUrls: urls,
      audited: token !== undefined,
      controls: token !== undefined && processorControls ? { urls, token } : undefined,
    };
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
    this.observation.close();
    this.#logger.info('stopped');
  }

  #events(): SessionEvents {
    const logger = this.#logger;
    return {
      ...this.observation.events,
      faulty: fault => {
        if ((fault !== undefined) === this.#faulty) return;
        this.#faulty = fault !== undefined;
        this.service.fault = fault && `the store is ${fault.reason}: ${fault.detail}`;
        if (fault === undefined) logger.info('the store takes writes again');
        else logger.error({ reason: fault.reason, detail: fault.detail }, 'the store does not take writes');
      },
      fenced: () => {
        this.observation.journal.fenced();
        this.service.session = undefined;
        void this.#rejoin(false);
      },
      broken: ({ detail }) => {
        logger.error({ detail }, 'the store is broken: it is opened anew as soon as it is there');
        this.service.session = undefined;
        this.service.fault = `the store is broken: ${detail}`;
        this.#faulty = true;
        this.observation.journal.readiness(this.service.readiness().reasons);
        void this.#rejoin(true);
      },
    };
  }

  async #rejoin(isBroken: boolean): Promise<void> {
    let isStoreBroken = isBroken;
    let told = '';
    while (!this.#stopping) {
      try {
        if (isStoreBroken) await this.#reopen();
        this.service.fault = undefined;
        await this.begin();
        this.#events().faulty(undefined);
        return;
      } catch (error) {
        isStoreBroken ||= breaks(error);
        const text = (error as Error).message;
        if (text !== told) this.#logger.error({ error: text }, 'cannot join the others yet');
        told = text;
        await new Promise<void>(resolve => this.#clock.after(REJOIN_MS, resolve));
      }
    }
  }
}

/** Does it take a new connection to the store to be over this? */
function breaks(error: unknown): boolean {
  if (error instanceof Unavailable) return (error.cause as StoreFault).reason === 'broken';
  const { code } = error as NodeJS.ErrnoException;
  return code !== undefined && code !== 'ENOSPC';
}

/** What anybody may see of the configuration: no addresses, no token. */
const policyOf = (config: Config): PolicyView => ({
  defaultAttempts: config.defaultAttempts,
  attemptTimeoutMs: config.attemptTimeoutMs,
  backoffMinMs: config.backoffMinMs,
  backoffMaxMs: config.backoffMaxMs,
  fallbackAfterMs: config.fallbackAfterMs,
  workerConcurrency: config.workerConcurrency,
  ackAfter: config.ackAfter,
});
