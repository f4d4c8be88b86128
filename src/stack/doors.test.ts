/**
 * Every byte example of the HTTP side at each door: a backend's own socket, HAProxy in TCP mode, and HAProxy
 * in HTTP mode, as the first request of a connection and as a later one.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { headerBytesMax, headerCountMax, lineBytesMax } from '../http/limits.ts';
import { OperationsDoor } from '../http/operations-door.ts';
import { routes } from '../http/routes.ts';
import { Server } from '../http/server.ts';
import { type Example, readExamples } from '../testing/examples.ts';
import { haproxy, startProxy, withoutHaproxy } from '../testing/haproxy.ts';
import { DOOR, driveConnection, FakePayments } from '../testing/http.ts';
import { send } from '../testing/raw-client.ts';

const FIRST = 'OPTIONS /health HTTP/1.1\r\nHost: a\r\n\r\n';
/** Ends what stays open, and is answered only by who knows where the example ends. */
const LAST = Buffer.from('GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

/**
 * What HAProxy in HTTP mode repairs, the malformed requests that so become others: it frames anew what it
 * sends on, so nothing in them can pass for a request of its own. Versions after 2.6 may refuse more of it.
 */
const REPAIRED: Readonly<Record<string, readonly string[]>> = {
  'It splits a request line at any white space.': [
    'The request line: Two spaces after the method',
    'The request line: Two spaces before the version',
    'The request line: A tab',
  ],
  'It may add to a head, so a backend behind it allows for 256 bytes more.': [
    'Fields: A header section over 16 KiB',
  ],
  'It passes over any number of empty lines.': ['The request line: Nine empty lines'],
  'An LF ends a line.': [
    'Line ends: A bare LF after the request line',
    'Line ends: A bare LF after a field',
    'Line ends: A bare LF ends no header section',
    'Line ends: A bare LF before the request line',
    'Chunks: A bare LF after the size',
    'Chunks: A bare LF after the data',
    // The CR is taken for the last byte of the data.
    'Chunks: Less data than said',
    'Trailers: A bare LF in the trailers',
    'Trailers: A bare LF ends no trailers',
  ],
  'It joins folded lines.': [
    'Fields: Obsolete folding',
    'Fields: A folded Transfer-Encoding',
    'Transfer-Encoding: Both lengths, the coding folded',
    'Trailers: A folded trailer',
  ],
  'Of equal values it keeps one.': [
    'Host: Two equal ones',
    'Host: Two in HTTP/1.0',
    'Content-Length: A list',
    'Content-Length: Two equal ones',
  ],
  'It puts the authority of the target into Host.': ['Host: Other port than in an absolute-form target'],
  'It drops a length beside a coding.': ['Transfer-Encoding: Both lengths, CL.TE'],
  'It reads sizes to their end, and drops extensions unread.': [
    'Chunks: Size: 16 digits',
    'Chunks: Size: A space after it',
    'Chunks: Size: A tab after it',
    'Chunks: Size: A space before an extension',
    'Chunks: Extension: a bare LF',
    'Chunks: Extension: a bare LF in a value',
    'Chunks: Extension: no name',
    'Chunks: Extension: no value',
    'Chunks: Extension: two equals signs',
    'Chunks: Extension: NUL',
    'Chunks: Extension: a bracket',
    'Chunks: Extension: an open quote',
    'Chunks: Extension: text behind quotes',
    'Chunks: Extension: a space at the end',
    'Chunks: Extension: a space behind quotes',
    'Chunks: Extension: a space inside',
    'Chunks: Extension: a control byte in quotes',
    'Chunks: Extensions of more than 1 KiB',
    'Chunks: Extensions of the last chunk count too',
  ],
};

/** It passes on what there is of a chunk, not its size: a backend cannot refuse what has not been sent. */
const UNSENT = 'Chunks: A chunk over 16 KiB';
/** It reads to the end of a body, and refuses what stands behind the bytes that are too many. */
const TOO_LARGE = ['Chunks: A chunk of 15 digits', 'Chunks: Chunks that are together over 16 KiB'];

const folder = mkdtempSync(join(tmpdir(), 'soquete-'));
const payments = new FakePayments();
/** Three of each kind: what is before them decides on the fields that they take. */
const doors = ['own', 'behind-http'].map(kind => ({
  path: join(folder, kind),
  servers: [1, 2, 3].map(
    () =>
      new Server({
        handler: routes({ payments, allowPurge: false, door: new OperationsDoor(DOOR) }),
        isBehindProxy: kind === 'behind-http',
      }),
  ),
}));
const [own, behindHttp] = doors.map(({ path }) => path) as [string, string];
const socketOf = (directory: string, instance: number): string => join(directory, `backend-${instance}.sock`);
before(async () => {
  for (const { path, servers } of doors) {
    mkdirSync(path);
    await Promise.all(servers.map((server, at) => server.listen({ path: socketOf(path, at + 1) })));
  }
});
after(async () => {
  await Promise.all(doors.flatMap(({ servers }) => servers.map(server => server.close(0))));
  rmSync(folder, { recursive: true, force: true });
});

const examples = readExamples();

const withLast = ({ bytes, ends }: Example): Buffer => (ends ? bytes : Buffer.concat([bytes, LAST]));

/** HAProxy reads a body to its end that a backend will not read, before it closes the connection. */
const BODY_TOO_LARGE = /"\/problems\/body-too-large".*\}$/;

/** Plays an example, in pieces of `pieceBytes`, behind another request or as the first. */
function play(
  door: number | string,
  example: Example,
  pieceBytes = Infinity,
  behind?: string,
): Promise<string> {
  payments.known.clear();
  const bytes = withLast(example);
  const pieces = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes));
  return send(door, pieces, {
    ends: example.ends,
    until: BODY_TOO_LARGE,
    ...(behind !== undefined && { behind }),
  });
}

/** Without what differs from run to run: the date, and interim answers. */
const lasting = (output: string): string =>
  output.replaceAll('HTTP/1.1 100 Continue\r\n\r\n', '').replaceAll(/^Date: .*\r$/gim, 'Date: \r');

/**
 * Plays every example at `door`, and compares what comes with what the connection says without a socket, byte
 * for byte.
 */
async function assertSame(door: number | string): Promise<void> {
  for (const example of examples) {
    const handler = routes({
      payments: new FakePayments(),
      allowPurge: false,
      door: new OperationsDoor(DOOR),
    });
    const { output } = await driveConnection([withLast(example)], { handler, ends: example.ends });
    assert.equal(lasting(await play(door, example)), lasting(output), example.name);
  }
}

/** The statuses of the answers in an output, interim ones left out. */
const statusesIn = (output: string): number[] =>
  [...lasting(output).matchAll(/HTTP\/1\.[01] (\d{3}) [A-Z]/g)].map(([, status]) => Number(status));

test("a backend's own socket answers every example", () => assertSame(socketOf(own, 1)));

test('so it does behind HAProxy to whoever comes past that', () => assertSame(socketOf(behindHttp, 1)));

test('HAProxy in TCP mode passes every example on as it is', { skip: withoutHaproxy }, async () => {
  await using proxy = await startProxy('tcp.cfg', { SOQUETE_RUN: own });
  await assertSame(proxy.port);
});

/**
 * Whether what an example sends is HTTP without a fault, whatever becomes of it: no refusal of its syntax.
 */
const isWellFormed = ({ answers }: Example): boolean =>
  answers.every(({ status, closes }) => !closes || ![400, 414, 431, 501, 505].includes(status));

/** An output as it is behind HAProxy as well: its names are in lower case, and connections are its own. */
const folded = (output: string): string =>
  lasting(output)
    .toLowerCase()
    .replaceAll(/^(?:connection|keep-alive): .*\r\n/gm, '');

for (const [how, pieceBytes, behind] of [
  ['first', Infinity, undefined],
  ['first, in pieces', 16, undefined],
  ['later', Infinity, FIRST],
  ['later, in pieces', 16, FIRST],
] as const) {
  test(`HAProxy in HTTP mode answers and refuses what is sent ${how}`, {
    skip: withoutHaproxy,
  }, async () => {
    await using proxy = await startProxy('haproxy.cfg', { SOQUETE_RUN: behindHttp });
    const repaired: string[] = [];
    const asSent = examples.filter(({ bytes }) => pieceBytes > 16 || bytes.length < 1000);
    for (const example of asSent) {
      const { name, answers, ends } = example;
      if (name === UNSENT) continue;
      const output = await play(proxy.port, example, pieceBytes, behind);
      const statuses = statusesIn(output);
      if (behind !== undefined) assert.equal(statuses.shift(), 204, `${name}\n${output}`);
      if (isWellFormed(example) && !TOO_LARGE.includes(name)) {
        const wanted = folded(await play(socketOf(own, 1), example, pieceBytes, behind));
        // It keeps a connection that a backend would close, where it knows where the next request begins.
        const isKept = answers.at(-1)!.closes && statuses.length > answers.length;
        const whole = isKept ? wanted + folded(await play(socketOf(own, 1), LAST_ALONE)) : wanted;
        // It may let go of a client that has ended its side, before the later ones of several requests.
        const got = folded(output);
        assert.equal(got, ends && answers.length > 1 ? whole.slice(0, got.length) : whole, name);
        continue;
      }
      const good = answers.filter(({ status }) => status < 400).map(({ status }) => status);
      assert.deepEqual(statuses.slice(0, good.length), good, `${name}\n${output}`);
      const status = statuses[good.length];
      // None where it lets go of a client that ends its side in the middle of a request, or goes on writing.
      if (status !== undefined && status < 400) repaired.push(name);
    }
    const known = new Set(Object.values(REPAIRED).flat());
    assert.deepEqual(
      repaired.filter(name => !known.has(name)),
      [],
    );
    if (!isVersion26()) return;
    const wanted = asSent.map(({ name }) => name).filter(name => known.has(name));
    assert.deepEqual(repaired.toSorted(), wanted.toSorted());
  });
}

test('HAProxy in HTTP mode passes the longest head on, on each request of a connection', {
  skip: withoutHaproxy,
}, async () => {
  await using proxy = await startProxy('haproxy.cfg', { SOQUETE_RUN: behindHttp });
  const line = `GET /livez?${'a'.repeat(lineBytesMax - 22)} HTTP/1.1\r\n`;
  const fields = ['Host: a\r\n', 'Connection: keep-alive\r\n'];
  while (fields.length < headerCountMax) fields.push(`a${fields.length}:b\r\n`);
  const left = headerBytesMax - Buffer.byteLength(fields.join('')) - '\r\n'.length;
  fields[2] = fields[2]!.replace('b', 'b'.repeat(left + 1));
  const head = `${line}${fields.join('')}\r\n`;
  assert.equal(head.length, lineBytesMax + headerBytesMax);
  const output = await send(proxy.port, [head + head + LAST.toString()]);
  assert.deepEqual(statusesIn(output), [200, 200, 200], output);
});

test('HAProxy in HTTP mode closes after a refusal of what is too long, and waits for no body that is not to come', {
  skip: withoutHaproxy,
}, async () => {
  await using proxy = await startProxy('haproxy.cfg', { SOQUETE_RUN: behindHttp });
  const post = (fields: string): string => `POST /payments HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
  const tooLarge = 'Content-Length: 20000\r\n';
  for (const [status, sent] of [
    [413, post(`${tooLarge}Expect: 100-continue\r\n`)],
    [413, post(`Content-Length: ${'9'.repeat(15)}\r\nExpect: 100-continue\r\n`)],
    [413, post(tooLarge) + 'x'.repeat(20_000)],
    [414, `GET /${'a'.repeat(lineBytesMax)} HTTP/1.1\r\nHost: a\r\n\r\n`],
    [431, `GET /health HTTP/1.1\r\nHost: a\r\nA: ${'a'.repeat(headerBytesMax + 1000)}\r\n\r\n`],
  ] as const) {
    const output = await send(proxy.port, [sent]);
    assert.deepEqual(statusesIn(output), [status], sent.slice(0, 100));
    assert.match(output, /\r\nconnection: close\r\n[\s\S]*"status":/i);
  }
});

test('HAProxy in HTTP mode speaks HTTP/1 with whoever begins with HTTP/2', {
  skip: withoutHaproxy,
}, async () => {
  await using proxy = await startProxy('haproxy.cfg', { SOQUETE_RUN: behindHttp });
  const settings = '\0\0\0\x04\0\0\0\0\0';
  const output = await send(proxy.port, [`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${settings}`], { ends: true });
  assert.match(output, /^HTTP\/1\.1 400 /);
});

const LAST_ALONE: Example = { name: 'last', bytes: Buffer.alloc(0), ends: false, answers: [] };

const isVersion26 = (): boolean =>
  /version 2\.6\./.test(spawnSync(haproxy, ['-v'], { encoding: 'utf8' }).stdout);
