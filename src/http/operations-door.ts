/**
 * Who may see and do what belongs to operations, and what a browser may send.
 *
 * Operations are served to some networks, and where there is a token, only with it. A browser can be led here
 * by any page: by a name of that page's own that was turned to our address (DNS rebinding), so the `Host` has
 * to be one of ours; or by a form or a script that sends something here, so what comes from another site is
 * refused on every path that changes anything. Programs send none of a browser's fields, and notice nothing.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { textOf } from './bytes.ts';
import type { Connection } from './connection.ts';
import { problem } from './problem.ts';
import { FROM_BROWSER, HAS_HOST, HAS_ORIGIN, IS_CROSS_SITE, LOCAL, POST, type Request } from './request.ts';
import type { Answer } from './response.ts';

export interface DoorOptions {
  readonly opsFrom: { has(address: string): boolean };
  readonly opsToken: string | undefined;
  /** Names under which this deployment is reached, in lower case. */
  readonly publicHosts: ReadonlySet<string>;
  /**
   * `forwarded`: on a Unix socket, in `X-Forwarded-For`, which a proxy of ours sets; `unknown`: a proxy of
   * ours hides it.
   */
  readonly clientAddress: 'socket' | 'forwarded' | 'unknown';
}

const forbidden = (detail: string): Answer => problem(403, 'forbidden', detail);

const ANOTHER_SITE = forbidden(
  'Send this from a page of this site, or from a program: another site may not.',
);
const UNKNOWN_HOST = forbidden(
  'Ask for this by an address, as localhost, or by a name that PUBLIC_HOST lists; the Host is none of these.',
);
const ELSEWHERE = forbidden('Ask for this from a network that OPS_FROM lists.');
const ADDRESS_UNKNOWN = forbidden(
  'Set OPS_TOKEN and send it: behind this proxy the address of a client is not known.',
);
const NO_TOKEN = problem(
  401,
  'unauthorized',
  'Send the token in OPS_TOKEN: as Authorization: Bearer, or as the password of any user.',
  'WWW-Authenticate: Basic realm="soquete operations", charset="UTF-8"\r\nWWW-Authenticate: Bearer realm="soquete operations"\r\n',
);

export class OperationsDoor {
  readonly #options: DoorOptions;
  readonly #digest: Buffer | undefined;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#digest = options.opsToken === undefined ? undefined : digestOf(options.opsToken);
  }

  /** Why a browser may not send this POST; undefined for any other client, and where it may. */
  browserRefusal(request: Request): Answer | undefined {
    const { flags } = request;
    if ((flags & FROM_BROWSER) === 0) return undefined;
    if ((flags & IS_CROSS_SITE) !== 0) return ANOTHER_SITE;
    if ((flags & HAS_ORIGIN) !== 0 && !isOwnOrigin(request)) return ANOTHER_SITE;
    return this.#isHostKnown(request) ? undefined : UNKNOWN_HOST;
  }

  /** Why this request for something of operations is refused; undefined where it is not. */
  refusal(request: Request, connection: Connection): Answer | undefined {
    if (request.method === POST) {
      const refusal = this.browserRefusal(request);
      if (refusal !== undefined) return refusal;
    }
    if (this.#options.clientAddress === 'unknown') {
      if (this.#digest === undefined) return ADDRESS_UNKNOWN;
    } else if (!this.#isNear(request, connection)) return ELSEWHERE;
    if (!this.#isHostKnown(request)) return UNKNOWN_HOST;
    return this.#digest === undefined || this.#hasToken(request, this.#digest) ? undefined : NO_TOKEN;
  }

  #isNear(request: Request, connection: Connection): boolean {
    const address = connection.peerAddress();
    if (address !== LOCAL) return address !== undefined && this.#options.opsFrom.has(address);
    if (this.#options.clientAddress !== 'forwarded') return true;
    const forwarded = request.header('x-forwarded-for');
    return forwarded === undefined || this.#options.opsFrom.has(forwarded);
  }

  /**
   * A name without a dot is one of a local network, such as that of a container: nobody can have such a name
   * in the public DNS.
   */
  #isHostKnown({ bytes, hostStart, hostEnd, flags }: Request): boolean {
    // HTTP/1.0, which no browser speaks.
    if ((flags & HAS_HOST) === 0) return true;
    const host = textOf(bytes, hostStart, hostEnd).toLowerCase();
    if (host.startsWith('[')) return true;
    const name = host.replace(/:\d*$/, '');
    return !name.includes('.') || /^\d{1,3}(\.\d{1,3}){3}$/.test(name) || this.#options.publicHosts.has(name);
  }

  #hasToken(request: Request, digest: Buffer): boolean {
    const [, scheme = '', credentials = ''] =
      /^(\S+) +(\S+)$/.exec(request.header('authorization') ?? '') ?? [];
    // RFC 7617: a user's name has no colon in it.
    const token =
      scheme.toLowerCase() === 'bearer'
        ? credentials
        : scheme.toLowerCase() === 'basic'
          ? Buffer.from(credentials, 'base64')
              .toString()
              .replace(/^[^:]*:/, '')
          : '';
    // Digests are equally long, so the comparison takes the same time whatever was sent.
    return timingSafeEqual(digestOf(token), digest);
  }
}

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** Whether the `Origin` is the `Host`; which scheme a client used with a proxy before us, only it knows. */
function isOwnOrigin({ bytes, originStart, originEnd, hostStart, hostEnd }: Request): boolean {
  const origin = URL.parse(textOf(bytes, originStart, originEnd));
  if (origin === null || hostStart === hostEnd) return false;
  return (
    origin.host !== '' &&
    origin.host === URL.parse(`${origin.protocol}//${textOf(bytes, hostStart, hostEnd)}`)?.host
  );
}
