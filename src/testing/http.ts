/**
 * A connection without a socket for tests and the fuzzer: bytes in, the whole output out.
 */
import type { Cents } from '../domain/money.ts';
import { emptyTotal } from '../domain/money.ts';
import type { Summary } from '../domain/payment.ts';
import { idText, writeIdBytes } from '../domain/payment.ts';
import { Connection, type Handler, type Phase, type Turn } from '../http/connection.ts';
import type { Instrumentation } from '../http/instrumentation.ts';
import type { DoorOptions } from '../http/operations-door.ts';
import {
  ACCEPTED,
  type Acceptance,
  CONFLICT,
  type Kept,
  OVER_CAPACITY,
  type Payments,
  type PaymentView,
  type Readiness,
} from '../payments/api.ts';
import { networks, PRIVATE_NETWORKS } from '../settings/networks.ts';

export const DATE = 'Fri, 10 Jul 2026 12:34:56 GMT';

/** As a backend's settings are where nothing is said about it. */
export const DOOR: DoorOptions = {
  opsFrom: networks.read(PRIVATE_NETWORKS)!,
  opsToken: undefined,
  publicHosts: new Set(),
  clientAddress: 'socket',
};

/** Payments in a map. */
export class FakePayments implements Payments {
  readonly known = new Map<string, number>();
  isFull = false;
  /** Of `Retry-After`, while it is full. */
  waitSeconds = 17;
  isReady = true;
  commits = 0;
  commitResult: Kept | Promise<Kept> = true;

  accept(id: Int32Array, cents: number): Acceptance {
    if (this.isFull) return OVER_CAPACITY;
    const bytes = new Uint8Array(16);
    writeIdBytes(id, 0, bytes, 0);
    const text = idText(bytes);
    const before = this.known.get(text);
    if (before !== undefined && before !== cents) return CONFLICT;
    this.known.set(text, cents);
    return ACCEPTED;
  }

  commit(_waiting: number): Kept | Promise<Kept> {
    this.commits++;
    return this.commitResult;
  }

  find(id: Uint8Array): Promise<PaymentView | undefined> {
    const correlationId = idText(id);
    const cents = this.known.get(correlationId);
    if (cents === undefined) return Promise.resolve(undefined);
    return Promise.resolve({
      correlationId,
      cents: cents as Cents,
      status: 'queued',
      processor: null,
      requestedAtMs: null,
      acceptedAtMs: 1_783_686_896_000,
      attempts: 0,
      reason: null,
    });
  }

  summary(): Promise<Summary> {
    return Promise.resolve({ default: { count: 1, high: 0, low: 1990 }, fallback: emptyTotal() });
  }

  purge(): Promise<void> {
    this.known.clear();
    return Promise.resolve();
  }

  readiness(): Readiness {
    return { ready: this.isReady, reasons: this.isReady ? [] : ['the store is away'], instance: 'backend-1' };
  }
}

export interface ConnectionOutput {
  readonly output: string;
  readonly phase: Phase;
}

export interface DriveOptions {
  readonly handler: Handler;
  readonly commit?: () => boolean;
  readonly observer?: Instrumentation;
  /** The client's address. */
  readonly from?: string;
  /** Whether the client ends its side after the last piece. */
  readonly ends?: boolean;
}

/** What a connection has to write, one character for each byte. */
export const takeText = (connection: Connection, nowMs = 0): string =>
  connection.take(DATE, nowMs).toString('latin1');

/** Sends `pieces` to a new connection, one in each turn, until nothing more comes out. */
export async function driveConnection(
  pieces: Iterable<Buffer>,
  options: DriveOptions,
): Promise<ConnectionOutput> {
  const turn: Turn = { batch: 1, waiting: 0, heldBytes: 0 };
  const connection = new Connection(options.handler, turn, 0, options.observer);
  connection.peerAddress = () => options.from ?? '127.0.0.1';
  let output = '';
  const flush = () => {
    if (turn.waiting > 0) {
      turn.waiting = 0;
      connection.decide(turn.batch++, options.commit?.() ?? true);
    }
    for (;;) {
      const taken = takeText(connection);
      output += taken;
      if (taken === '' && !connection.resume(0)) break;
      if (turn.waiting > 0) {
        turn.waiting = 0;
        connection.decide(turn.batch++, options.commit?.() ?? true);
      }
    }
  };
  const settle = async () => {
    flush();
    for (let ticks = 0; connection.pending > 0 && connection.phase === 'open' && ticks < 100; ticks++) {
      await Promise.resolve();
      flush();
    }
  };
  for (const piece of pieces) {
    // A copy: chunks are joined in place.
    const bytes = Buffer.from(piece);
    connection.receive(bytes, 0, bytes.length, 0);
    bytes.fill(0x58);
    await settle();
  }
  if (options.ends) {
    connection.receiveEnd(0);
    await settle();
  }
  return { output, phase: connection.phase };
}

export interface ParsedAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** The answers in an output. What looks like a further answer is no body, as answers to HEAD have none. */
export function answersIn(output: string): ParsedAnswer[] {
  const answers: ParsedAnswer[] = [];
  let at = 0;
  while (at < output.length) {
    const end = output.indexOf('\r\n\r\n', at) + 4;
    if (end < 4) throw new Error(`no end of the head in ${JSON.stringify(output.slice(at, at + 200))}`);
    const head = output.slice(at, end);
    const length = Number(/^Content-Length: (\d+)\r$/m.exec(head)?.[1] ?? 0);
    const hasBody = length > 0 && end < output.length && !output.startsWith('HTTP/1.1 ', end);
    answers.push({
      status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]),
      head,
      body: hasBody ? output.slice(end, end + length) : '',
    });
    at = hasBody ? end + length : end;
  }
  return answers;
}
