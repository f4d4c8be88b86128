/**
 * Answers as text of one character for each byte, or as bytes where they are long, ready for a socket. What
 * never changes is put together once a second, with the second's `Date`.
 */

import { latin1, utf8 } from './bytes.ts';
import { STATUS_TEXTS } from './status.ts';

/**
 * What becomes of the connection behind an answer: it stays, it ends in order, or it is cut at once, with a
 * reset or without.
 */
export type Disposition = 'keep' | 'close' | 'destroy' | 'reset';

/** How the request wants its answer: bits. */
export const WITHOUT_BODY = 1;
export const SAY_CLOSE = 2;
export const SAY_KEEP_ALIVE = 4;
export const ECHO_ID = 8;

export class Answer {
  readonly status: number;
  readonly ending: Disposition;
  /** Sent instead, if what this answer promises could not be stored; such an answer waits for the commit. */
  readonly otherwise: Answer | undefined;
  /** The body of an answer that leaves as bytes: all connections that owe it share them. */
  readonly bytes: Buffer | undefined;
  readonly #line: string;
  readonly #fields: string;
  readonly #body: string;
  readonly #raw: string | undefined;
  #date = '';
  #text = '';
  #whole: Buffer | undefined;

  /**
   * `fields` are field lines, each with its CR LF, without `Date`, `Connection` and `Content-Length`. A body
   * that is text is sent as UTF-8; a long one is better bytes, which are sent without a copy.
   */
  constructor(
    status: number,
    fields: string,
    body: string | Buffer,
    ending: Disposition = 'keep',
    more: More = {},
  ) {
    this.status = status;
    this.ending = ending;
    this.otherwise = more.otherwise;
    this.#raw = more.raw;
    this.#line = `HTTP/1.1 ${status} ${STATUS_TEXTS[status] ?? 'Unknown'}\r\nDate: `;
    this.bytes = typeof body === 'string' ? undefined : body;
    this.#body = more.framed ?? (typeof body === 'string' ? utf8(body) : '');
    // RFC 9110 section 8.6: no Content-Length in a 204. In a 304 it would be that of the page.
    this.#fields =
      more.framed !== undefined || status === 204 || status === 304
        ? `\r\n${fields}`
        : `\r\n${fields}Content-Length: ${this.bytes?.length ?? this.#body.length}\r\n`;
  }

  /** About how many bytes it takes, as `wish` has it. */
  byteCount(wish: number): number {
    const head = HEAD_BYTES + this.#fields.length;
    if ((wish & WITHOUT_BODY) !== 0) return head;
    return head + (this.bytes?.length ?? (this.#raw ?? this.#body).length);
  }

  /** The whole answer of one that has `bytes`. */
  renderBytes(date: string, wish: number, requestId = ''): Buffer {
    if (wish !== 0) return Buffer.concat([latin1(this.render(date, wish, requestId)), this.bytes!]);
    if (this.#whole === undefined || this.#date !== date) {
      this.#whole = Buffer.concat([latin1(this.render(date, 0)), this.bytes!]);
    }
    return this.#whole;
  }

  /**
   * The whole answer; the head alone of one that has `bytes`. `date` is an IMF-fixdate (RFC 9110 section
   * 5.6.7), `requestId` what ECHO_ID wishes to have echoed: it must be visible ASCII.
   */
  render(date: string, wish: number, requestId = ''): string {
    if (wish === 0) {
      if (this.#date !== date) {
        this.#text = this.#raw ?? `${this.#line}${date}${this.#fields}\r\n${this.#body}`;
        this.#date = date;
      }
      return this.#text;
    }
    if (this.#raw !== undefined) return this.#raw;
    const connection =
      (wish & SAY_CLOSE) !== 0
        ? 'Connection: close\r\n'
        : (wish & SAY_KEEP_ALIVE) !== 0
          ? 'Connection: keep-alive\r\n'
          : '';
    const echo = (wish & ECHO_ID) !== 0 ? `X-Request-Id: ${requestId}\r\n` : '';
    const body = (wish & WITHOUT_BODY) !== 0 ? '' : this.#body;
    return `${this.#line}${date}${this.#fields}${connection}${echo}\r\n${body}`;
  }
}

/** Status line, `Date` and what connection and request add. */
const HEAD_BYTES = 128;

interface More {
  otherwise?: Answer;
  /** Sent as it is, one byte for each character: whatever a test or a faulty server wants to send. */
  raw?: string;
  /** The body with its framing; `fields` then says how it is framed. */
  framed?: string;
}

/** An answer that counts as `promised` once the commit of its turn succeeded, and is `otherwise` if not. */
export function afterCommit(status: number, otherwise: Answer): Answer {
  return new Answer(status, '', '', 'keep', { otherwise });
}

/** An answer with a JSON body. */
export function json(status: number, body: string, fields = ''): Answer {
  return new Answer(status, `Content-Type: application/json\r\n${fields}`, body);
}

/** The same in the chunked coding, in one chunk; only for HTTP/1.1 clients. */
export function chunkedJson(status: number, body: string, fields = ''): Answer {
  const bytes = utf8(body);
  const framed = `${bytes.length.toString(16)}\r\n${bytes}\r\n0\r\n\r\n`;
  return new Answer(
    status,
    `Content-Type: application/json; charset=utf-8\r\n${fields}Transfer-Encoding: chunked\r\n`,
    '',
    'keep',
    { framed },
  );
}

/** Any bytes (one for each character) in place of an answer, and what becomes of the connection then. */
export function raw(bytes: string, ending: Disposition): Answer {
  return new Answer(0, '', '', ending, { raw: bytes });
}

/** `100 Continue`: not yet an answer, so it has no `Date` (RFC 9110 section 6.6.1 asks 2xx to 4xx for it). */
export const CONTINUE = raw('HTTP/1.1 100 Continue\r\n\r\n', 'keep');

/** The text of `Date` for wall-clock milliseconds. */
export function dateText(ms: number): string {
  return new Date(ms).toUTCString();
}
