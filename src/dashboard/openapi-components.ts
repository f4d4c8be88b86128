/**
 * What the paths of the OpenAPI document refer to: fields of requests and answers, and the shapes of bodies.
 */
import { requestIdBytesMax } from '../http/limits.ts';

/** A reference to one of the shapes below. */
export const schema = (name: string) => ({ $ref: `#/components/schemas/${name}` });

const REQUEST_ID_SCHEMA = { type: 'string', minLength: 1, maxLength: requestIdBytesMax, pattern: '^[!-~]+$' };

export const COMPONENTS = {
  parameters: {
    RequestId: {
      name: 'X-Request-Id',
      in: 'header',
      description:
        'Names this request in its answer. A value that does not fit, or a repeated field, is ignored.',
      schema: REQUEST_ID_SCHEMA,
      example: '7f3e9b5c',
    },
    Traceparent: {
      name: 'traceparent',
      in: 'header',
      description:
        'The trace that the payment belongs to (W3C Trace Context). The processors get it with each attempt, with another ' +
        'parent-id. An invalid or repeated field is ignored.',
      schema: { type: 'string', pattern: '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}' },
      example: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    },
  },
  headers: {
    RequestId: {
      description: 'The X-Request-Id of the request; absent where the request has none.',
      schema: REQUEST_ID_SCHEMA,
      example: '7f3e9b5c',
    },
  },
  schemas: {
    NewPayment: {
      type: 'object',
      required: ['correlationId', 'amount'],
      properties: {
        correlationId: { type: 'string', format: 'uuid', description: 'Names the payment; either case.' },
        amount: {
          type: 'number',
          exclusiveMinimum: 0,
          maximum: 9_999_999_999.99,
          multipleOf: 0.01,
          description: 'At most two decimals.',
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
        processor: { type: ['string', 'null'], enum: ['default', 'fallback', null] },
        requestedAt: {
          type: ['string', 'null'],
          format: 'date-time',
          description: 'As in the books of the processor; null before the first attempt.',
        },
        acceptedAt: { type: 'string', format: 'date-time' },
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
