/**
 * Bytes by their names and by their classes. One table look-up says whether a byte may stand where it stands.
 */

export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const QUOTE = 0x22;
const HASH = 0x23;
export const PERCENT = 0x25;
export const STAR = 0x2a;
export const COMMA = 0x2c;
export const MINUS = 0x2d;
export const DOT = 0x2e;
export const SLASH = 0x2f;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const QUESTION = 0x3f;
export const OPEN_BRACKET = 0x5b;
export const BACKSLASH = 0x5c;
export const CLOSE_BRACKET = 0x5d;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;

function table(holds: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (holds(byte) ? 1 : 0));
}

const among = (text: string) => (byte: number) => text.includes(String.fromCharCode(byte));
const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;
const isAlpha = (byte: number) => (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
const isVisible = (byte: number) => byte >= 0x21 && byte <= 0x7e;

/** `tchar` of RFC 9110 section 5.6.2: methods, field names, tokens. */
export const IS_TOKEN = table(byte => isAlpha(byte) || isDigit(byte) || among("!#$%&'*+-.^_`|~")(byte));

/** `VCHAR` of RFC 5234: visible ASCII. */
export const IS_VISIBLE = table(isVisible);

/** Bytes of a field value (RFC 9110 section 5.5): `VCHAR`, `obs-text`, space and tab. */
export const IS_VALUE = table(byte => byte === TAB || byte === SP || isVisible(byte) || byte >= 0x80);

/** Bytes of a request target: visible ASCII, but a fragment is never sent (RFC 9112 section 3.2). */
export const IS_TARGET = table(byte => isVisible(byte) && byte !== HASH);

/**
 * Bytes of a host's name (`reg-name` of RFC 3986 section 3.2.2) apart from `%`. The comma, which the grammar
 * allows, is left out: whoever joins repeated fields would read two hosts where we read one.
 */
export const IS_HOST = table(byte => isAlpha(byte) || isDigit(byte) || among("-._~!$&'()*+;=")(byte));

/** The value of a hexadecimal digit, or -1. */
export const HEX = Int8Array.from({ length: 256 }, (_, byte) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase());
  return digit;
});

/** ASCII letters in lower case, everything else as it is. */
export const LOWER = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte,
);

/** White space within a line: `OWS` of RFC 9110 section 5.6.3 is any number of these. */
export function isBlank(byte: number): boolean {
  return byte === SP || byte === TAB;
}

/** The bytes of a text whose characters are all below 256. */
export function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, character => character.charCodeAt(0));
}

/** One character for each byte of [start, end). */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
  let result = '';
  for (let at = start; at < end; at++) result += String.fromCharCode(bytes[at]!);
  return result;
}

/** Whether [start, end) holds exactly the bytes of `wanted`. */
export function equals(bytes: Uint8Array, start: number, end: number, wanted: Uint8Array): boolean {
  if (end - start !== wanted.length) return false;
  for (let at = 0; at < wanted.length; at++) if (bytes[start + at] !== wanted[at]) return false;
  return true;
}

/** The same where the case of ASCII letters does not count; `wanted` is in lower case. */
export function equalsIgnoringCase(
  bytes: Uint8Array,
  start: number,
  end: number,
  wanted: Uint8Array,
): boolean {
  if (end - start !== wanted.length) return false;
  for (let at = 0; at < wanted.length; at++) if (LOWER[bytes[start + at]!] !== wanted[at]) return false;
  return true;
}

/** UTF-8 bytes as a text of one character each, which a socket writes as `latin1`. */
export function utf8(value: string): string {
  for (let at = 0; at < value.length; at++) {
    if (value.charCodeAt(at) > 0x7f) {
      const bytes = new TextEncoder().encode(value);
      return textOf(bytes, 0, bytes.length);
    }
  }
  return value;
}
