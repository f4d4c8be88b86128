/**
 * Loaded into each backend before its own code (`--import`), for `--hops`: notes when the bytes of a payment
 * came to it, when its turn was in the log, and when its answer left. SIGUSR2 writes them to HOPS_DIR. A
 * backend knows nothing of it.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import { join } from 'node:path';
import { PerformanceObserver, performance } from 'node:perf_hooks';
import { isMainThread } from 'node:worker_threads';

export interface BackendHops {
  /** correlationId; ms of the system's monotonic clock when it came, was logged, and was answered. */
  readonly payments: readonly (readonly [id: string, cameMs: number, loggedMs: number, answeredMs: number])[];
  /** When the collector stopped the event loop, and until when. */
  readonly collections: readonly (readonly [fromMs: number, toMs: number])[];
}

const folder = process.env['HOPS_DIR'];
if (folder !== undefined && isMainThread && process.argv[1]?.endsWith('main.js')) follow(folder);

/** `performance.now` of all processes begins at another moment; this is the same for all. */
export function monotonicOffsetMs(): number {
  return Number(process.hrtime.bigint()) / 1e6 - performance.now();
}

function follow(folder: string): void {
  const ID = '"correlationId":"';
  const offsetMs = monotonicOffsetMs();
  const now = () => performance.now() + offsetMs;
  const payments: [string, number, number, number][] = [];
  const collections: [number, number][] = [];
  let unlogged: [string, number, number, number][] = [];

  new PerformanceObserver(list => {
    for (const { startTime, duration } of list.getEntries())
      collections.push([startTime + offsetMs, startTime + duration + offsetMs]);
  }).observe({ entryTypes: ['gc'] });

  class FollowedSocket extends net.Socket {
    constructor(options?: net.SocketConstructorOpts) {
      const waiting: [string, number, number, number][] = [];
      const { onread } = options ?? {};
      if (onread !== undefined) {
        const buffer = onread.buffer as Buffer;
        const { callback } = onread;
        const came: typeof callback = (count, bytes) => {
          const at = now();
          const idAt = buffer.subarray(0, count).indexOf(ID);
          if (idAt >= 0) {
            const id = buffer.toString('latin1', idAt + ID.length, idAt + ID.length + 36);
            const payment: [string, number, number, number] = [id, at, 0, 0];
            waiting.push(payment);
            unlogged.push(payment);
          }
          return callback(count, bytes);
        };
        super({ ...options, onread: { buffer, callback: came } });
      } else super(options);
      const handle = (this as unknown as { _handle: { writeLatin1String?: Write } | null })._handle;
      const write = handle?.writeLatin1String;
      if (handle === null || write === undefined || onread === undefined) return;
      handle.writeLatin1String = function (request, text) {
        const payment = waiting.shift();
        const result = write.call(this, request, text);
        if (payment !== undefined) {
          payment[3] = now();
          payments.push(payment);
        }
        return result;
      };
    }
  }
  net.Socket = FollowedSocket;
  const { writeSync } = fs;
  fs.writeSync = ((...args: Parameters<typeof writeSync>) => {
    const written = writeSync(...args);
    if (unlogged.length > 0) {
      const at = now();
      for (const payment of unlogged) payment[2] = at;
      unlogged = [];
    }
    return written;
  }) as typeof writeSync;
  syncBuiltinESMExports();
  process.once('SIGUSR2', () => {
    const hops: BackendHops = { payments, collections };
    const path = join(folder, String(process.pid));
    fs.writeFileSync(path, JSON.stringify(hops));
    fs.renameSync(path, `${path}.json`);
  });
}

type Write = (request: unknown, text: string) => unknown;
