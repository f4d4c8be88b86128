/**
 * What the paths of the OpenAPI document refer to: fields of requests and answers, and the shapes of bodies.
 */
import { requestIdBytesMax } from '../http/limits.ts';

/** A reference to one of the shapes below. */
export const schema = <Name extends string>(name: Name) => ({
  $ref: `#/components/schemas/${name}` as const,
});

/** Both are for machines that check; what they leave out, the descriptions say. */
const instant = { type: 'string', format: 'date-time' } as const;
const correlationId = {
  type: 'string',
  format: 'uuid',
  description: 'Names the payment; either case.',
} as const;

export const COMPONENTS = {
  securitySchemes: {
    token: { type: 'http', scheme: 'bearer', description: 'OPS_TOKEN, where it is set.' },
    password: { type: 'http', scheme: 'basic', description: 'Any user, with OPS_TOKEN as the password.' },
  },
  parameters: {
    RequestId: {
      name: 'X-Request-Id',
      in: 'header',
      description:
        `Names this request in its answer, if it has 1 to ${requestIdBytesMax} characters of visible ASCII. Any other value, ` +
        'or a repeated field, is ignored.',
      schema: { type: 'string' },
      example: '7f3e9b5c',
    },
    Traceparent: {
      name: 'traceparent',
      in: 'header',
      description:
        'The trace that the payment belongs to (W3C Trace Context). The processors get it with each attempt, with another ' +
        'parent-id. An invalid or repeated field is ignored.',
      schema: { type: 'string' },
      example: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    },
  },
  headers: {
    RequestId: {
      description: 'The X-Request-Id of the request; absent where the request has none.',
      schema: { type: 'string', minLength: 1, maxLength: requestIdBytesMax, pattern: '^[!-~]+$' },
      example: '7f3e9b5c',
    },
  },
  schemas: {
    NewPayment: {
      type: 'object',
      required: ['correlationId', 'amount'],
      properties: {
        correlationId,
        amount: {
          type: 'number',
          minimum: 0.01,
          maximum: 9_999_999_999.99,
          description:
            'At most two decimals, as written: 19.9, 19.90 and 1990e-2 are the same. A multipleOf would be computed ' +
            'in binary fractions and refuse some of them.',
        },
      },
      description: 'Other members are ignored.',
    },
    Payment: {
      type: 'object',
      required: ['correlationId', 'amount', 'status', 'processor', 'requestedAt', 'acceptedAt', 'attempts'],
      properties: {
        correlationId: { type: 'string', format: 'uuid' },
        amount: { type: 'number' },
        status: { type: 'string', enum: ['queued', 'settled', 'held', 'closed'] },
        processor: { enum: ['default', 'fallback', null], description: 'Of the last attempt.' },
        requestedAt: {
          anyOf: [instant, { type: 'null' }],
          description: 'As in the books of the processor; null before the first attempt.',
        },
        acceptedAt: instant,
        attempts: { type: 'integer', minimum: 0 },
        reason: {
          type: 'string',
          description:
            'Of a held payment: refused, amount-differs or url-changed. Of a closed one: what the operator wrote.',
        },
      },
    },
    Total: {
      type: 'object',
      required: ['totalRequests', 'totalAmount'],
      properties: { totalRequests: { type: 'integer' }, totalAmount: { type: 'number' } },
    },
    Summary: {
      type: 'object',
      required: ['default', 'fallback'],
      properties: { default: schema('Total'), fallback: schema('Total') },
    },
    Readiness: {
      type: 'object',
      required: ['status', 'instance', 'reasons'],
      properties: {
        status: { type: 'string', enum: ['ok', 'unavailable'] },
        instance: { type: 'string' },
        reasons: { type: 'array', items: { type: 'string' } },
        survives: { type: 'string', description: 'What a payment that was answered with 202 survives.' },
      },
    },
    Liveness: {
      type: 'object',
      required: ['status'],
      properties: { status: { type: 'string', enum: ['ok'] } },
    },
    Message: { type: 'object', required: ['message'], properties: { message: { type: 'string' } } },
    Document: { type: 'object', required: ['openapi'], properties: { openapi: { type: 'string' } } },
    Problem: {
      type: 'object',
      description: 'RFC 9457. The type is also the address of a page that explains it.',
      required: ['type', 'title', 'status', 'detail'],
      properties: {
        type: { type: 'string', format: 'uri-reference' },
        title: { type: 'string' },
        status: { type: 'integer' },
        detail: { type: 'string', description: 'What to fix.' },
      },
    },
  },
} as const;
