/**
 * The sockets around `Connection`: bytes of many clients in, one commit and one write for each client at the
 * end of every turn of the event loop.
 *
 * All sockets that are readable in a turn are parsed first; then the payments of all of them are committed
 * together; then each connection's answers leave with one write. Time-outs are looked at by one timer for
 * all connections.
 */
import { statSync, unlinkSync } from 'node:fs';
import { connect, createServer, type ListenOptions, type Server as NetServer, type Socket } from 'node:net';
import type { Committed } from './answer-ring.ts';
import { Connection, type Handler, type Turn } from './connection.ts';
import { type ConnectionLimits, firstByteTimeoutMs } from './connection-limits.ts';
import { type Instrumentation, NO_OBSERVER } from './instrumentation.ts';
import { connectionsMax, sweepMs } from './limits.ts';
import { LOCAL } from './request.ts';
import { dateText } from './response.ts';
import { DIRECT, DOCUMENTED, probeDirect, type SocketAccess } from './sockets.ts';

/** `unix:/path.sock` or `tcp:host:port`, taken apart. */
export type ListenAddress = { readonly path: string } | { readonly host: string; readonly port: number };

export interface ServerOptions {
  readonly handler: Handler;
  /**
   * Called once at the end of a turn in which answers wait for it (`Answer.otherwise`), with how many do. A
   * rejection turns those answers into what they say otherwise.
   */
  readonly commit?: (waiting: number) => Committed | Promise<Committed>;
  readonly observer?: Instrumentation;
  /** Let the kernel spread connections over several processes that listen on one port. */
  readonly reusePort?: boolean;
  readonly connectionsMax?: number;
  /** Requests come through a proxy that adds fields to those of its clients. */
  readonly isBehindProxy?: boolean;
  /** Of each address, where no proxy keeps them. */
  readonly limits?: ConnectionLimits;
  readonly clock?: ServerClock;
  /** Finds out whether sockets can be used directly; rejects when they cannot. */
  readonly probe?: () => Promise<void>;
}

export interface ServerClock {
  /** Milliseconds that never go back: for time-outs and durations. */
  now(): number;
  /** Milliseconds since 1970: for the Date field. */
  wallMs(): number;
}

const SYSTEM_CLOCK: ServerClock = { now: () => performance.now(), wallMs: () => Date.now() };

/** A connection with its socket. */
interface Link {
  readonly socket: Socket;
  readonly connection: Connection;
  /** The socket took what it held back. */
  readonly onDrain: () => void;
  /** Already among those to look after at the end of this turn. */
  isTouched: boolean;
  /** Our side was ended. */
  isEnded: boolean;
  /** When it is too late for its first byte; infinite when that has come, or nobody counts. */
  silentUntilMs: number;
}

export class Server {
  readonly #net: NetServer;
  readonly #handler: Handler;
  readonly #commit: (waiting: number) => Committed | Promise<Committed>;
  readonly #observer: Instrumentation;
  readonly #clock: ServerClock;
  readonly #reusePort: boolean;
  readonly #isBehindProxy: boolean;
  readonly #limits: ConnectionLimits | undefined;
  readonly #probe: () => Promise<void>;
  #sockets: SocketAccess = DIRECT;
  readonly #turn: Turn = { batch: 1, waiting: 0, heldBytes: 0 };
  readonly #links = new Set<Link>();
  /**
   * Who is to be looked after: the first `touchedCount` places. An array that is emptied gives its memory
   * back.
   */
  #touched: (Link | undefined)[] = [];
  #touchedCount = 0;
  /** The other of two arrays that take turns, so that none is made for a turn. */
  #spare: (Link | undefined)[] = [];
  /** Who waits for `open`; undefined where nobody has to. */
  #held: Socket[] | undefined;
  /** It listens on a Unix socket. */
  #isLocal = false;
  #isScheduled = false;
  #isClosing = false;
  #closing: Promise<void> | undefined;
  #nowMs: number;
  #dateSecond = -1;
  #date = '';
  #sweep: NodeJS.Timeout | undefined;
  #whenEmpty: (() => void) | undefined;

  constructor(options: ServerOptions) {
    this.#handler = options.handler;
    this.#commit = options.commit ?? (() => true);
    this.#observer = options.observer ?? NO_OBSERVER;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#reusePort = options.reusePort ?? false;
    this.#isBehindProxy = options.isBehindProxy ?? false;
    this.#limits = options.limits;
    this.#probe = options.probe ?? probeDirect;
    this.#nowMs = this.#clock.now();
    this.#net = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, socket => {
      if (this.#limits?.admits(socket) === false) return;
      if (this.#held === undefined) this.#serve(socket);
      else this.#held.push(socket);
    });
    this.#net.maxConnections = options.connectionsMax ?? connectionsMax;
  }

  /** Connections at present. */
  get connections(): number {
    return this.#links.size;
  }

  /** Bytes of requests and answers that all connections hold. */
  get heldBytes(): number {
    return this.#turn.heldBytes;
  }

  /**
   * Listens; the bound address comes back (of port 0: the one the kernel chose). Rejects when it cannot.
   * `isHeld`: connections are taken, up to the usual number, but not read from before `open` is called.
   */
  async listen(address: ListenAddress, { isHeld = false } = {}): Promise<ListenAddress> {
    if (isHeld) this.#held = [];
    try {
      await this.#probe();
    } catch (error) {
      this.#sockets = DOCUMENTED;
      this.#observer.degraded((error as Error).message);
    }
    this.#isLocal = 'path' in address;
    if ('path' in address) await removeStaleSocket(address.path);
    const options: ListenOptions =
      'path' in address
        ? { path: address.path, readableAll: true, writableAll: true, backlog: 1024 }
        : { host: address.host, port: address.port, reusePort: this.#reusePort, backlog: 1024 };
    await new Promise<void>((resolve, reject) => {
      this.#net.once('error', reject);
      this.#net.listen(options, () => {
        this.#net.removeListener('error', reject);
        resolve();
      });
    });
    // Taking a connection can fail when descriptors run out; those that are open go on.
    this.#net.on('error', error => this.#observer.failed(error, 'accept'));
    this.#sweep = setInterval(() => this.#tick(), sweepMs);
    const bound = this.#net.address();
    if (typeof bound !== 'object' || bound === null) return address;
    return { host: bound.address, port: bound.port };
  }

  /** Serves those who wait, and whoever comes from now on. */
  open(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const socket of held) this.#serve(socket);
  }

  /**
   * Takes no more connections, answers what was read and says `Connection: close` on the last answers. After
   * `boundMs` whatever is still open is cut.
   */
  close(boundMs = 5_000): Promise<void> {
    this.#closing ??= this.#close(boundMs);
    return this.#closing;
  }

  async #close(boundMs: number): Promise<void> {
    this.#isClosing = true;
    this.#nowMs = this.#clock.now();
    const closed = new Promise<void>(resolve => this.#net.close(() => resolve()));
    for (const socket of this.#held?.splice(0) ?? []) socket.destroy();
    const bound = setTimeout(() => {
      for (const link of this.#links) link.socket.destroy();
    }, boundMs);
    for (const link of this.#links) {
      link.connection.finish(this.#nowMs);
      this.#touch(link);
    }
    await new Promise<void>(resolve => {
      this.#whenEmpty = resolve;
      if (this.#links.size === 0) resolve();
    });
    clearTimeout(bound);
    clearInterval(this.#sweep);
    await closed;
  }

  /** Resets every connection but one. */
  resetAllBut(spared: Connection): void {
    for (const { connection, socket } of this.#links) {
      if (connection !== spared) socket.resetAndDestroy();
    }
  }

  #serve(accepted: Socket): void {
    const nowMs = this.#clock.now();
    const connection = new Connection(this.#handler, this.#turn, nowMs, this.#observer, this.#isBehindProxy);
    const socket = this.#sockets.take(accepted, (bytes, byteCount) => {
      this.#touch(link);
      link.silentUntilMs = Infinity;
      connection.receive(bytes, 0, byteCount, this.#nowMs);
    });
    const onDrain = () => {
      connection.drained(this.#nowMs);
      this.#touch(link);
    };
    const silentUntilMs = this.#limits === undefined ? Infinity : nowMs + firstByteTimeoutMs;
    const link: Link = { socket, connection, onDrain, isTouched: false, isEnded: false, silentUntilMs };
    const letGo = this.#limits?.count(socket);
    this.#links.add(link);
    this.#observer.opened();
    connection.peerAddress = () => (this.#isLocal ? LOCAL : socket.remoteAddress);
    connection.onReady = () => this.#touch(link);
    socket.on('end', () => {
      this.#touch(link);
      connection.receiveEnd(this.#nowMs);
    });
    // Expected: a client may reset its connection at any moment. 'close' follows.
    socket.on('error', () => {});
    socket.on('close', () => {
      letGo?.();
      connection.abandon(this.#nowMs);
      this.#links.delete(link);
      this.#observer.closed();
      if (this.#links.size === 0) this.#whenEmpty?.();
    });
    if (this.#isClosing) {
      connection.finish(nowMs);
      this.#touch(link);
    }
  }

  /** Looks after `link` at the end of this turn. The clock is read once a turn. */
  #touch(link: Link): void {
    if (!this.#isScheduled) {
      this.#isScheduled = true;
      this.#nowMs = this.#clock.now();
      setImmediate(this.#endTurn);
    }
    if (link.isTouched) return;
    link.isTouched = true;
    this.#touched[this.#touchedCount++] = link;
  }

  readonly #endTurn = (): void => {
    const links = this.#touched;
    const count = this.#touchedCount;
    this.#touched = this.#spare;
    this.#touchedCount = 0;
    this.#spare = links;
    this.#isScheduled = false;
    const turn = this.#turn;
    if (turn.waiting > 0) {
      const { waiting } = turn;
      turn.waiting = 0;
      const batch = turn.batch++;
      const committed = this.#tryCommit(waiting);
      if (committed instanceof Promise) this.#decideLater(committed, batch, links.slice(0, count) as Link[]);
      else for (let at = 0; at < count; at++) links[at]!.connection.decide(batch, committed);
    }
    // Read again, so that what is observed holds the parsing and the commit of this turn.
    this.#nowMs = this.#clock.now();
    this.#setDate();
    for (let at = 0; at < count; at++) {
      const link = links[at]!;
      links[at] = undefined;
      link.isTouched = false;
      this.#flush(link);
    }
  };

  #tryCommit(waiting: number): Committed | Promise<Committed> {
    try {
      return this.#commit(waiting);
    } catch (error) {
      this.#observer.failed(error, 'commit');
      return false;
    }
  }

  #decideLater(promised: Promise<Committed>, batch: number, links: readonly Link[]): void {
    const decide = (committed: Committed) => {
      for (const link of links) {
        link.connection.decide(batch, committed);
        this.#touch(link);
      }
    };
    promised.then(decide, (error: unknown) => {
      this.#observer.failed(error, 'commit');
      decide(false);
    });
  }

  #setDate(): void {
    const wallMs = this.#clock.wallMs();
    const second = Math.floor(wallMs / 1000);
    if (second === this.#dateSecond) return;
    this.#dateSecond = second;
    this.#date = dateText(wallMs);
  }

  /** Writes what is ready and does what the connection's phase asks for. */
  #flush(link: Link): void {
    const { connection, socket } = link;
    if (socket.destroyed) return;
    const { waiting } = this.#turn;
    for (;;) {
      const output = connection.take(this.#date, this.#nowMs);
      if (output.length === 0) {
        if (connection.resume(this.#nowMs)) continue;
        break;
      }
      if (!this.#sockets.write(socket, output, link.onDrain)) connection.stalled(output.length, this.#nowMs);
    }
    // What was parsed only now waits for the commit of a turn that nothing else may bring.
    if (this.#turn.waiting !== waiting) this.#touch(link);
    if (connection.phase === 'open') {
      if (connection.wantsBytes === socket.isPaused()) {
        if (connection.wantsBytes) socket.resume();
        else socket.pause();
      }
      return;
    }
    if (connection.phase === 'gone') socket.destroySoon();
    else if (connection.phase === 'reset') socket.resetAndDestroy();
    else if (!link.isEnded) {
      link.isEnded = true;
      socket.resume();
      socket.end();
    }
  }

  #tick(): void {
    const nowMs = this.#clock.now();
    for (const link of this.#links) {
      const { connection } = link;
      const { phase, pending } = connection;
      connection.tick(nowMs);
      if (connection.phase === 'gone' || nowMs >= link.silentUntilMs) link.socket.destroy();
      else if (connection.phase !== phase || connection.pending !== pending) this.#touch(link);
    }
  }
}

/**
 * Removes the socket file of a process that is gone. Rejects when a live one serves it, or when that cannot
 * be found out.
 */
async function removeStaleSocket(path: string): Promise<void> {
  if (!statSync(path, { throwIfNoEntry: false })?.isSocket()) return;
  const isServed = await new Promise<boolean>((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') resolve(false);
      // Its backlog is full.
      else if (error.code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
  if (isServed) {
    const like = { code: 'EADDRINUSE', syscall: 'listen' };
    throw Object.assign(new Error(`${path} is served by another process`), like);
  }
  unlinkSync(path);
}
