/** The pages behind the `type` of each problem, for people: what it is, why, and how to fix it. */
import { createHash } from 'node:crypto';
import type { Page } from '../http/page.ts';
import { PROBLEM_KINDS, type ProblemKind, problemTitle } from '../http/problem.ts';

interface Explanation {
  readonly status: string;
  readonly what: string;
  readonly why: string;
  readonly fix: string;
}

const EXPLANATIONS: Readonly<Record<ProblemKind, Explanation>> = {
  'malformed-request': {
    status: '400',
    what: 'The request is not unambiguous HTTP/1.1, so it was not carried out and the connection was closed.',
    why: 'A request that two programs could read in two ways (two lengths, a bare line feed, a space before a colon) is refused: between a proxy and a server it allows request smuggling.',
    fix: 'The detail names what to change. HTTP libraries do it right; look at what builds the request by hand, and at proxies in between.',
  },
  'malformed-json': {
    status: '400',
    what: 'The body is not valid JSON in UTF-8.',
    why: 'It is empty, it ends too early, it begins with a byte order mark, or a byte is not allowed where it stands.',
    fix: 'The detail names the byte. Let a library write the JSON, and send UTF-8 without a byte order mark.',
  },
  'invalid-query': {
    status: '400',
    what: 'A parameter of the query cannot be used.',
    why: 'from and to are ISO 8601 instants with seconds and Z or an offset, each given once, and from is not after to.',
    fix: 'Send from=2026-07-10T12:34:56.000Z&to=2026-07-10T12:35:56.000Z, or leave either out for an open end.',
  },
  unauthorized: {
    status: '401',
    what: 'The pages of operations need a token here, and the request has none, or another one.',
    why: 'The dashboard, the metrics and the purge tell and do more than clients need, so whoever runs this deployment has set OPS_TOKEN.',
    fix: 'Send Authorization: Bearer with the token. A browser asks for it: any user, and the token as the password.',
  },
  forbidden: {
    status: '403',
    what: 'This deployment does not allow what was asked, or not from there.',
    why: 'The pages of operations are served to the networks in OPS_FROM, under addresses and the names in PUBLIC_HOST. A browser may not send anything from a page of another site. A purge forgets every payment, so it is off.',
    fix: 'The detail says which of these it is. In development, ALLOW_PURGE=1 allows a purge; in production, do not allow it.',
  },
  'not-found': {
    status: '404',
    what: 'There is nothing at this path, or no payment with this correlationId.',
    why: 'The path is misspelt, or the payment was never accepted: a payment that got a 202 is known to every backend within 100 ms.',
    fix: 'Compare the path with /openapi.json. A payment that is not known may be sent.',
  },
  'method-not-allowed': {
    status: '405',
    what: 'The path exists and does not take this method.',
    why: 'Payments and purges are sent with POST; everything else is read with GET or HEAD.',
    fix: 'Use a method that the Allow field of the answer names.',
  },
  'request-timeout': {
    status: '408',
    what: 'The request was not complete within 10 seconds of its first byte, so the connection was closed.',
    why: 'The client stopped sending, or announced a longer body than it sent.',
    fix: 'Send the request again, whole. If it happens often, look at Content-Length.',
  },
  'conflicting-payment': {
    status: '409',
    what: 'A payment with this correlationId was accepted before, with another amount. The first one stands.',
    why: 'A correlationId names one payment. Sent again with the same amount it is answered with 202 and processed once.',
    fix: 'For another payment, take another correlationId. To ask for the first, GET /payments/{correlationId}.',
  },
  'body-too-large': {
    status: '413',
    what: 'The body is longer than 16 KiB and was not read.',
    why: 'A payment has about 70 bytes; the limit bounds the memory of a connection.',
    fix: 'Send correlationId and amount, one payment in a request.',
  },
  'request-line-too-long': {
    status: '414',
    what: 'The request line is longer than 8 KiB.',
    why: 'The longest one with a meaning here has about 130 bytes.',
    fix: 'Shorten the target.',
  },
  'expectation-failed': {
    status: '417',
    what: 'The request expects something that is not done here.',
    why: 'Only Expect: 100-continue is known.',
    fix: 'Leave the Expect field out.',
  },
  'not-a-payment': {
    status: '422',
    what: 'The body is JSON, but not a payment.',
    why: 'A payment has a correlationId, which is a UUID, and an amount, which is a number greater than 0 with at most two decimals and at most 9999999999.99.',
    fix: 'The detail names the member and what it takes. Example: {"correlationId":"4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3","amount":19.90}',
  },
  'header-section-too-large': {
    status: '431',
    what: 'The header section is longer than 16 KiB or has more than 100 fields.',
    why: 'The limit bounds the memory of a connection.',
    fix: 'Send fewer or shorter fields; cookies are the usual cause, and none are needed here.',
  },
  'too-many-requests': {
    status: '429',
    what: 'One address has too many connections open, or sends too many requests in a second.',
    why: 'What one client may take is bounded, so that no client can keep the others out.',
    fix: 'Use fewer connections and keep them open, and wait for Retry-After seconds. Whoever runs this deployment can raise the limits (LIMIT_CONNECTIONS and its relatives), and has to name a proxy in front of it in TRUSTED_PROXIES: all of its clients have one address otherwise.',
  },
  'internal-error': {
    status: '500',
    what: 'Something broke in soquete.',
    why: 'This is a bug. What was accepted before is not affected.',
    fix: 'The same payment may be sent again: it is processed once. Please report it with what the log says.',
  },
  'not-implemented': {
    status: '501',
    what: 'The method or the transfer coding is not known here.',
    why: 'soquete knows GET, HEAD, POST and OPTIONS, and the chunked transfer coding alone.',
    fix: 'Use one of those.',
  },
  unavailable: {
    status: '503',
    what: 'The queue or the store cannot take the payment, or be asked, at this moment. The payment was not accepted.',
    why: 'The queue is full, memory or disk have no more room than what is accepted needs to be settled, the store is busy, or this backend is just joining the others. GET /health says which.',
    fix: 'Send the same payment again after the seconds that Retry-After names: it is processed once.',
  },
  'version-not-supported': {
    status: '505',
    what: 'The request is of another version of HTTP.',
    why: 'HTTP/1.1 and HTTP/1.0 are spoken here.',
    fix: 'Let the client use HTTP/1.1; a proxy in front may speak HTTP/2 with it.',
  },
};

const STYLE =
  ':root{color-scheme:light dark;font:16px/1.6 system-ui,sans-serif}body{max-width:42rem;margin:8vh auto;padding:0 20px}' +
  'h1{font-size:1.5rem;line-height:1.3}dt{font-weight:600;margin-top:1rem}dd{margin:0}code{font-size:.95em;overflow-wrap:anywhere}li{margin:.3rem 0}';
const FIELDS =
  `Content-Security-Policy: default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'\r\n` +
  'Cache-Control: max-age=3600\r\n';

/** The page of one kind of problem. */
export function showProblem(kind: ProblemKind): Page {
  const { status, what, why, fix } = EXPLANATIONS[kind];
  const title = problemTitle(kind);
  return html(
    title,
    `<h1>${escaped(title)}</h1><p>${escaped(what)}</p><dl>` +
      `<dt>Why</dt><dd>${escaped(why)}</dd><dt>How to fix it</dt><dd>${escaped(fix)}</dd>` +
      `<dt>Status</dt><dd>${status}</dd><dt>Type</dt><dd><code>/problems/${kind}</code></dd></dl>` +
      '<p><a href="/problems">All problems</a></p>',
  );
}

/** The list of all kinds. */
export function showProblems(): Page {
  const items = PROBLEM_KINDS.map(
    kind =>
      `<li><a href="/problems/${kind}">${escaped(problemTitle(kind))}</a> (${EXPLANATIONS[kind].status})</li>`,
  );
  return html(
    'Problems',
    `<h1>Problems</h1><p>Why soquete may refuse a request.</p><ul>${items.join('')}</ul>`,
  );
}

const html = (title: string, body: string): Page => ({
  status: 200,
  contentType: 'text/html; charset=utf-8',
  fields: FIELDS,
  body:
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
    `<title>${escaped(title)} - soquete</title><style>${STYLE}</style></head><body><main>${body}</main></body></html>`,
});

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
