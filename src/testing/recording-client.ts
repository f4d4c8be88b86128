/** Raw bytes to a server in this process, and two ways to wait for what comes of them. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import type { ListenAddress } from '../http/server.ts';
import { answersIn } from './http.ts';

/** A client of a server in this process that remembers all it got. */
export class RecordingClient {
  readonly socket: Socket;
  got = '';
  readonly closed: Promise<void>;

  constructor(address: ListenAddress) {
    this.socket = connect({ ...address, allowHalfOpen: true });
    this.socket.setEncoding('latin1');
    this.socket.on('data', (text: string) => {
      this.got += text;
    });
    this.socket.on('end', () => this.socket.end());
    this.socket.on('error', () => {});
    this.closed = new Promise(resolve => this.socket.on('close', () => resolve()));
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** Waits until what it got matches. */
  async until(pattern: RegExp): Promise<void> {
    await waitFor(() => pattern.test(this.got), `${pattern} in ${JSON.stringify(this.got.slice(0, 500))}`);
  }

  statuses(): number[] {
    return answersIn(this.got).map(({ status }) => status);
  }
}

/** Waits until `holds`; fails after a minute and a half. */
export async function waitFor(holds: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 90_000;
  while (!holds()) {
    assert.ok(Date.now() < end, `waited in vain for ${what}`);
    await new Promise(resolve => setTimeout(resolve, 2));
  }
}

/**
 * Waits until the event loop went round a hundred times without a change. Both ends of every connection are
 * in this process and the kernel passes bytes on at once, so nothing can be on its way then, however slow the
 * machine is.
 */
export async function atRest(look: () => number): Promise<void> {
  let before = look();
  for (let still = 0; still < 100; still++) {
    await new Promise(resolve => setImmediate(resolve));
    if (look() !== before) still = 0;
    before = look();
  }
}
