/**
 * The API of a payment processor: a request as plain values in, an answer out, and the model in between.
 *
 * Under `/admin/` stand, beside what the official service has, three things of our own: the faults, the
 * present state of everything that can be configured, and a list of what was recorded.
 */
import { type AnswerCallback, answer, message, NOT_FOUND, type ProcessorAnswer } from './answer.ts';
import { parseWithDigits, roundedCents, roundsSafely } from './decimal.ts';
import { readFaults } from './faults.ts';
import { paymentJson, type SimulatedProcessor } from './processor.ts';

export interface ProcessorRequest {
  readonly method: string;
  /** Path and query as in the request line. */
  readonly target: string;
  /** The values of the headers `Content-Type` and `X-Rinha-Token`; empty where there is none. */
  readonly contentType: string;
  readonly token: string;
  /** The body as text. */
  readonly body: string;
}

/** Answers `request` from `processor`; `reply` is called once, possibly before this returns. */
export function handle(
  processor: SimulatedProcessor,
  request: ProcessorRequest,
  reply: AnswerCallback,
): void {
  const { method, target } = request;
  if (target === '/payments') {
    if (method === 'POST') postPayment(processor, request, reply);
    else reply(answer(405));
  } else if (target === '/payments/service-health') {
    if (method === 'GET') processor.health(reply);
    else reply(answer(405));
  } else if (target.startsWith('/payments/')) {
    const id = readId(target.slice('/payments/'.length));
    if (id === undefined) reply(NOT_FOUND);
    else if (method !== 'GET') reply(answer(405));
    else processor.lookUp(id, reply);
  } else if (target.startsWith('/admin/')) {
    reply(admin(processor, request));
  } else {
    reply(NOT_FOUND);
  }
}

/** What every body has to be declared as: `application/json`, any parameters, any `+json` type. */
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;
const NO_JSON_TYPE = message(415, 'the body must be declared as application/json');

function postPayment(processor: SimulatedProcessor, request: ProcessorRequest, reply: AnswerCallback): void {
  const payment = JSON_TYPE.test(request.contentType) ? readPayment(request.body) : undefined;
  if (payment === undefined) reply(NO_JSON_TYPE);
  else if (typeof payment === 'string') reply(message(400, payment));
  else processor.post(payment.id, payment.cents, payment.requestedAtMs, reply);
}

interface Payment {
  readonly id: Int32Array;
  readonly cents: number;
  readonly requestedAtMs: number;
}

function readPayment(body: string): Payment | string {
  const value = readObject(body);
  if (value === undefined) return 'the body must be a JSON object';
  const { correlationId, amount, requestedAt } = value;
  const id = typeof correlationId === 'string' ? readId(correlationId) : undefined;
  if (id === undefined) return 'correlationId must be a UUID';
  if (typeof amount !== 'number') return 'amount must be a number';
  const cents = roundsSafely(amount) ? Math.round(amount * 100) : roundedAmount(body);
  if (cents === undefined) return 'amount must be a number from 0 on';
  const requestedAtMs = typeof requestedAt === 'string' ? instantMs(requestedAt) : undefined;
  if (requestedAtMs === undefined) return 'requestedAt must be an ISO 8601 instant';
  return { id, cents, requestedAtMs };
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The id that was read last: the model takes it in before the next one is read. */
const idRead = new Int32Array(4);

/** The four words of an id, good until the next is read; undefined for what is no UUID. */
function readId(text: string): Int32Array | undefined {
  if (!UUID.test(text)) return undefined;
  idRead[0] = Number.parseInt(text.slice(0, 8), 16);
  idRead[1] = Number.parseInt(text.slice(9, 13) + text.slice(14, 18), 16);
  idRead[2] = Number.parseInt(text.slice(19, 23) + text.slice(24, 28), 16);
  idRead[3] = Number.parseInt(text.slice(28), 16);
  return idRead;
}

/** The cents of the body's amount from its digits, where a double does not tell. */
function roundedAmount(body: string): number | undefined {
  const { amount } = parseWithDigits(body) as { amount: string };
  const cents = roundedCents(amount);
  return cents !== undefined && cents >= 0n && cents <= Number.MAX_SAFE_INTEGER ? Number(cents) : undefined;
}

function readObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // No JSON: refused as what is no object is.
  }
}

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?$/i;

/** Milliseconds since 1970; an instant without an offset is UTC. Undefined for any other text. */
function instantMs(text: string): number | undefined {
  const match = INSTANT.exec(text);
  if (match === null) return undefined;
  const ms = Date.parse(match[1] === undefined ? `${text}Z` : text);
  return Number.isNaN(ms) ? undefined : ms;
}

function admin(processor: SimulatedProcessor, request: ProcessorRequest): ProcessorAnswer {
  if (request.token !== processor.token) return answer(401);
  const [path, query = ''] = request.target.split('?', 2) as [string, string?];
  const route = ADMIN[path];
  if (route === undefined) return NOT_FOUND;
  if (!Object.hasOwn(route, request.method)) return answer(405);
  const action = route[request.method]!;
  if (request.method === 'PUT' && !JSON_TYPE.test(request.contentType)) return NO_JSON_TYPE;
  return action(processor, request.method === 'PUT' ? (readObject(request.body) ?? {}) : {}, query);
}

type Action = (
  processor: SimulatedProcessor,
  body: Record<string, unknown>,
  query: string,
) => ProcessorAnswer;

const ADMIN: Readonly<Record<string, Readonly<Record<string, Action>>>> = {
  '/admin/payments-summary': { GET: summary },
  '/admin/purge-payments': { POST: purge },
  '/admin/payments': { GET: list },
  '/admin/configurations': { GET: state },
  '/admin/configurations/token': { PUT: setToken },
  '/admin/configurations/delay': { PUT: setDelay },
  '/admin/configurations/failure': { PUT: setFailure },
  '/admin/configurations/faults': { PUT: setFaults },
};

function summary(processor: SimulatedProcessor, _body: unknown, query: string): ProcessorAnswer {
  const { from, to } = parameters(query);
  // As the official service does: a window needs both ends, else all payments are counted.
  if (from === undefined || to === undefined) return processor.summary(-Infinity, Infinity);
  const fromMs = instantMs(from);
  const toMs = instantMs(to);
  if (fromMs === undefined || toMs === undefined)
    return message(400, 'from and to must be ISO 8601 instants');
  return processor.summary(fromMs, toMs);
}

/** The query's parameters. A raw `+` is a plus sign, as in the offset of an instant. */
function parameters(query: string): Record<string, string | undefined> {
  return Object.fromEntries(new URLSearchParams(query.replaceAll('+', '%2B')));
}

function purge(processor: SimulatedProcessor): ProcessorAnswer {
  processor.book.clear();
  return message(200, 'all payments purged');
}

function setToken(processor: SimulatedProcessor, { token }: Record<string, unknown>): ProcessorAnswer {
  if (typeof token !== 'string' || token === '') return message(400, 'token must be a string');
  processor.token = token;
  return answer(204);
}

function setDelay(processor: SimulatedProcessor, { delay }: Record<string, unknown>): ProcessorAnswer {
  const known = typeof delay === 'number' && Number.isInteger(delay) && delay >= 0 && delay <= 2 ** 31 - 1;
  if (!known) return message(400, 'delay must be a number of milliseconds');
  const was = processor.delayMs;
  processor.delayMs = delay;
  return changed('delay', was, delay);
}

function setFailure(processor: SimulatedProcessor, { failure }: Record<string, unknown>): ProcessorAnswer {
  if (typeof failure !== 'boolean') return message(400, 'failure must be true or false');
  const was = processor.failing;
  processor.failing = failure;
  return changed('failure', was, failure);
}

function setFaults(processor: SimulatedProcessor, body: Record<string, unknown>): ProcessorAnswer {
  const faults = readFaults(body);
  if (typeof faults === 'string') return message(400, faults);
  const was = processor.faults;
  processor.faults = faults;
  return changed('faults', was, faults);
}

const changed = (config: string, was: unknown, is: unknown): ProcessorAnswer =>
  answer(200, JSON.stringify({ config, was, is }));

/** Everything that can be configured, as it is now, and what goes on. */
function state(processor: SimulatedProcessor): ProcessorAnswer {
  const { name, delayMs: delay, failing: failure, faults, injected, atWork, waiting, book } = processor;
  return answer(
    200,
    JSON.stringify({ name, delay, failure, faults, injected, atWork, waiting, recorded: book.size }),
  );
}

const LIST_ROWS = 1000;
const LIST_ROWS_MAX = 10_000;

/**
 * What was recorded after the first `after` payments, in order, at most `limit`: one JSON object a line,
 * whose `seq` is the `after` with which to go on. No line: there is nothing more, yet.
 */
function list(processor: SimulatedProcessor, _body: unknown, query: string): ProcessorAnswer {
  const { after = '0', limit = String(LIST_ROWS) } = parameters(query);
  if (!/^\d{1,15}$/.test(after) || !/^\d{1,15}$/.test(limit)) {
    return message(400, 'after and limit must be whole numbers');
  }
  const { book } = processor;
  const end = Math.min(book.size, Number(after) + Math.min(Number(limit), LIST_ROWS_MAX));
  let lines = '';
  for (let row = Number(after); row < end; row++) {
    const { correlationId, cents, requestedAtMs } = book.entry(row);
    const payment = paymentJson(correlationId, cents, new Date(requestedAtMs).toISOString());
    lines += `{"seq":${row + 1},${payment.slice(1)}\n`;
  }
  return { ...answer(200, lines), contentType: 'application/x-ndjson' };
}
