/**
 * The embedded store as the event loop sees it: posts what it is asked to the store's thread and calls back.
 */

import { Worker } from 'node:worker_threads';
import type { ProcessorIndex, StoredPayment, Summary } from '../../../domain/payment.ts';
import type { Batch } from '../../batch.ts';
import type { History, InspectedPayment, Inspection } from '../../inspection.ts';
import {
  type Joined,
  type Reopening,
  type Reply,
  type Shared,
  type Store,
  StoreFault,
  StoreOpenError,
  type Written,
} from '../../ports.ts';
import { unpackRows } from '../../row-codec.ts';
import type { SqliteOptions } from './open.ts';

export interface ThreadOptions extends SqliteOptions {
  /** The thread's nice value, 0 to 19. Default 5. */
  readonly priority?: number;
}

/** What the thread is asked; each call has one reply, in the same order. */
export type Call =
  | {
      readonly name: 'write';
      readonly values: [
        epoch: number,
        generation: number,
        rows: Float64Array,
        count: number,
        isFlushed: boolean,
      ];
    }
  | { readonly name: 'ids'; readonly values: [afterSeq: number, limit: number] }
  | { readonly name: 'latest'; readonly values: [limit: number] }
  | { readonly name: 'history'; readonly values: [id: Uint8Array] }
  | { readonly name: 'take' | 'adopt' | 'find'; readonly values: unknown[] }
  | {
      readonly name:
        | 'join'
        | 'replay'
        | 'summary'
        | 'look'
        | 'beat'
        | 'fence'
        | 'takeChecker'
        | 'report'
        | 'purge'
        | 'sync'
        | 'leave';
      readonly values: unknown[];
    };

export type ThreadReply =
  | { readonly is: 'open' }
  | { readonly is: 'refused'; readonly detail: string }
  | { readonly is: 'answer'; readonly value: unknown; readonly rows?: Float64Array }
  | {
      readonly is: 'fault';
      readonly reason: StoreFault['reason'];
      readonly detail: string;
      readonly rows?: Float64Array;
    };

/** Opens the store of `options.directory` in a thread of its own. Rejects with `StoreOpenError`. */
export async function openSqliteStore(options: ThreadOptions): Promise<Store & Inspection & Reopening> {
  return new RemoteStore(options, await startThread(options));
}

function startThread(options: ThreadOptions): Promise<Worker> {
  // From source as it is; beside the bundle that this is part of in production.
  const script = import.meta.url.endsWith('.ts') ? './thread.ts' : './sqlite-thread.cjs';
  const worker = new Worker(new URL(script, import.meta.url), {
    workerData: options,
    resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 },
    name: 'store',
  });
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (reply: ThreadReply) => {
      worker.off('error', reject);
      if (reply.is === 'open') resolve(worker);
      else reject(new StoreOpenError(reply.is === 'refused' ? reply.detail : reply.is));
    });
  });
}

type Settle = (answer: unknown, rows?: Float64Array) => void;

class RemoteStore implements Store, Inspection, Reopening {
  readonly #options: ThreadOptions;
  #worker!: Worker;
  /** Who waits, in the order in which they asked. */
  readonly #waiting: Settle[] = [];
  /** Why there will be no more answers. */
  #ended: StoreFault | undefined;
  /** The last term that this instance has seen: if the store breaks, it broke in that one. */
  #term: number | undefined;

  constructor(options: ThreadOptions, worker: Worker) {
    this.#options = options;
    this.#listen(worker);
  }

  async reopen(): Promise<void> {
    this.#end('the store is being opened anew');
    // Before anything else: a disk that is still in use cannot be taken out and brought back.
    await this.#worker.terminate();
    this.#listen(await startThread({ ...this.#options, mustExist: true, brokenTerm: this.#term }));
    this.#ended = undefined;
  }

  join(instance: string, reply: Reply<Joined>): void {
    this.#ask({ name: 'join', values: [instance] }, this.#seeing(reply));
  }

  replay(instance: string, reply: Reply<number>): void {
    this.#ask({ name: 'replay', values: [instance] }, reply);
  }

  /** The rows of the batch are gone until the reply, and can be used again after it. */
  write(batch: Batch, reply: Reply<Written>): void {
    const { epoch, generation, rows, count, isFlushed } = batch;
    const settle = (answer: Written | StoreFault, returned?: Float64Array): void => {
      if (returned !== undefined) batch.rows = returned;
      reply(answer);
    };
    const buffer = rows.buffer as ArrayBuffer;
    this.#ask({ name: 'write', values: [epoch, generation, rows, count, isFlushed] }, settle, [buffer]);
  }

  take(afterSeq: number, limit: number, reply: Reply<StoredPayment[]>): void {
    this.#ask({ name: 'take', values: [afterSeq, limit] }, unpacked(reply));
  }

  adopt(instance: string, limit: number, reply: Reply<StoredPayment[]>): void {
    this.#ask({ name: 'adopt', values: [instance, limit] }, unpacked(reply));
  }

  find(id: Uint8Array, reply: Reply<StoredPayment | undefined>): void {
    const first = unpacked(found => reply(found instanceof StoreFault ? found : found[0]));
    this.#ask({ name: 'find', values: [id] }, first);
  }

  summary(fromMs: number, toMs: number, reply: Reply<Summary>): void {
    this.#ask({ name: 'summary', values: [fromMs, toMs] }, reply);
  }

  ids(afterSeq: number, limit: number, reply: Reply<{ ids: Uint8Array; lastSeq: number }>): void {
    this.#ask({ name: 'ids', values: [afterSeq, limit] }, reply);
  }

  look(reply: Reply<Shared>): void {
    this.#ask({ name: 'look', values: [] }, this.#seeing(reply));
  }

  beat(generation: number, figures: string, reply: Reply<Shared>): void {
    this.#ask({ name: 'beat', values: [generation, figures] }, this.#seeing(reply));
  }

  fence(instance: string, epoch: number, beat: number, reply: Reply<boolean>): void {
    this.#ask({ name: 'fence', values: [instance, epoch, beat] }, reply);
  }

  takeChecker(holder: string, reply: Reply<boolean>): void {
    this.#ask({ name: 'takeChecker', values: [holder] }, reply);
  }

  report(processor: ProcessorIndex, failing: boolean, minResponseMs: number, reply: Reply<boolean>): void {
    this.#ask({ name: 'report', values: [processor, failing, minResponseMs] }, reply);
  }

  purge(reply: Reply<number>): void {
    this.#ask({ name: 'purge', values: [] }, reply);
  }

  sync(reply: Reply<true>): void {
    this.#ask({ name: 'sync', values: [] }, reply);
  }

  leave(reply: Reply<true>): void {
    this.#ask({ name: 'leave', values: [] }, reply);
  }

  latest(limit: number, reply: Reply<InspectedPayment[]>): void {
    this.#ask({ name: 'latest', values: [limit] }, reply);
  }

  history(id: Uint8Array, reply: Reply<History | undefined>): void {
    this.#ask({ name: 'history', values: [id] }, reply);
  }

  #seeing<T extends { readonly term: number }>(reply: Reply<T>): Reply<T> {
    return answer => {
      if (!(answer instanceof StoreFault)) this.#term = answer.term;
      reply(answer);
    };
  }

  #ask<T>(
    call: Call,
    reply: (answer: T | StoreFault, rows?: Float64Array) => void,
    transfer?: ArrayBuffer[],
  ): void {
    const ended = this.#ended;
    if (ended !== undefined) {
      // Never within the call: a caller may rely on being answered later.
      setImmediate(reply, ended);
      return;
    }
    this.#waiting.push(reply as Settle);
    this.#worker.postMessage(call, transfer);
  }

  #listen(worker: Worker): void {
    const end = (detail: string): void => {
      if (worker === this.#worker) this.#end(detail);
    };
    this.#worker = worker;
    worker.on('message', (reply: ThreadReply) => {
      if (this.#ended === undefined) this.#receive(reply);
    });
    worker.once('error', error => end(`the store's thread failed: ${error}`));
    worker.once('exit', () => end('the store is closed'));
  }

  #receive(reply: ThreadReply): void {
    if (reply.is === 'answer') this.#waiting.shift()!(reply.value, reply.rows);
    else if (reply.is === 'fault') {
      this.#waiting.shift()!(new StoreFault(reply.reason, reply.detail), reply.rows);
    }
  }

  #end(detail: string): void {
    this.#ended ??= new StoreFault('broken', detail);
    for (const settle of this.#waiting.splice(0)) settle(this.#ended);
  }
}

/** A callback for the packed rows of payments. */
function unpacked(reply: Reply<StoredPayment[]>): Reply<Float64Array> {
  return answer => reply(answer instanceof StoreFault ? answer : unpackRows(answer));
}
