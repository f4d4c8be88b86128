/**
 * Why the parser refuses a request. A refusal is a number, so nothing is built to say no; the tables here
 * turn it into the answer. Each one closes the connection: what follows has no known beginning.
 */
import { CR, isBlank, LF } from './bytes.ts';

/** [status, what to mend]. The place in this list is the refusal's number; 0 stands for none. */
const REFUSALS = {
  none: [0, ''],
  emptyLines: [400, 'Send at most one empty line before a request.'],
  requestLine: [400, 'Send the request line as method, one space, target, one space, HTTP/1.1 and CR LF.'],
  targetByte: [
    400,
    'Percent-encode every byte of the target that is not visible ASCII, and leave out a fragment.',
  ],
  targetForm: [
    400,
    'Send a target that starts with "/", or an absolute http URI; "*" goes with OPTIONS alone.',
  ],
  version: [505, 'Use HTTP/1.1 or HTTP/1.0.'],
  lineTooLong: [414, 'Keep the request line within 8192 bytes.'],
  bareCarriageReturn: [400, 'End each line with CR LF; a CR may not stand alone.'],
  bareLineFeed: [400, 'End each line with CR LF; an LF may not stand alone.'],
  folding: [400, 'Start each field line with its name; folded lines and leading white space are not taken.'],
  spaceBeforeColon: [400, 'Remove the white space between the field name and the colon.'],
  fieldName: [400, "Use only letters, digits and !#$%&'*+-.^_`|~ in a field name, and a colon after it."],
  fieldValue: [400, 'Remove the control byte from the field value.'],
  headerTooLarge: [431, 'Keep the header section within 16384 bytes.'],
  headerTooMany: [431, 'Send at most 100 fields.'],
  hostMissing: [400, 'Send one Host field.'],
  hostTwice: [400, 'Send one Host field, not several.'],
  hostInvalid: [400, 'Send a Host field that is a host name or address with an optional port.'],
  hostDiffers: [400, 'Send a Host field that is equal to the authority in the target.'],
  lengthInvalid: [400, 'Send a Content-Length of 1 to 15 decimal digits.'],
  lengthTwice: [400, 'Send one Content-Length field, not several.'],
  lengthAndCoding: [400, 'Send either Content-Length or Transfer-Encoding, not both.'],
  codingInvalid: [400, 'Send Transfer-Encoding: chunked with nothing before, after or inside it.'],
  codingOrder: [400, 'Let chunked be the last transfer coding, once.'],
  codingOld: [400, 'Send a Content-Length; HTTP/1.0 has no transfer codings.'],
  codingUnknown: [501, 'Use no transfer coding other than chunked.'],
  connectionOption: [400, 'Do not name a field that frames or routes the message in Connection.'],
  expectation: [417, 'Expect nothing other than 100-continue.'],
  connectMethod: [501, 'Send requests to this server itself; it opens no tunnels.'],
  bodyTooLarge: [413, 'Keep the body within 16384 bytes.'],
  chunkSize: [
    400,
    'Send each chunk size as 1 to 15 hexadecimal digits, directly followed by CR LF or an extension.',
  ],
  chunkExtension: [
    400,
    'Send chunk extensions as ;name, ;name=token or ;name="text", at most 1024 bytes a chunk.',
  ],
  chunkEnd: [400, 'End each chunk with CR LF after exactly as many bytes as its size says.'],
  trailerField: [400, 'Do not send fields that frame, route or authenticate the message as trailers.'],
  incomplete: [400, 'Send the whole request before closing the connection.'],
  noMemory: [503, 'Too much is held for slow clients now; send the request again later, in one piece.'],
  timeout: [408, 'Send each request whole within 10 seconds.'],
} as const satisfies Record<string, readonly [number, string]>;

export type RefusalName = keyof typeof REFUSALS;

/** The names of the refusals in the order of their numbers: labels for counters. */
export const REFUSAL_NAMES = Object.keys(REFUSALS) as RefusalName[];

/** The number of each refusal. */
export const REFUSE = Object.fromEntries(REFUSAL_NAMES.map((name, number) => [name, number])) as Readonly<
  Record<RefusalName, number>
>;

/** Status and detail by a refusal's number. */
export const REFUSAL_TEXTS: readonly (readonly [status: number, detail: string])[] = Object.values(REFUSALS);

/** Why a byte may not stand in a request line outside the target. */
export function lineRefusal(byte: number): number {
  return byte === LF ? REFUSE.bareLineFeed : REFUSE.requestLine;
}

/** Why a byte may not stand in a target. */
export function targetRefusal(byte: number): number {
  if (byte === LF) return REFUSE.bareLineFeed;
  return byte === CR || isBlank(byte) ? REFUSE.requestLine : REFUSE.targetByte;
}

/** Why a byte may not end a field's name. */
export function nameRefusal(byte: number, isFirst: boolean): number {
  if (isBlank(byte)) return isFirst ? REFUSE.folding : REFUSE.spaceBeforeColon;
  return byte === LF ? REFUSE.bareLineFeed : REFUSE.fieldName;
}
