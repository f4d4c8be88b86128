/** A TCP proxy that breaks what passes: at a byte, in one direction, or all at once. */
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';

type Direction = 'toServer' | 'toClient';

export class TcpProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [client: Socket, server: Socket]>();
  readonly #passing = { toServer: true, toClient: true };
  #target: number;
  #isRefusing = false;
  /** Bytes that still pass in a direction before everything is cut. */
  #left: { direction: Direction; bytes: number } | undefined;
  /** How many were made to it. */
  connections = 0;
  readonly passed = { toServer: 0, toClient: 0 };

  static async start(target: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await new Promise<void>(resolve => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  private constructor(target: number) {
    this.#target = target;
    this.#server = createServer(client => this.#connect(client));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Where new connections go from now on. */
  aim(target: number): void {
    this.#target = target;
  }

  /** Breaks every connection; `refuse` takes no new one until `heal`. */
  cut(refuse = false): void {
    this.#isRefusing = refuse;
    this.#left = undefined;
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    this.#pairs.clear();
  }

  /** Breaks every connection once so many more bytes have gone in a direction. */
  cutAfter(direction: Direction, bytes: number): void {
    this.#left = { direction, bytes };
  }

  /** Nothing passes in that direction any more; neither end learns of it. */
  drop(direction: Direction): void {
    this.#passing[direction] = false;
  }

  heal(): void {
    this.#isRefusing = false;
    this.#left = undefined;
    // What was dropped is missing in the middle of these.
    if (!this.#passing.toServer || !this.#passing.toClient) this.cut();
    this.#passing.toServer = true;
    this.#passing.toClient = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut(true);
    await new Promise(resolve => this.#server.close(resolve));
  }

  #connect(client: Socket): void {
    this.connections += 1;
    if (this.#isRefusing) {
      client.destroy();
      return;
    }
    const server = new Socket();
    const pair = [client, server] as const;
    this.#pairs.add(pair);
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        // An end is dropped as well.
        if (!this.#passing[socket === server ? 'toClient' : 'toServer']) return;
        this.#pairs.delete(pair);
        for (const each of pair) each.destroy();
      });
    }
    server.connect(this.#target, '127.0.0.1');
    client.on('data', (bytes: Buffer) => this.#pass('toServer', server, bytes));
    server.on('data', (bytes: Buffer) => this.#pass('toClient', client, bytes));
  }

  #pass(direction: Direction, to: Socket, bytes: Buffer): void {
    if (!this.#passing[direction]) return;
    this.passed[direction] += bytes.length;
    const left = this.#left;
    if (left?.direction !== direction || bytes.length <= left.bytes) {
      if (left?.direction === direction) left.bytes -= bytes.length;
      to.write(bytes);
      return;
    }
    this.#left = undefined;
    // The first part arrives before the end does.
    to.end(bytes.subarray(0, left.bytes), () => this.cut());
  }
}
