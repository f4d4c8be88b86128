/** The address of a processor: where its paths begin, who asks, and what tells it from another one. */

export interface ProcessorUrl {
  readonly origin: string;
  /** In front of every path, without a slash at its end. */
  readonly prefix: string;
  /** The value of the field `Authorization`; undefined where the address names nobody. */
  readonly authorization: string | undefined;
  /**
   * Tells one processor from another: the address in its normal form, without credentials, which may change
   * without the processor's becoming another one.
   */
  readonly identity: string;
}

/** Takes an `http:` or `https:` URL apart. User and password are Basic credentials (RFC 7617). */
export function processorUrl(text: string): ProcessorUrl {
  const { origin, pathname, username, password } = new URL(text);
  const prefix = pathname.replace(/\/+$/, '');
  const hasUser = username !== '' || password !== '';
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return {
    origin,
    prefix,
    authorization: hasUser ? `Basic ${new TextEncoder().encode(credentials).toBase64()}` : undefined,
    identity: origin + prefix,
  };
}
