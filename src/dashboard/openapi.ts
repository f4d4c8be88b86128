/** The API as OpenAPI 3.1: every path, every answer, each with an example. */
import { type ProblemKind, problemTitle } from '../http/problem.ts';
import { VERSION } from '../telemetry/version.ts';
import { COMPONENTS, schema } from './openapi-components.ts';

const ID = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';
const AT = '2026-07-10T12:34:56.000Z';

const PAYMENT_EXAMPLE = { correlationId: ID, amount: 19.9 };

/** Each request may carry it, and its answer then echoes it. */
const REQUEST_ID = { $ref: '#/components/parameters/RequestId' };
const TRACEPARENT = { $ref: '#/components/parameters/Traceparent' };
const ECHO = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' } };

const json = (description: string, name: string, example: unknown) => ({
  description,
  headers: ECHO,
  content: { 'application/json': { schema: schema(name), example } },
});

const empty = (description: string) => ({ description, headers: ECHO });

/** An answer of `application/problem+json`. */
const problem = (status: number, kind: ProblemKind, detail: string, headers?: Record<string, object>) => ({
  description: problemTitle(kind),
  headers: { ...headers, ...ECHO },
  content: {
    'application/problem+json': {
      schema: schema('Problem'),
      example: { type: `/problems/${kind}`, title: problemTitle(kind), status, detail },
    },
  },
});

/** Whatever else may be the answer to any request, with what stands before the backends. */
const ANY_PROBLEM = {
  description:
    'Any other refusal: malformed HTTP (400), not complete in time (408), limits (413, 414, 429 and 431), an expectation ' +
    '(417), a coding or a version (501, 505), or no backend to answer (502, 503, 504).',
  content: { 'application/problem+json': { schema: schema('Problem') } },
};

const RETRY_AFTER = {
  'Retry-After': {
    description: 'Seconds to wait.',
    schema: { type: 'integer' },
    example: 1,
  },
};
/** Of what stands before the backends. */
const TOO_MANY = {
  description: 'Too many connections or requests from one address.',
  headers: RETRY_AFTER,
  content: { 'application/problem+json': { schema: schema('Problem') } },
};
const ALLOW = {
  Allow: {
    description: 'The methods of this path.',
    schema: { type: 'string' },
    example: 'GET, HEAD, OPTIONS',
  },
};
const ONLY_GET = problem(405, 'method-not-allowed', 'Use GET on this path.', ALLOW);
/** Of operations: what is refused by where a request comes from and what it brings. */
const ELSEWHERE = problem(403, 'forbidden', 'Ask for this from a network that OPS_FROM lists.');
const NO_TOKEN = problem(
  401,
  'unauthorized',
  'Send the token in OPS_TOKEN: as Authorization: Bearer, or as the password of any user.',
  {
    'WWW-Authenticate': {
      description: 'The ways to send the token.',
      schema: { type: 'string' },
      example: 'Basic realm="soquete operations", charset="UTF-8"',
    },
  },
);
/** Without any where no token is asked for. */
const SECURITY = [{}, { token: [] }, { password: [] }];
const OTHER_SITE = problem(
  403,
  'forbidden',
  'Send this from a page of this site, or from a program: another site may not.',
);
const MALFORMED = 'Send a body that is valid JSON in UTF-8: the body is empty.';
const STORE_UNAVAILABLE = problem(
  503,
  'unavailable',
  'The store cannot be asked now; send the request again later.',
  RETRY_AFTER,
);

const text = (description: string, type: string, example: string) => ({
  description,
  headers: ECHO,
  content: { [type]: { schema: { type: 'string' }, example } },
});

const readiness = (summary: string) => ({
  get: {
    summary,
    tags: ['operating'],
    parameters: [REQUEST_ID],
    responses: {
      200: json('It can accept payments.', 'Readiness', { status: 'ok', instance: 'backend-1', reasons: [] }),
      503: json('It cannot, for these reasons.', 'Readiness', {
        status: 'unavailable',
        instance: 'backend-1',
        reasons: ['the queue is full'],
      }),
      429: TOO_MANY,
      default: ANY_PROBLEM,
    },
  },
});

const instantParameter = (name: string, description: string) => ({
  name,
  in: 'query',
  description,
  schema: { type: 'string', format: 'date-time' },
  example: AT,
});

const total = { totalRequests: 2, totalAmount: 39.8 };

export const OPENAPI = {
  openapi: '3.1.0',
  info: {
    title: 'soquete',
    version: VERSION,
    summary: 'Takes payments and settles each exactly once on one of two processors.',
    description:
      'A 202 means that the payment is accepted and will be settled. The same payment may be sent again at any time: ' +
      'it is known by its correlationId and settled once. Money has two decimals and is counted in whole cents.',
    license: { name: 'MIT', identifier: 'MIT' },
  },
  servers: [{ url: '/' }],
  tags: [
    { name: 'payments', description: 'What clients use.' },
    { name: 'operating', description: 'For operators.' },
  ],
  paths: {
    '/payments': {
      post: {
        summary: 'Pay',
        tags: ['payments'],
        parameters: [REQUEST_ID, TRACEPARENT],
        requestBody: {
          required: true,
          content: { 'application/json': { schema: schema('NewPayment'), example: PAYMENT_EXAMPLE } },
        },
        responses: {
          202: empty('Accepted, now or before: it will be settled, once.'),
          400: problem(400, 'malformed-json', MALFORMED),
          403: OTHER_SITE,
          408: problem(408, 'request-timeout', 'Send each request whole within 10 seconds.'),
          409: problem(
            409,
            'conflicting-payment',
            'This correlationId is known with another amount; use a new correlationId, or the amount it was first sent with.',
          ),
          413: problem(413, 'body-too-large', 'Keep the body within 16384 bytes.'),
          422: problem(422, 'not-a-payment', 'amount must be greater than 0.'),
          503: problem(
            503,
            'unavailable',
            'The payment was not accepted, because the queue, the memory or the disk of the store is too full; send it again after the seconds that Retry-After names.',
            RETRY_AFTER,
          ),
          429: TOO_MANY,
          default: ANY_PROBLEM,
        },
      },
    },
    '/payments/{correlationId}': {
      get: {
        summary: 'How far is a payment?',
        tags: ['payments'],
        parameters: [
          REQUEST_ID,
          {
            name: 'correlationId',
            in: 'path',
            required: true,
            schema: { type: 'string', format: 'uuid' },
            example: ID,
          },
        ],
        responses: {
          200: json('The payment.', 'Payment', {
            correlationId: ID,
            amount: 19.9,
            status: 'settled',
            processor: 'default',
            requestedAt: AT,
            acceptedAt: AT,
            attempts: 1,
          }),
          404: problem(404, 'not-found', 'No payment with this correlationId is known.'),
          503: STORE_UNAVAILABLE,
          429: TOO_MANY,
          default: ANY_PROBLEM,
        },
      },
    },
    '/payments-summary': {
      get: {
        summary: 'What was settled, by processor',
        description:
          'Both ends are inclusive and compared with the requestedAt in the books of the processor. What RETENTION_DAYS has ' +
          'archived counts as of the beginning of its UTC day: exact for windows of whole days.',
        tags: ['payments'],
        parameters: [
          REQUEST_ID,
          instantParameter('from', 'Nothing before this; without it, from the beginning.'),
          instantParameter('to', 'Nothing after this; without it, until now.'),
        ],
        responses: {
          200: json('The sums.', 'Summary', {
            default: total,
            fallback: { totalRequests: 0, totalAmount: 0 },
          }),
          400: problem(
            400,
            'invalid-query',
            'Give "from" as an ISO 8601 instant such as 2026-07-10T12:34:56.000Z, or leave it out.',
          ),
          405: ONLY_GET,
          503: STORE_UNAVAILABLE,
          429: TOO_MANY,
          default: ANY_PROBLEM,
        },
      },
    },
    '/purge-payments': {
      post: {
        summary: 'Forget everything; only where ALLOW_PURGE=1',
        tags: ['operating'],
        security: SECURITY,
        parameters: [REQUEST_ID],
        responses: {
          200: json('Everything accepted before is forgotten.', 'Message', {
            message: 'All payments purged.',
          }),
          401: NO_TOKEN,
          403: problem(403, 'forbidden', 'Start with ALLOW_PURGE=1 to allow purging.'),
          503: STORE_UNAVAILABLE,
          429: TOO_MANY,
          default: ANY_PROBLEM,
        },
      },
    },
    '/health': readiness('Can this backend accept payments?'),
    '/readyz': readiness('The same, by the name that orchestrators use'),
    '/livez': {
      get: {
        summary: 'Is the process alive? Neither a failing processor nor a full queue changes the answer.',
        tags: ['operating'],
        parameters: [REQUEST_ID],
        responses: { 200: json('It is.', 'Liveness', { status: 'ok' }), 429: TOO_MANY, default: ANY_PROBLEM },
      },
    },
    '/metrics': {
      get: {
        summary: 'The figures of all backends for Prometheus, whichever one answers',
        tags: ['operating'],
        security: SECURITY,
        parameters: [REQUEST_ID],
        responses: {
          200: text(
            'The figures.',
            'text/plain',
            'soquete_payments_accepted_total{instance="backend-1"} 2\n',
          ),
          401: NO_TOKEN,
          403: ELSEWHERE,
          429: TOO_MANY,
          default: ANY_PROBLEM,
        },
      },
    },
    '/': {
      get: {
        summary: 'The dashboard',
        tags: ['operating'],
        security: SECURITY,
        parameters: [REQUEST_ID],
        responses: {
          200: text('A page for people.', 'text/html', '<!doctype html>'),
          401: NO_TOKEN,
          403: ELSEWHERE,
          429: TOO_MANY,
          default: ANY_PROBLEM,
        },
      },
    },
    '/openapi.json': {
      get: {
        summary: 'This document',
        tags: ['operating'],
        parameters: [REQUEST_ID],
        responses: {
          200: json('This document.', 'Document', { openapi: '3.1.0' }),
          429: TOO_MANY,
          default: ANY_PROBLEM,
        },
      },
    },
    '/problems': {
      get: {
        summary: 'The kinds of problems, for people',
        tags: ['operating'],
        parameters: [REQUEST_ID],
        responses: {
          200: text('A page with a link to each.', 'text/html', '<!doctype html>'),
          429: TOO_MANY,
          default: ANY_PROBLEM,
        },
      },
    },
  },
  components: COMPONENTS,
} as const;
