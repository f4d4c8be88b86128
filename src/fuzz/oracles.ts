/**
 * Who says whether an input was read rightly: the same input cut otherwise, Node's parser (llhttp, through
 * `node:http`), and `JSON.parse`. Where they disagree with us on purpose, a table gives the reason.
 */
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { Duplex } from 'node:stream';
import { idText, writeIdBytes } from '../domain/payment.ts';
import { Connection } from '../http/connection.ts';
import { NO_OBSERVER } from '../http/instrumentation.ts';
import { jsonDepthMax } from '../http/limits.ts';
import { COMPLETE, PARTIAL, Parser } from '../http/parser.ts';
import * as json from '../http/payment-json.ts';
import { REFUSAL_NAMES, type RefusalName } from '../http/refusals.ts';
import { Answer } from '../http/response.ts';
import { answersIn, takeText } from '../testing/http.ts';

/** One request as text: method, target, body. */
export interface Read {
  readonly requests: readonly string[];
  /** Why reading ended; empty when it did not. */
  readonly end: string;
  readonly output: string;
}

const OK = new Answer(200, '', '');

/** What our connection makes of `pieces`. */
export function readOurs(pieces: readonly Buffer[]): Read {
  const requests: string[] = [];
  let end = '';
  const connection = new Connection(
    request => {
      const target = request.bytes.subarray(request.targetStart, request.targetEnd);
      const body = Buffer.from(request.body());
      requests.push(
        `${request.methodName} ${Buffer.from(target).toString('latin1')} ${body.toString('latin1')}`,
      );
      return OK;
    },
    { batch: 1, waiting: 0, heldBytes: 0 },
    0,
    {
      ...NO_OBSERVER,
      refused: reason => {
        end = REFUSAL_NAMES[reason]!;
      },
    },
  );
  let output = '';
  for (const piece of pieces) {
    const bytes = Buffer.from(piece);
    connection.receive(bytes, 0, bytes.length, 0);
    for (;;) {
      const taken = takeText(connection);
      output += taken;
      if (taken === '' && !connection.resume(0)) break;
    }
  }
  if (connection.phase !== 'open' && end === '') end = 'closed';
  return { requests, end, output: output.replaceAll('HTTP/1.1 100 Continue\r\n\r\n', '') };
}

/** Places in the state machines that an input visits: pairs of a state and a class of byte, and refusals. */
export function featuresOf(input: Buffer, visit: (feature: number) => void): void {
  const bytes = Buffer.from(input);
  const parser = new Parser();
  for (let end = 1; end <= bytes.length; end++) {
    const before = parser.step;
    const result = parser.parse(bytes, end);
    visit((before << 8) | input[end - 1]!);
    if (result === COMPLETE) parser.next(parser.at);
    else if (result !== PARTIAL) {
      visit((1 << 20) | (before << 8) | -result);
      return;
    }
  }
}

/** Stands for a body that was parsed and lost. */
const UNREAD = '\0unread';

/** Node's server, fed without sockets. */
export class NodeReader {
  readonly #server: HttpServer;
  #requests: { request: IncomingMessage; body: string; isRead: boolean }[] = [];
  #end = '';

  constructor() {
    const onRequest = (request: IncomingMessage, response: ServerResponse) => {
      const seen = { request, body: '', isRead: false };
      this.#requests.push(seen);
      request.setEncoding('latin1');
      request.on('data', (text: string) => {
        seen.body += text;
      });
      request.on('end', () => {
        seen.isRead = true;
      });
      request.on('error', () => {});
      response.on('error', () => {});
      response.end();
    };
    this.#server = createServer({ maxHeaderSize: 1 << 20, keepAliveTimeout: 0 }, onRequest);
    this.#server.maxHeadersCount = 0;
    this.#server.on('checkContinue', onRequest);
    this.#server.on('checkExpectation', onRequest);
    this.#server.on('clientError', (error: NodeJS.ErrnoException, stream: Duplex) => {
      this.#end = error.code ?? error.message;
      stream.destroy();
    });
    this.#server.on('connect', (_, stream: Duplex) => {
      this.#end = 'CONNECT';
      stream.destroy();
    });
  }

  async read(bytes: Buffer): Promise<Read> {
    this.#requests = [];
    this.#end = '';
    let output = '';
    const stream = new Duplex({
      read() {},
      write(chunk: Buffer, _, done) {
        output += chunk.toString('latin1');
        done();
      },
    });
    stream.on('error', () => {});
    this.#server.emit('connection', stream);
    stream.push(bytes);
    for (let turns = 0; turns < 4; turns++) await new Promise(resolve => setImmediate(resolve));
    const end = this.#end || (stream.destroyed ? 'closed' : '');
    stream.destroy();
    // A request that llhttp read to its end counts, even if a fault behind it kept its body from the handler.
    const requests = this.#requests
      .filter(({ request }) => request.complete)
      .map(({ request, body, isRead }) => `${request.method} ${request.url} ${isRead ? body : UNREAD}`);
    return { requests, end, output };
  }
}

/** Refusals of ours that Node does not share, and why we insist. */
const STRICTER: Partial<Record<RefusalName, string>> = {
  emptyLines: 'empty lines before a request are bounded',
  bareLineFeed: 'Node takes a bare LF before a request line and behind one without a version',
  bareCarriageReturn: 'Node takes a bare CR before a request line',
  requestLine: 'Node takes several spaces in the request line, and HTTP/1.x without looking',
  targetByte: 'Node takes a fragment and bytes beyond ASCII in the target',
  targetForm: 'Node takes any target for any method',
  version: 'Node takes HTTP/2.0 and HTTP/0.9 by their names',
  lineTooLong: 'Node has one limit for the whole head',
  headerTooLarge: 'Node was given a larger limit',
  headerTooMany: 'Node leaves out the fields beyond its limit instead',
  hostMissing: 'Node answers this 400 itself after it has read the request',
  hostTwice: 'Node takes the first of several Host fields',
  hostInvalid: 'Node does not look at the value of Host',
  hostDiffers: 'Node does not compare the target with Host',
  lengthInvalid: 'Node takes lengths of more than 15 digits',
  codingInvalid: 'Node passes over empty elements and codings it does not know',
  codingOld: 'Node takes Transfer-Encoding in HTTP/1.0',
  codingUnknown: 'Node leaves codings other than chunked to the application',
  connectionOption: 'Node does not look for Host or Content-Length in Connection',
  expectation: 'Node leaves expectations to the application',
  bodyTooLarge: 'Node has no limit for a body',
  chunkSize: 'Node takes sizes of more than 15 digits, and blanks behind a size',
  chunkExtension: 'Node takes extensions that are no tokens, and 16 KiB of them',
  trailerField: 'Node takes any field as a trailer',
};

/** Refusals of Node's that we do not share, and why we are right. */
const LOOSER: Readonly<Record<string, string>> = {
  HPE_INVALID_METHOD: 'any token is a method; those that we do not know get 501 (RFC 9110 section 9.1)',
  HPE_INVALID_CONSTANT: 'the same, and empty lines before a request may be several (RFC 9112 section 2.2)',
  HPE_INVALID_URL: 'llhttp refuses characters in a target that browsers send unescaped',
  HPE_INVALID_VERSION: 'a version that is not 1.0 or 1.1 gets 505',
  HPE_STRICT: 'blanks may stand inside an extension (RFC 9112 section 7.1.1)',
};

/** The first disagreement about an input, as `[where, what]`; `where` is known when a table has it. */
export interface Difference {
  readonly what: string;
  readonly isKnown: boolean;
}

/** Compares what both read from the same bytes. */
export function compare(ours: Read, node: Read): Difference | undefined {
  const shared = Math.min(ours.requests.length, node.requests.length);
  for (let at = 0; at < shared; at++) {
    const [one, other] = [ours.requests[at]!, node.requests[at]!];
    const isSame = other.endsWith(UNREAD) ? one.startsWith(other.slice(0, -UNREAD.length)) : one === other;
    if (!isSame) {
      return {
        what: `read otherwise: ${JSON.stringify([ours.requests[at], node.requests[at]])}`,
        isKnown: false,
      };
    }
  }
  if (node.requests.length > shared) {
    const reason = ours.end;
    return { what: `we refuse: ${reason || 'nothing'}`, isKnown: Object.hasOwn(STRICTER, reason) };
  }
  if (ours.requests.length > shared) {
    return { what: `Node refuses: ${node.end || 'nothing'}`, isKnown: Object.hasOwn(LOOSER, node.end) };
  }
  return undefined;
}

export const REASONS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.entries(STRICTER).map(([name, reason]) => [`we refuse: ${name}`, reason])),
  ...Object.fromEntries(Object.entries(LOOSER).map(([name, reason]) => [`Node refuses: ${name}`, reason])),
  'JSON: depth': `more than ${jsonDepthMax} levels are refused`,
};

/** What is wrong in the output of one connection; undefined when nothing is. */
export function mismatchOf(ours: Read): string | undefined {
  const answers = answersIn(ours.output);
  if (answers.some(({ status }) => status === 500)) return 'a 500';
  const refused = ours.end === '' || ours.end === 'closed' ? 0 : 1;
  if (answers.length !== ours.requests.length + refused) {
    return `${answers.length} answers to ${ours.requests.length} requests and ${refused} refusals`;
  }
  const closing = answers.findIndex(({ head }) => head.includes('\r\nConnection: close\r\n'));
  if (closing >= 0 && closing !== answers.length - 1) return 'an answer behind one that closes';
  return undefined;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const fields = new json.PaymentFields();

/** Compares our reading of a JSON text with that of `JSON.parse`. */
export function compareJson(bytes: Buffer): Difference | undefined {
  const result = json.readPayment(bytes, 0, bytes.length, fields);
  let value: unknown;
  let text = '';
  try {
    text = strict.decode(bytes);
    value = JSON.parse(text);
  } catch {
    return result === json.MALFORMED ? undefined : { what: 'JSON: we take what is none', isKnown: false };
  }
  if (result === json.MALFORMED) {
    return depth(value) > jsonDepthMax
      ? { what: 'JSON: depth', isKnown: true }
      : { what: 'JSON: we refuse what is some', isKnown: false };
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject) {
    return result === json.NOT_AN_OBJECT ? undefined : { what: 'JSON: not an object', isKnown: false };
  }
  const { correlationId, amount } = value as Record<string, unknown>;
  const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
  if (result === json.PAYMENT) {
    const id = new Uint8Array(16);
    writeIdBytes(fields.id, 0, id, 0);
    const isSame =
      typeof correlationId === 'string' &&
      idText(id) === correlationId.toLowerCase() &&
      typeof amount === 'number' &&
      fields.cents >= 1 &&
      // The nearest double of an amount with at most twelve digits gives its digits back.
      (fields.cents / 100).toFixed(2) === amount.toFixed(2);
    return isSame ? undefined : { what: 'JSON: another payment', isKnown: false };
  }
  // A refusal has to be true of the value, or two members share a name.
  const isTrue: Partial<Record<number, boolean>> = {
    [json.ID_MISSING]: correlationId === undefined,
    [json.AMOUNT_MISSING]: amount === undefined,
    [json.ID_INVALID]: typeof correlationId !== 'string' || !uuid.test(correlationId) || isTwice(text),
    [json.AMOUNT_NOT_A_NUMBER]: typeof amount !== 'number' || isTwice(text),
    [json.AMOUNT_NOT_POSITIVE]: typeof amount !== 'number' || amount <= 0 || isTwice(text),
    [json.AMOUNT_OVER_MAX]: typeof amount !== 'number' || amount > 9_999_999_999.98 || isTwice(text),
    [json.AMOUNT_FRACTION]: true,
    [json.ID_TWICE]: isTwice(text),
    [json.AMOUNT_TWICE]: isTwice(text),
  };
  return isTrue[result] ? undefined : { what: `JSON: refused with ${result}`, isKnown: false };
}

/** Whether a name may stand twice: escapes may hide it, so any two quoted texts that could be names count. */
function isTwice(text: string): boolean {
  const names = [...text.matchAll(/"((?:[^"\\]|\\.)*)"\s*:/g)].map(
    ([, name]) => JSON.parse(`"${name}"`) as string,
  );
  return new Set(names).size < names.length;
}

function depth(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depth));
}
