/**
 * Every bound of the HTTP side in one place, and how the bounds depend on each other.
 */
import assert from 'node:assert/strict';

const KiB = 1024;

/** RFC 9112 section 3 asks for request lines of 8,000 bytes; the longest one of ours has about 130. */
export const lineBytesMax = 8 * KiB;
/** The header section with its closing empty line, and again the trailer section. */
export const headerBytesMax = 16 * KiB;
export const headerCountMax = 100;
/**
 * What a proxy in front may add to a client's fields: a field with its address, a blank behind each colon.
 */
export const proxyFieldsMax = 1;
export const proxyBytesMax = 256;
/** A payment has about 70 bytes; unknown fields may be fat. */
export const bodyBytesMax = 16 * KiB;
export const chunkExtensionBytesMax = 1 * KiB;
/** Of an `X-Request-Id` that is echoed: a UUID has 36, and what libraries make up seldom more than 64. */
export const requestIdBytesMax = 128;
/**
 * Digits of a `Content-Length` or of a chunk's size, leading zeros included: all of them fit a double
 * exactly.
 */
export const lengthDigitsMax = 15;
/** RFC 9112 section 2.2 wants at least one empty line before a request passed over. */
export const emptyLinesMax = 8;

export const jsonDepthMax = 32;

/** Requests of one connection that wait for their answers; further ones are left unparsed. */
export const pipelineDepthMax = 256;
/** Answers are handed to a socket in pieces of about this size; the next piece waits until it was taken. */
export const outputBytesMax = 64 * KiB;
/**
 * Bytes of answers that one connection owes and its client has not taken; what it sends beyond is left
 * unparsed. One answer may exceed it: the longest page has about 100 KiB.
 */
export const owedBytesMax = 128 * KiB;
/**
 * Bytes that all connections hold together, of requests and answers. Beyond, a connection gets one answer
 * after the other, and a request that does not come in one piece is refused. Of the 100 MB that a container
 * has, a backend without load takes 60.
 */
export const heldBytesMax = 8 * KiB * KiB;
/** What a connection may hold of a request beyond that. */
export const heldBytesSpare = 2 * KiB;
/** What the place of one answer takes, beside its bytes. */
export const placeBytes = 128;

/** A page that is the same for all who ask is made no more often than that. */
export const sharedPageMs = 250;
/** Pages that are made for single requests at the same time. */
export const pageMakersMax = 4;
/** Pages that are answered in one turn of the event loop. One takes about 15 us, so payments hardly wait. */
export const pagesATurn = 8;

export const requestTimeoutMs = 10_000;
export const idleTimeoutMs = 60_000;
/** A client that takes nothing of its answers for this long is cut off. */
export const stallTimeoutMs = 30_000;
/**
 * After the last answer the input is read and thrown away for this long, so that no reset eats the answer.
 */
export const lingerTimeoutMs = 2_000;
/** How often time-outs are looked at: once for all connections. */
export const sweepMs = 250;
export const connectionsMax = 4_096;

assert(8_000 <= lineBytesMax);
assert(proxyBytesMax >= headerCountMax + 128);
assert(jsonDepthMax <= 32, 'one bit of a 32-bit word stands for each open bracket');
assert(10 ** lengthDigitsMax <= Number.MAX_SAFE_INTEGER);
assert(outputBytesMax <= owedBytesMax);
assert(connectionsMax * heldBytesSpare <= heldBytesMax);
assert((pipelineDepthMax & (pipelineDepthMax - 1)) === 0, 'a mask stands in for the remainder');
assert(sweepMs < lingerTimeoutMs && lingerTimeoutMs < requestTimeoutMs && requestTimeoutMs < idleTimeoutMs);
