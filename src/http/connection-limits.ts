/**
 * What one address may have where no proxy counts for us: so many connections at once, and little time until
 * the first byte of a new one.
 */
import type { Socket } from 'node:net';
import { problem } from './problem.ts';
import { dateText, SAY_CLOSE } from './response.ts';

/**
 * As behind HAProxy (`timeout http-request`); a connection that has asked something may be idle for longer.
 */
export const firstByteTimeoutMs = 10_000;
/** How long a connection that is refused has to take its answer. */
const REFUSED_MS = 1_000;

const TOO_MANY = problem(
  429,
  'too-many-requests',
  'Use fewer connections at once, and send the request again after Retry-After seconds.',
  'Retry-After: 1\r\n',
  'close',
);

/** Counts the connections of each address. */
export class ConnectionLimits {
  readonly #countMax: number;
  readonly #isExempt: (address: string) => boolean;
  readonly #wallMs: () => number;
  readonly #counts = new Map<string, number>();

  /** `countMax` of one address, unless it `isExempt`. */
  constructor(countMax: number, isExempt: (address: string) => boolean, wallMs: () => number) {
    this.#countMax = countMax;
    this.#isExempt = isExempt;
    this.#wallMs = wallMs;
  }

  /** Whether a new connection may stay; answers it with 429 where not. */
  admits(socket: Socket): boolean {
    const address = socket.remoteAddress ?? '';
    if ((this.#counts.get(address) ?? 0) < this.#countMax || this.#isExempt(address)) return true;
    // Expected: it may be gone already.
    socket.on('error', () => {});
    // What it sends is read, so that no reset eats the answer.
    socket.resume().end(TOO_MANY.render(dateText(this.#wallMs()), SAY_CLOSE), 'latin1');
    socket.setTimeout(REFUSED_MS, () => socket.destroy());
    return false;
  }

  /** Counts a connection until the function that comes back is called. */
  count({ remoteAddress = '' }: Socket): () => void {
    this.#counts.set(remoteAddress, (this.#counts.get(remoteAddress) ?? 0) + 1);
    return () => {
      const left = (this.#counts.get(remoteAddress) ?? 1) - 1;
      if (left === 0) this.#counts.delete(remoteAddress);
      else this.#counts.set(remoteAddress, left);
    };
  }
}
