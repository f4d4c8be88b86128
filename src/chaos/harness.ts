/**
 * A stack that can be killed and started again, the processors and the clients that outlive it, and an audit
 * of what came of it.
 */

import type { PaymentsAudit, SumsAudit } from '../audit/reconciliation.ts';
import { auditPayments, auditSent, auditSums, concurrently } from '../audit/run.ts';
import { Sources } from '../audit/sources.ts';
import { chance } from '../domain/random.ts';
import { AdminClient } from '../processor-simulator/admin-client.ts';
import { type ProcessorServer, serveProcessor } from '../processor-simulator/listener.ts';
import { TOKEN } from '../processor-simulator/token.ts';
import { freePort } from '../testing/ports.ts';
import { type RunningStack, startStack } from '../testing/stack.ts';
import { until } from '../testing/until.ts';
import { type Accepted, Client } from './client.ts';

export interface SceneOptions {
  readonly connections: number;
  readonly seed: number;
  /** Where the store is; a folder of the stack's own by default. */
  readonly directory?: string;
  readonly env?: NodeJS.ProcessEnv;
}

export interface Findings {
  readonly accepted: number;
  /** Acknowledged, and unknown to soquete now. */
  readonly lost: readonly Accepted[];
  /** What is amiss with acknowledged payments. */
  readonly sent: PaymentsAudit;
  /** What is amiss with those that a processor has, whoever sent them. */
  readonly recorded: PaymentsAudit;
  readonly sums: SumsAudit;
}

/** How old a figure of /metrics is at most, and as much again. */
const FIGURES_OLD_MS = 1000;

export class Scene {
  readonly client: Client;
  readonly processors: readonly [ProcessorServer, ProcessorServer];
  /** Their administration. */
  readonly admins: readonly [AdminClient, AdminClient];
  readonly url: string;
  #stack: RunningStack | undefined;
  readonly #port: number;
  readonly #options: SceneOptions;

  static async set(options: SceneOptions): Promise<Scene> {
    const processors = [await serveProcessor(0, 0), await serveProcessor(1, 0)] as const;
    return new Scene(options, processors, await freePort());
  }

  private constructor(options: SceneOptions, processors: Scene['processors'], port: number) {
    this.processors = processors;
    this.admins = [new AdminClient(processors[0].url), new AdminClient(processors[1].url)];
    this.#options = options;
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
    // A payment that is forgotten may come again with another amount than its processor has: that is nobody's
    // fault here.
    const misuse = { twice: 0.05, otherAmount: 0 };
    this.client = new Client(this.url, options.connections, chance(options.seed), misuse);
  }

  get stack(): RunningStack {
    return this.#stack!;
  }

  /** Starts the stack, or starts it again; `under` a command that runs the one behind it, `more` settings. */
  async start(under: readonly string[] = [], more: NodeJS.ProcessEnv = {}): Promise<void> {
    const { directory, env = {} } = this.#options;
    const folder = this.#stack?.folder;
    this.#stack = await startStack({
      under,
      ...(folder === undefined ? {} : { folder }),
      env: {
        LOG_LEVEL: 'info',
        ATTEMPT_TIMEOUT_MS: '1500',
        FALLBACK_AFTER_MS: '500',
        ...(directory === undefined ? {} : { STORE_URL: `sqlite:${directory}` }),
        ...env,
        ...more,
        PORT: String(this.#port),
        PROCESSOR_DEFAULT_URL: this.processors[0].url,
        PROCESSOR_FALLBACK_URL: this.processors[1].url,
        PROCESSOR_ADMIN_TOKEN: TOKEN,
      },
    });
  }

  async accepts(count: number): Promise<void> {
    await this.#until(() => this.client.accepted >= count, `${count} payments to be accepted`);
  }

  /**
   * Waits until nothing is at work any more, and `count` payments, if given, are settled. What /metrics says
   * may be of before the last ones came, so nothing may wait in two looks that are further apart than it can
   * be old.
   */
  async settles(count?: number): Promise<void> {
    let emptyFromMs = Infinity;
    await this.#until(async () => {
      if ((await this.metric('soquete_queue_length')) !== 0) emptyFromMs = Infinity;
      else emptyFromMs = Math.min(emptyFromMs, performance.now());
      if (performance.now() - emptyFromMs < FIGURES_OLD_MS) return false;
      return count === undefined || (await this.#settled()) === count;
    }, 'everything to be settled');
  }

  async #settled(): Promise<number> {
    const answer = await fetch(`${this.url}/payments-summary`);
    const sums = Object.values((await answer.json()) as Record<string, { totalRequests: number }>);
    return sums.reduce((all, { totalRequests }) => all + totalRequests, 0);
  }

  /** The sum over all that /metrics says of a name, where `labels` are among its labels. */
  async metric(name: string, labels = ''): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const lines = text.split('\n').filter(line => line.startsWith(`${name}{`) && line.includes(labels));
    if (lines.length === 0) return Number.NaN;
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
  }

  /** What /metrics says of a counter, summed up by one of its labels; only what is above 0. */
  async byLabel(name: string, label: string): Promise<Map<string, number>> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const sums = new Map<string, number>();
    for (const line of text.split('\n')) {
      const value = Number(line.slice(line.lastIndexOf(' ')));
      const labelled = new RegExp(`^${name}\\{.*\\b${label}="(?<text>[^"]*)"`).exec(line)?.groups?.['text'];
      if (labelled !== undefined && value > 0) sums.set(labelled, (sums.get(labelled) ?? 0) + value);
    }
    return sums;
  }

  async audit(): Promise<Findings> {
    const [onDefault, onFallback] = this.processors;
    const sources = new Sources({
      url: this.url,
      default: onDefault.url,
      fallback: onFallback.url,
      token: TOKEN,
    });
    try {
      const { payments, ids } = this.client;
      const lost: Accepted[] = [];
      await concurrently(payments, async payment => {
        if ((await sources.booked(payment.id)) === undefined) lost.push(payment);
      });
      return {
        accepted: payments.length,
        lost,
        sent: await auditSent(sources, ids),
        recorded: (await auditPayments(sources))!,
        sums: await auditSums(sources),
      };
    } finally {
      await sources.close();
    }
  }

  /** What an operator would read in its log: each message once. */
  get told(): string[] {
    const told = new Set<string>();
    for (const line of this.stack.launcher.said().split('\n')) {
      // A process that is killed may leave half a line.
      const message = /^\{"level":.*"msg":"(?<text>.*)"\}$/.exec(line)?.groups?.['text'];
      if (message !== undefined) told.add(message);
    }
    return [...told];
  }

  async #until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const asSaid = () => `${what}; the stack says:\n${this.stack.launcher.said()}`;
    await until(holds, asSaid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
    await this.#stack?.[Symbol.asyncDispose]();
    await Promise.all(this.admins.map(admin => admin[Symbol.asyncDispose]()));
    await Promise.all(this.processors.map(processor => processor.close()));
  }
}
