/** The index in a thread of its own, and one connection of this thread's that only reads. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import type { Summary } from '../../../domain/payment.ts';
import type { HeldCounts, History, InspectedPayment, SettledPage } from '../../inspection.ts';
import { type Reply, StoreFault, StoreOpenError } from '../../ports.ts';
import type { ArchiveStep, ArchiveValues } from '../archive/archiver.ts';
import type { IndexClient } from './index-client.ts';
import { IndexReader } from './index-reader.ts';
import type { IndexDamage, IndexOpened } from './log-index.ts';
import { type IndexOptions, indexFaultOf } from './schema.ts';
import type { IndexedPayment } from './statements.ts';
import { indexFile } from './tables.ts';

export interface IndexThreadOptions extends IndexOptions {
  readonly logDirectory: string;
  /** Niceness of the thread. */
  readonly priority?: number;
}

export type IndexCall =
  | { readonly name: 'advance' | 'sync' | 'close' }
  | {
      readonly name: 'unsettled';
      readonly values: [origins: readonly number[], afterSeq: number, limit: number];
    }
  | {
      readonly name: 'held';
      readonly values: [origins: readonly number[], dueMs: number, limit: number];
    }
  | { readonly name: 'pinnedTo'; readonly values: [processor: number, limit: number] }
  | { readonly name: 'archive'; readonly values: ArchiveValues }
  | { readonly name: 'heldCounts' }
  | { readonly name: 'inspectHeld'; readonly values: [limit: number] }
  | { readonly name: 'settled'; readonly values: [after: number, limit: number] }
  | { readonly name: 'latest'; readonly values: [limit: number] }
  | { readonly name: 'history'; readonly values: [id: Uint8Array] };

export type IndexReply =
  | { readonly is: 'open'; readonly opened: IndexOpened }
  | { readonly is: 'refused'; readonly detail: string }
  | { readonly is: 'answer'; readonly value: unknown }
  | { readonly is: 'damaged'; readonly found: IndexDamage }
  | { readonly is: 'fault'; readonly reason: StoreFault['reason']; readonly detail: string };

/** Each look touches few pages, of ids one: more would only hold what the kernel holds already. */
const READER_CACHE_KIB = 512;

export class IndexThreadClient implements IndexClient {
  readonly #options: IndexThreadOptions;
  #worker: Worker | undefined;
  #waiting: Reply<never>[] = [];
  #reader: IndexReader | undefined;
  damaged: (found: IndexDamage) => void = () => {};

  constructor(options: IndexThreadOptions) {
    this.#options = options;
  }

  async open(): Promise<IndexOpened> {
    await this.#end('the index is opened anew');
    const worker = new Worker(new URL(threadScript(), import.meta.url), {
      workerData: this.#options,
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
      name: 'index',
    });
    const opened = await new Promise<IndexOpened>((resolve, reject) => {
      worker.once('error', reject);
      worker.on('message', (reply: IndexReply) => {
        if (reply.is === 'damaged') {
          this.damaged(reply.found);
          return;
        }
        worker.off('error', reject);
        worker.removeAllListeners('message');
        if (reply.is === 'open') resolve(reply.opened);
        else reject(new StoreOpenError(reply.is === 'refused' ? reply.detail : `the index says ${reply.is}`));
      });
    });
    this.#worker = worker;
    worker.on('message', (reply: IndexReply) => {
      if (worker === this.#worker) this.#receive(reply);
    });
    worker.on('error', error => {
      throw error;
    });
    const database = new DatabaseSync(join(this.#options.directory, indexFile), { readOnly: true });
    database.exec(`PRAGMA cache_size = -${READER_CACHE_KIB}; PRAGMA busy_timeout = 100`);
    this.#reader = new IndexReader(database);
    return opened;
  }

  advance(reply: Reply<number>): void {
    this.#call({ name: 'advance' }, reply);
  }

  sync(reply: Reply<number>): void {
    this.#call({ name: 'sync' }, reply);
  }

  find(id: Uint8Array): IndexedPayment | undefined {
    return this.#openReader.find(id);
  }

  closedBecause(id: Uint8Array): string {
    return this.#openReader.closedBecause(id);
  }

  summary(fromMs: number, toMs: number, reply: Reply<{ summary: Summary; position: number }>): void {
    let answer: { summary: Summary; position: number } | StoreFault;
    try {
      answer = this.#openReader.summary(fromMs, toMs);
    } catch (error) {
      answer = indexFaultOf(error);
    }
    reply(answer);
  }

  unsettled(
    origins: readonly number[],
    afterSeq: number,
    limit: number,
    reply: Reply<{ payments: IndexedPayment[]; position: number }>,
  ): void {
    this.#call({ name: 'unsettled', values: [origins, afterSeq, limit] }, reply);
  }

  held(
    origins: readonly number[],
    dueMs: number,
    limit: number,
    reply: Reply<{ payments: IndexedPayment[]; position: number }>,
  ): void {
    this.#call({ name: 'held', values: [origins, dueMs, limit] }, reply);
  }

  latest(limit: number, reply: Reply<InspectedPayment[]>): void {
    this.#call({ name: 'latest', values: [limit] }, reply);
  }

  history(id: Uint8Array, reply: Reply<History | undefined>): void {
    this.#call({ name: 'history', values: [id] }, reply);
  }

  heldCounts(reply: Reply<HeldCounts>): void {
    this.#call({ name: 'heldCounts' }, reply);
  }

  inspectHeld(limit: number, reply: Reply<InspectedPayment[]>): void {
    this.#call({ name: 'inspectHeld', values: [limit] }, reply);
  }

  settled(after: number, limit: number, reply: Reply<SettledPage>): void {
    this.#call({ name: 'settled', values: [after, limit] }, reply);
  }

  pinnedTo(processor: number, limit: number, reply: Reply<IndexedPayment[]>): void {
    this.#call({ name: 'pinnedTo', values: [processor, limit] }, reply);
  }

  archive(values: ArchiveValues, reply: Reply<ArchiveStep>): void {
    this.#call({ name: 'archive', values }, reply);
  }

  close(): Promise<void> {
    return this.#end('the index is closed');
  }

  get #openReader(): IndexReader {
    if (this.#reader === undefined) throw new StoreFault('lost', 'the index is closed');
    return this.#reader;
  }

  #call<T>(call: IndexCall, reply: Reply<T>): void {
    if (this.#worker === undefined) {
      reply(new StoreFault('lost', 'the index is closed'));
      return;
    }
    this.#waiting.push(reply as Reply<never>);
    this.#worker.postMessage(call);
  }

  #receive(reply: IndexReply): void {
    if (reply.is === 'damaged') {
      this.damaged(reply.found);
      return;
    }
    const waiting = this.#waiting.shift();
    if (waiting === undefined) throw new Error(`the index answered what nobody asked: ${reply.is}`);
    if (reply.is === 'fault') waiting(new StoreFault(reply.reason, reply.detail));
    else if (reply.is === 'answer') waiting(reply.value as never);
  }

  async #end(why: string): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    this.#reader?.close();
    this.#reader = undefined;
    for (const waiting of this.#waiting.splice(0)) waiting(new StoreFault('lost', why));
    if (worker === undefined) return;
    const ended = new Promise<void>(resolve => worker.once('exit', () => resolve()));
    worker.postMessage({ name: 'close' } satisfies IndexCall);
    await ended;
  }
}

/** From source as it is; beside the bundle that this is part of in production. */
const threadScript = (): string => (import.meta.url.endsWith('.ts') ? './thread.ts' : './index-thread.cjs');
