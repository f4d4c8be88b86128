/**
 * soquete's routes: requests to `Payments`, and what it says back as answers.
 */
import { formatInstant } from '../domain/instant.ts';
import { decimal, emptyTotal, type Total, totalCents } from '../domain/money.ts';
import type { Summary } from '../domain/payment.ts';
import { idBytes } from '../domain/payment.ts';
import { readTraceparent, TRACE_WORDS } from '../domain/trace-context.ts';
import { Unavailable } from '../domain/unavailable.ts';
import {
  ACCEPTED,
  type Acceptance,
  CONFLICT,
  type Kept,
  OVER_CAPACITY,
  type Payments,
  type PaymentView,
} from '../payments/api.ts';
import type { Committed } from './answer-ring.ts';
import { equals, latin1 } from './bytes.ts';
import type { Connection, Handler } from './connection.ts';
import type { OperationsDoor } from './operations-door.ts';
import type { PageHandler } from './page.ts';
import { PageTurns } from './page-turns.ts';
import { malformedJson, notPaymentAnswer, overCapacityAnswer } from './payment-answers.ts';
import { MALFORMED, PAYMENT, PaymentFields, readPayment } from './payment-json.ts';
import { problem, RETRY_AFTER } from './problem.ts';
import { parseWindow } from './query.ts';
import { FROM_BROWSER, GET, HAS_TRACE, HEAD, OPTIONS, OTHER, POST, type Request } from './request.ts';
import { Answer, afterCommit, json } from './response.ts';

/** Names of the routes by the numbers that `request.route` gets: labels for counters. */
export const ROUTES = [
  'other',
  'POST /payments',
  '/payments/{id}',
  '/payments-summary',
  '/purge-payments',
  '/health',
  'page',
] as const;
const PAYMENTS = 1;
const PAYMENT_BY_ID = 2;
const SUMMARY = 3;
const PURGE = 4;
const HEALTH = 5;
const PAGE = 6;

export interface RouteOptions {
  readonly payments: Payments;
  /** Whether `POST /purge-payments` is allowed. */
  readonly allowPurge: boolean;
  /** What a 202 survives, for people. */
  readonly survives?: () => string;
  /** Further paths for GET and HEAD, such as `/metrics`. */
  readonly pages?: Readonly<Record<string, PageHandler>>;
  /** Further paths for POST. */
  readonly actions?: Readonly<Record<string, PageHandler>>;
  readonly pageTurns?: PageTurns;
  /** Who may ask for what belongs to operations; without it, everybody may. */
  readonly door?: OperationsDoor;
}

const UNAVAILABLE_ANSWER = problem(
  503,
  'unavailable',
  'The payment was not accepted, because the store cannot take it now; send it again later.',
  RETRY_AFTER,
);
const STORE_UNAVAILABLE = problem(
  503,
  'unavailable',
  'The store cannot be asked now; send the request again later.',
  RETRY_AFTER,
);
const BUSY = problem(
  503,
  'unavailable',
  'Too much is held for slow clients now; ask for this page again later.',
  RETRY_AFTER,
);
const ACCEPTED_ON_COMMIT = afterCommit(202, UNAVAILABLE_ANSWER);
const CONFLICT_ANSWER = problem(
  409,
  'conflicting-payment',
  'This correlationId is known with another amount; use a new correlationId, or the amount it was first sent with.',
);
const NOT_FOUND = problem(
  404,
  'not-found',
  'There is nothing at this path; see the paths in the documentation.',
);
const UNKNOWN_PAYMENT = problem(404, 'not-found', 'No payment with this correlationId is known.');
const PURGE_FORBIDDEN = problem(403, 'forbidden', 'Start with ALLOW_PURGE=1 to allow purging.');
/** A process that answers is alive: a failing processor or a full queue is no reason to kill it. */
const ALIVE = json(200, '{"status":"ok"}');
const PURGED = json(200, '{"message":"All payments purged."}');
const UNKNOWN_METHOD = problem(501, 'not-implemented', 'Use GET, HEAD, POST or OPTIONS.');
const OPTIONS_ALL = new Answer(204, 'Allow: GET, HEAD, POST, OPTIONS\r\n', '');

const ALLOW_POST = 'Allow: POST, OPTIONS\r\n';
const ALLOW_GET = 'Allow: GET, HEAD, OPTIONS\r\n';
const OPTIONS_POST = new Answer(204, ALLOW_POST, '');
const OPTIONS_GET = new Answer(204, ALLOW_GET, '');
const ONLY_POST = problem(405, 'method-not-allowed', 'Use POST on this path.', ALLOW_POST);
const ONLY_GET = problem(405, 'method-not-allowed', 'Use GET on this path.', ALLOW_GET);

const PAYMENTS_PATH = latin1('/payments');

/** The handler of a backend. */
export function routes(options: RouteOptions): Handler {
  const {
    payments,
    allowPurge,
    survives,
    pages = {},
    actions = {},
    pageTurns = new PageTurns(),
    door,
  } = options;
  const fields = new PaymentFields();
  const trace = new Int32Array(TRACE_WORDS);

  const pay = (request: Request): Answer | Promise<Answer> => {
    if ((request.flags & FROM_BROWSER) !== 0) {
      const refusal = door?.browserRefusal(request);
      if (refusal !== undefined) return refusal;
    }
    const { bytes, bodyStart, bodyEnd } = request;
    const result = readPayment(bytes, bodyStart, bodyEnd, fields);
    if (result === MALFORMED) return malformedJson(request, fields.errorAt);
    if (result !== PAYMENT) return notPaymentAnswer(result);
    const acceptance = payments.accept(fields.id, fields.cents, traceOf(request, trace));
    if (acceptance === ACCEPTED) return ACCEPTED_ON_COMMIT;
    return acceptance === OVER_CAPACITY ? overCapacityAnswer(payments.waitSeconds) : answerOf(acceptance);
  };

  const lookUp = async (text: string): Promise<Answer> => {
    const id = idBytes(text);
    if (id === undefined) return UNKNOWN_PAYMENT;
    const payment = await payments.find(id);
    return payment === undefined ? UNKNOWN_PAYMENT : json(200, paymentJson(payment));
  };

  const summarize = async (query: string | undefined): Promise<Answer> => {
    const window = parseWindow(query);
    if (typeof window === 'string') return problem(400, 'invalid-query', window);
    const { fromMs, toMs } = window;
    return json(200, summaryJson(fromMs > toMs ? NOTHING : await payments.summary(fromMs, toMs)));
  };

  const purge = async (): Promise<Answer> => {
    await payments.purge();
    return PURGED;
  };
  const purged = (): Answer | Promise<Answer> => (allowPurge ? guarded(purge()) : PURGE_FORBIDDEN);

  const health = (): Answer => {
    const { ready, reasons, instance } = payments.readiness();
    return json(
      ready ? 200 : 503,
      JSON.stringify({ status: ready ? 'ok' : 'unavailable', instance, reasons, survives: survives?.() }),
    );
  };

  const showPage = (
    page: PageHandler,
    path: string,
    request: Request,
    connection: Connection,
  ): Answer | Promise<Answer> => {
    const refusal = isOfOperations(path) ? door?.refusal(request, connection) : undefined;
    if (refusal !== undefined) return refusal;
    if (connection.isTight) return BUSY;
    const answer = pageTurns.answer(page(request));
    if (answer instanceof Answer) return answer;
    request.isAlone = true;
    return guarded(answer);
  };

  return (request, connection) => {
    if (request.method === POST && isPayments(request)) {
      request.route = PAYMENTS;
      return pay(request);
    }
    if (request.method === OTHER) return UNKNOWN_METHOD;
    const { path, method } = request;
    if (path === '*' || (method === OPTIONS && request.pathStart === request.targetEnd)) return OPTIONS_ALL;
    if (path === '/payments') {
      request.route = PAYMENTS;
      if (method === POST) return pay(request);
      return method === OPTIONS ? OPTIONS_POST : ONLY_POST;
    }
    if (path === '/purge-payments') {
      request.route = PURGE;
      if (method === POST) return door?.refusal(request, connection) ?? purged();
      return method === OPTIONS ? OPTIONS_POST : ONLY_POST;
    }
    let answer: () => Answer | Promise<Answer>;
    if (path === '/payments-summary') {
      request.route = SUMMARY;
      answer = () => guarded(summarize(request.query));
    } else if (path.startsWith('/payments/')) {
      request.route = PAYMENT_BY_ID;
      answer = () => guarded(lookUp(path.slice('/payments/'.length)));
    } else if (path === '/health' || path === '/readyz') {
      request.route = path === '/health' ? HEALTH : PAGE;
      answer = health;
    } else if (path === '/livez') {
      request.route = PAGE;
      answer = () => ALIVE;
    } else if (Object.hasOwn(pages, path)) {
      request.route = PAGE;
      answer = () => showPage(pages[path]!, path, request, connection);
    } else if (Object.hasOwn(actions, path)) {
      request.route = PAGE;
      if (method === POST) return showPage(actions[path]!, path, request, connection);
      return method === OPTIONS ? OPTIONS_POST : ONLY_POST;
    } else return NOT_FOUND;
    if (method === GET || method === HEAD) return answer();
    return method === OPTIONS ? OPTIONS_GET : ONLY_GET;
  };
}

/** The pages of operations; those that explain the API to its clients are for all. */
const isOfOperations = (path: string): boolean =>
  path === '/' || path === '/metrics' || path.startsWith('/dashboard');

/** Whether the target is `/payments` in origin form, without a query. */
function isPayments(request: Request): boolean {
  return equals(request.bytes, request.targetStart, request.targetEnd, PAYMENTS_PATH);
}

/** `scratch` with the trace that the request belongs to; undefined where it belongs to none. */
function traceOf(request: Request, scratch: Int32Array): Int32Array | undefined {
  if ((request.flags & HAS_TRACE) === 0) return undefined;
  const { bytes, traceStart, traceEnd } = request;
  return readTraceparent(bytes, traceStart, traceEnd, scratch) ? scratch : undefined;
}

/** What a server does at the end of a turn: has what was accepted in it kept. */
export const commitOf =
  (payments: Pick<Payments, 'commit'>) =>
  (waiting: number): Committed | Promise<Committed> => {
    const kept = payments.commit(waiting);
    return kept instanceof Promise ? kept.then(committedAs) : committedAs(kept);
  };

const committedAs = (kept: Kept): Committed =>
  typeof kept === 'boolean'
    ? kept
    : place => {
        const acceptance = kept(place);
        return acceptance === ACCEPTED ? undefined : answerOf(acceptance);
      };

function answerOf(acceptance: Acceptance): Answer {
  return acceptance === CONFLICT ? CONFLICT_ANSWER : UNAVAILABLE_ANSWER;
}

async function guarded(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Unavailable) return STORE_UNAVAILABLE;
    throw error;
  }
}

const NOTHING: Summary = { default: emptyTotal(), fallback: emptyTotal() };

const totalJson = (total: Readonly<Total>): string =>
  `{"totalRequests":${total.count},"totalAmount":${decimal(totalCents(total))}}`;

/** Money as a decimal number with two digits, straight from integer cents. */
function summaryJson(summary: Summary): string {
  return `{"default":${totalJson(summary.default)},"fallback":${totalJson(summary.fallback)}}`;
}

function paymentJson(payment: PaymentView): string {
  const requestedAt = payment.requestedAtMs === null ? 'null' : `"${formatInstant(payment.requestedAtMs)}"`;
  const processor = payment.processor === null ? 'null' : `"${payment.processor}"`;
  const reason = payment.reason === null ? '' : `,"reason":${JSON.stringify(payment.reason)}`;
  return (
    `{"correlationId":"${payment.correlationId}","amount":${decimal(payment.cents)},` +
    `"status":"${payment.status}","processor":${processor},"requestedAt":${requestedAt},` +
    `"acceptedAt":"${formatInstant(payment.acceptedAtMs)}","attempts":${payment.attempts}${reason}}`
  );
}
