/**
 * One connection without its socket: bytes in, requests to a handler, answers out in the order of the
 * requests.
 *
 * The shell calls `receive` with what it read and, at the end of a turn of the event loop, `take` for what to
 * write. In between stand the answers that are owed, in a ring. Their bytes are bounded, and so are those of
 * all connections together: beyond, nothing more is parsed until the client reads.
 *
 *     receive -> held bytes -> parser -> handler -> ring of answers -> take
 */

import { AnswerRing, type Committed, type OwedAnswer } from './answer-ring.ts';
import { HeldInput } from './held-input.ts';
import { type Instrumentation, NO_OBSERVER } from './instrumentation.ts';
import {
  heldBytesMax,
  idleTimeoutMs,
  lingerTimeoutMs,
  outputBytesMax,
  owedBytesMax,
  pipelineDepthMax,
  requestTimeoutMs,
  stallTimeoutMs,
} from './limits.ts';
import { PARTIAL, Parser } from './parser.ts';
import { problem, refusal } from './problem.ts';
import { REFUSAL_TEXTS, REFUSE } from './refusals.ts';
import { HAS_REQUEST_ID, HEAD, type Request, SAYS_CLOSE, SAYS_KEEP_ALIVE } from './request.ts';
import { type Answer, CONTINUE, ECHO_ID, SAY_CLOSE, SAY_KEEP_ALIVE, WITHOUT_BODY } from './response.ts';

/**
 * Answers a request. The request is only good until this returns. A rejected promise or a throw becomes
 * `500`, and is reported to the instrumentation. `connection` is the one that the request came in on.
 */
export type Handler = (request: Request, connection: Connection) => Answer | Promise<Answer>;

/** What all connections of a server have in common; the shell moves it on. */
export interface Turn {
  /** The number of the coming commit, from 1 on. */
  batch: number;
  /** Answers that wait for that commit. */
  waiting: number;
  /** Bytes of requests and answers that all connections hold. */
  heldBytes: number;
}

/** What is left to do with the socket. */
export type Phase =
  /** Requests come and answers go. */
  | 'open'
  /** All answers are taken: end our side, throw away what still comes, let go after a moment. */
  | 'ending'
  /** Cut it now. */
  | 'gone'
  /** Cut it now, with a reset. */
  | 'reset';

const REFUSALS: readonly Answer[] = REFUSAL_TEXTS.map(([status, detail], reason) =>
  reason === 0 ? CONTINUE : refusal(status, detail),
);
const FAILED = problem(500, 'internal-error', 'Something broke here; the request may be sent again.');

const NOT_STARTED = -1;

export class Connection {
  phase: Phase = 'open';
  /** False: the shell should stop reading, because answers pile up or the client does not take them. */
  wantsBytes = true;
  /** Called when a promised answer is there outside of `receive`: the shell should `take` soon. */
  onReady: (() => void) | undefined;

  /** The address of the client; `local` on a Unix socket, undefined where it cannot be known any more. */
  peerAddress: () => string | undefined = () => undefined;

  readonly #handler: Handler;
  readonly #turn: Turn;
  readonly #observer: Instrumentation;
  readonly #parser: Parser;

  readonly #held = new HeldInput();
  readonly #ring = new AnswerRing();

  /** Nothing more is parsed: the last request was refused or wanted the connection closed. */
  #isLast = false;
  #inputEnded = false;
  #isFinishing = false;
  #isStalled = false;
  /** An answer is promised that nothing may be parsed behind. */
  #isAlone = false;
  /** Of output that the socket has not handed on. */
  #stalledBytes = 0;
  #heldBytes = 0;
  #requestStartMs = NOT_STARTED;
  #activeMs: number;
  #phaseMs = 0;

  /** `isBehindProxy`: see `Parser`. */
  constructor(
    handler: Handler,
    turn: Turn,
    nowMs: number,
    observer: Instrumentation = NO_OBSERVER,
    isBehindProxy = false,
  ) {
    this.#parser = new Parser(isBehindProxy);
    this.#handler = handler;
    this.#turn = turn;
    this.#observer = observer;
    this.#activeMs = nowMs;
  }

  /** Requests without their answer on the way. */
  get pending(): number {
    return this.#ring.size;
  }

  /** Bytes of requests and answers that this connection holds. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether all connections together hold as much as they may. */
  get isTight(): boolean {
    return this.#turn.heldBytes >= heldBytesMax;
  }

  /**
   * Takes in [start, end) of `bytes`, which are free again (and may have been changed) when this returns.
   */
  receive(bytes: Buffer, start: number, end: number, nowMs: number): void {
    this.#activeMs = nowMs;
    if (this.#isLast) return;
    const held = this.#held;
    if (held.end > 0) {
      if (held.add(bytes, start, end, this.isTight)) this.#run(held.bytes, held.end, nowMs);
      else this.#refuse(REFUSE.noMemory, held.bytes, nowMs);
    } else {
      this.#parser.at = start;
      this.#run(bytes, end, nowMs);
    }
    this.#count();
  }

  /** The client ended its side: what was read whole is still answered. */
  receiveEnd(nowMs: number): void {
    this.#inputEnded = true;
    if (this.#isLast || !this.wantsBytes) return;
    this.#endOfInput(nowMs);
  }

  /**
   * The commit `batch` ended; the answers that waited for it may go, or give way to what they say otherwise.
   */
  decide(batch: number, committed: Committed): void {
    this.#ring.decide(batch, committed);
  }

  /**
   * The answers that are ready, up to about 64 KiB, one character for each byte, or one answer as bytes;
   * empty if there are none. `date` is the text of the Date field. Afterwards `phase` says what becomes of
   * the socket.
   */
  take(date: string, nowMs: number): string | Buffer {
    if (this.#isStalled || this.phase !== 'open') return '';
    const ring = this.#ring;
    let output: string | Buffer = '';
    while (ring.size > 0) {
      const { isReady, answer, wish, requestId, kind, startedMs } = ring.first;
      if (!isReady) break;
      if (answer!.bytes === undefined || (wish & WITHOUT_BODY) !== 0) {
        const piece = answer!.render(date, wish, requestId);
        output = output === '' ? piece : output + piece;
      } else if (output === '') output = answer!.renderBytes(date, wish, requestId);
      else break;
      ring.shift();
      if (answer !== CONTINUE) {
        this.#observer.answered(kind >> 8, kind & 0xff, answer!.status, nowMs - startedMs);
      }
      if (answer!.ending === 'destroy') this.#enter('gone', nowMs);
      else if (answer!.ending === 'reset') this.#enter('reset', nowMs);
      else if (answer!.ending === 'close' || (wish & SAY_CLOSE) !== 0) this.#enter('ending', nowMs);
      if (this.phase !== 'open' || typeof output !== 'string' || output.length >= outputBytesMax) break;
    }
    if (output !== '') this.#activeMs = nowMs;
    if (this.#ring.size === 0 && this.phase === 'open') {
      if ((this.#inputEnded && this.wantsBytes) || (this.#isFinishing && !this.#parser.isInside)) {
        this.#enter('ending', nowMs);
      }
    }
    this.#count();
    return output;
  }

  /** The socket holds `byteCount` bytes of output back: nothing is taken or parsed until `drained`. */
  stalled(byteCount: number, nowMs: number): void {
    this.#isStalled = true;
    this.#stalledBytes = byteCount;
    this.#phaseMs = nowMs;
    this.wantsBytes = false;
    this.#count();
  }

  drained(nowMs: number): void {
    this.#isStalled = false;
    this.#stalledBytes = 0;
    this.#activeMs = nowMs;
    this.#count();
  }

  /**
   * Goes on with bytes that were left because too many answers were owed. True: more answers may be ready, so
   * `take` again. To be called after each `take`.
   */
  resume(nowMs: number): boolean {
    if (this.wantsBytes || this.phase !== 'open' || !this.#hasRoom()) return false;
    if (this.#ring.size > pipelineDepthMax / 2 || this.#ring.byteCount > owedBytesMax / 2) return false;
    this.wantsBytes = true;
    if (this.#isLast) return false;
    const before = this.#ring.size;
    this.#requestStartMs = NOT_STARTED;
    if (this.#held.end > 0) this.#run(this.#held.bytes, this.#held.end, nowMs);
    if (this.wantsBytes && this.#inputEnded && !this.#isLast) this.#endOfInput(nowMs);
    this.#count();
    return this.#ring.size !== before || this.#inputEnded;
  }

  /** No new requests: the answer to the last one that was read says `Connection: close`. */
  finish(nowMs: number): void {
    if (this.#isFinishing || this.phase !== 'open') return;
    this.#isFinishing = true;
    if (this.#isLast || this.#parser.isInside) return;
    this.#isLast = true;
    if (this.#ring.size === 0) this.#enter('ending', nowMs);
    else this.#ring.last.wish |= SAY_CLOSE;
  }

  /** Looks at the time: an incomplete request becomes 408, an idle connection ends, a stuck one is cut. */
  tick(nowMs: number): void {
    if (this.phase === 'ending') {
      if (nowMs - this.#phaseMs >= lingerTimeoutMs) this.#enter('gone', nowMs);
    } else if (this.#isStalled) {
      if (nowMs - this.#phaseMs >= stallTimeoutMs) this.#enter('gone', nowMs);
    } else if (this.#parser.isInside && !this.#isLast && this.wantsBytes) {
      if (nowMs - this.#requestStartMs >= requestTimeoutMs)
        this.#refuse(REFUSE.timeout, this.#held.bytes, nowMs);
    } else if (this.#ring.size === 0 && nowMs - this.#activeMs >= idleTimeoutMs) {
      this.#enter('ending', nowMs);
    }
  }

  /** The socket is gone: nothing is owed any more. */
  abandon(nowMs: number): void {
    this.#enter('gone', nowMs);
  }

  #enter(phase: Phase, nowMs: number): void {
    this.phase = phase;
    this.#phaseMs = nowMs;
    this.#isLast = true;
    this.wantsBytes = true;
    this.#held.drop();
    this.#count();
  }

  /** Whether a further request may be parsed. */
  #hasRoom(): boolean {
    const { size, byteCount } = this.#ring;
    if (this.#isStalled || this.#isAlone || size >= pipelineDepthMax || byteCount >= owedBytesMax)
      return false;
    return size === 0 || !this.isTight;
  }

  /** Has what is held counted, here and in all. */
  #count(): void {
    const isCut = this.phase === 'gone' || this.phase === 'reset';
    const heldBytes = isCut ? 0 : this.#held.bytes.length + this.#ring.byteCount + this.#stalledBytes;
    this.#turn.heldBytes += heldBytes - this.#heldBytes;
    this.#heldBytes = heldBytes;
  }

  /** Parses what is there, then keeps what is left. */
  #run(bytes: Buffer, end: number, nowMs: number): void {
    const parser = this.#parser;
    while (!this.#isLast && parser.at < end) {
      if (!this.#hasRoom()) {
        this.wantsBytes = false;
        break;
      }
      const result = parser.parse(bytes, end);
      if (result === PARTIAL) break;
      if (result < 0) {
        this.#refuse(-result, bytes, nowMs);
        break;
      }
      this.#handle(parser.request, bytes, nowMs);
      parser.next(parser.at);
    }
    if (this.#isLast) {
      this.#held.drop();
      return;
    }
    if (parser.isInside) {
      // Counted from the first read that brought a part of this request.
      if (this.#requestStartMs === NOT_STARTED) this.#requestStartMs = nowMs;
      if (parser.continueIsDue) {
        parser.continueIsDue = false;
        this.#settle(CONTINUE, this.#ring.push(0, '', 0, nowMs));
      }
    } else this.#requestStartMs = NOT_STARTED;
    const { start } = parser;
    const isKept = this.#held.keep(bytes, start, parser.keepEnd(end), this.isTight);
    if (isKept) parser.rebase(start);
    else this.#refuse(REFUSE.noMemory, bytes, nowMs);
  }

  #handle(request: Request, bytes: Buffer, nowMs: number): void {
    let wish = request.method === HEAD ? WITHOUT_BODY : 0;
    const { flags } = request;
    const parser = this.#parser;
    if (request.minor === 0) {
      wish |= (flags & (SAYS_CLOSE | SAYS_KEEP_ALIVE)) === SAYS_KEEP_ALIVE ? SAY_KEEP_ALIVE : SAY_CLOSE;
    } else if ((flags & SAYS_CLOSE) !== 0) wish |= SAY_CLOSE;
    this.#requestStartMs = NOT_STARTED;
    parser.continueIsDue = false;
    if (this.#isFinishing) wish = (wish & WITHOUT_BODY) | SAY_CLOSE;
    if ((wish & SAY_CLOSE) !== 0) this.#isLast = true;
    const requestId = idOf(request, bytes);
    if (requestId !== '') wish |= ECHO_ID;
    let answer: Answer | Promise<Answer>;
    try {
      answer = this.#handler(request, this);
    } catch (error) {
      this.#observer.failed(error, 'handler');
      answer = FAILED;
    }
    const kind = (request.method << 8) | request.route;
    const owed = this.#ring.push(wish, requestId, kind, nowMs);
    if (answer instanceof Promise) {
      this.#isAlone = request.isAlone;
      this.#await(answer, owed);
    } else this.#settle(answer, owed);
  }

  #await(promise: Promise<Answer>, owed: OwedAnswer): void {
    const arrived = (answer: Answer) => {
      if (this.phase !== 'open') return;
      if (owed === this.#ring.last) this.#isAlone = false;
      this.#settle(answer, owed);
      this.#count();
      if (owed === this.#ring.first) this.onReady?.();
    };
    promise.then(arrived, (error: unknown) => {
      this.#observer.failed(error, 'handler');
      arrived(FAILED);
    });
  }

  #settle(answer: Answer, owed: OwedAnswer): void {
    const turn = this.#turn;
    this.#ring.settle(owed, answer, turn.batch, turn.waiting);
    if (answer.otherwise !== undefined) turn.waiting += 1;
    if (answer.ending !== 'keep') this.#isLast = true;
  }

  /**
   * The last answer of this connection, behind those that are owed. `bytes` hold the request as far as it
   * came.
   */
  #refuse(reason: number, bytes: Buffer, nowMs: number): void {
    const { request } = this.#parser;
    let wish = request.method === HEAD ? SAY_CLOSE | WITHOUT_BODY : SAY_CLOSE;
    const requestId = idOf(request, bytes);
    if (requestId !== '') wish |= ECHO_ID;
    this.#isLast = true;
    this.#held.drop();
    this.#observer.refused(reason);
    this.#settle(REFUSALS[reason]!, this.#ring.push(wish, requestId, 0, nowMs));
  }

  #endOfInput(nowMs: number): void {
    if (this.#parser.isInside) this.#refuse(REFUSE.incomplete, this.#held.bytes, nowMs);
    else if (this.#ring.size === 0) this.#enter('ending', nowMs);
    this.#isLast = true;
  }
}

/** The id that the answer will echo; empty where there is none to echo. */
function idOf({ flags, requestIdStart, requestIdEnd }: Request, bytes: Buffer): string {
  return (flags & HAS_REQUEST_ID) === 0 ? '' : bytes.toString('latin1', requestIdStart, requestIdEnd);
}
