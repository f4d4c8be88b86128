/**
 * The entry of the store's thread: it owns the connection, so that no transaction, no lock and no checkpoint
 * ever holds up the event loop that accepts payments. Messages in, replies out, strictly in order.
 */

import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { StoreOpenError } from '../../ports.ts';
import { Inspector } from './inspect.ts';
import { faultOf } from './open.ts';
import { SqliteStore } from './store.ts';
import type { Call, ThreadOptions, ThreadReply } from './thread-client.ts';

/** So long after the last call a checkpoint disturbs nobody. */
const idleMs = 500;

const port = parentPort!;
const options = workerData as ThreadOptions;
// Called in a thread, this is about the thread: accepting goes before storing when both want the processor.
try {
  setPriority(0, options.priority ?? 5);
} catch {
  // Not allowed here: then they share.
}

const store = open();
let inspector: Inspector | undefined;
let idleTimer: NodeJS.Timeout | undefined;

function open(): SqliteStore | undefined {
  try {
    const opened = new SqliteStore(options);
    post({ is: 'open' });
    return opened;
  } catch (error) {
    if (!(error instanceof StoreOpenError)) throw error;
    post({ is: 'refused', detail: error.message });
    return undefined;
  }
}

if (store !== undefined) {
  port.on('message', (call: Call) => {
    if (call.name === 'leave') inspector?.close();
    const [reply, ...handedOver] = carryOut(store, call);
    post(reply, handedOver);
    if (call.name === 'leave') port.close();
    else {
      // After the replies: a checkpoint makes nobody wait who could have been answered before it.
      store.checkpoint(false);
      if (idleTimer === undefined) idleTimer = setTimeout(() => store.checkpoint(true), idleMs).unref();
      else idleTimer.refresh();
    }
  });
}

/** What to post for a call, and what of it to hand over instead of copying it. */
function carryOut(store: SqliteStore, call: Call): [reply: ThreadReply, ...handedOver: ArrayBufferView[]] {
  try {
    switch (call.name) {
      case 'write': {
        const [epoch, generation, rows, count, isFlushed] = call.values;
        const written = store.write(epoch, generation, rows, count, isFlushed);
        // The rows go back with the reply, to be written again.
        return [{ is: 'answer', value: written, rows }, written.results, rows];
      }
      case 'take':
      case 'adopt':
      case 'find': {
        const rows = (store[call.name] as (...values: unknown[]) => Float64Array)(...call.values);
        return [{ is: 'answer', value: rows }, rows];
      }
      case 'ids': {
        const page = store.ids(...call.values);
        return [{ is: 'answer', value: page }, page.ids];
      }
      case 'latest':
        return [{ is: 'answer', value: inspect().latest(...call.values) }];
      case 'history':
        return [{ is: 'answer', value: inspect().history(...call.values) }];
      default: {
        const method = store[call.name] as (...values: unknown[]) => unknown;
        return [{ is: 'answer', value: method.apply(store, call.values) }];
      }
    }
  } catch (error) {
    const { reason, detail } = faultOf(error);
    if (call.name !== 'write') return [{ is: 'fault', reason, detail }];
    const rows = call.values[2];
    return [{ is: 'fault', reason, detail, rows }, rows];
  }
}

function inspect(): Inspector {
  inspector ??= new Inspector(options.directory);
  return inspector;
}

function post(reply: ThreadReply, handedOver: readonly ArrayBufferView[] = []): void {
  port.postMessage(
    reply,
    handedOver.map(view => view.buffer as ArrayBuffer),
  );
}
