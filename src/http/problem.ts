/**
 * Refusals that say what to mend (RFC 9457, `application/problem+json`).
 */
import { Answer, type Disposition } from './response.ts';

/** The kinds of problems: the last part of `type`, by which programs tell them apart, and the title. */
const KINDS = {
  'malformed-request': 'Malformed HTTP request',
  'malformed-json': 'Malformed JSON',
  'invalid-query': 'Invalid query parameter',
  unauthorized: 'Token needed',
  forbidden: 'Not allowed here',
  'not-found': 'Not found',
  'method-not-allowed': 'Method not allowed',
  'request-timeout': 'Request not complete in time',
  'conflicting-payment': 'Payment known with another amount',
  'body-too-large': 'Body too large',
  'request-line-too-long': 'Request line too long',
  'expectation-failed': 'Expectation failed',
  'not-a-payment': 'Not a payment',
  'header-section-too-large': 'Header section too large',
  'too-many-requests': 'Too many requests',
  'internal-error': 'Internal error',
  'not-implemented': 'Not implemented',
  unavailable: 'Temporarily unavailable',
  'version-not-supported': 'HTTP version not supported',
} as const;

export type ProblemKind = keyof typeof KINDS;

export const PROBLEM_KINDS = Object.keys(KINDS) as readonly ProblemKind[];

/** The `title` of a kind. */
export const problemTitle = (kind: ProblemKind): string => KINDS[kind];

/** `fields` are further field lines, each with its CR LF; `ending` says what becomes of the connection. */
export function problem(
  status: number,
  kind: ProblemKind,
  detail: string,
  fields = '',
  ending: Disposition = 'keep',
): Answer {
  const body = JSON.stringify({ type: `/problems/${kind}`, title: KINDS[kind], status, detail });
  return new Answer(status, `Content-Type: application/problem+json\r\n${fields}`, body, ending);
}

export const retryAfter = (seconds: number): string => `Retry-After: ${seconds}\r\n`;

/** Of every 503 but that of an overload: a moment is enough for most of what stands behind one. */
export const RETRY_AFTER = retryAfter(1);

const KIND_OF_STATUS: Readonly<Record<number, ProblemKind>> = {
  400: 'malformed-request',
  408: 'request-timeout',
  413: 'body-too-large',
  414: 'request-line-too-long',
  417: 'expectation-failed',
  431: 'header-section-too-large',
  501: 'not-implemented',
  503: 'unavailable',
  505: 'version-not-supported',
};

/** A refusal of the parser: the connection is closed behind it. */
export function refusal(status: number, detail: string): Answer {
  const fields = status === 503 ? RETRY_AFTER : '';
  return problem(status, KIND_OF_STATUS[status]!, detail, fields, 'close');
}
