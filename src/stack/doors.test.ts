/**
 * Every byte example of the HTTP side at each door: a backend's own socket, HAProxy in TCP mode, and HAProxy
 * in HTTP mode, as the first request of a connection and as a later one.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { routes } from '../http/routes.ts';
import { Server } from '../http/server.ts';
import { type Example, readExamples } from '../testing/examples.ts';
import { haproxy, startProxy, withoutHaproxy } from '../testing/haproxy.ts';
import { driveConnection, FakePayments } from '../testing/http.ts';
import { send } from '../testing/raw-client.ts';

const FIRST = 'OPTIONS /health HTTP/1.1\r\nHost: a\r\n\r\n';
/** Ends what stays open, and is answered only by who knows where the example ends. */
const LAST = Buffer.from('GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

/**
 * What HAProxy in HTTP mode mends when it is a later request of a connection: there it reads before a backend
 * does. It frames anew what it sends on, so nothing in it can pass for a request of its own. Versions after
 * 2.6 may refuse more of it.
 */
const MENDED: Readonly<Record<string, readonly string[]>> = {
  'It splits a request line at any white space.': [
    'The request line: Two spaces after the method',
    'The request line: Two spaces before the version',
    'The request line: A tab',
  ],
  'It takes HTTP/1.2 for HTTP/1.1.': ['The request line: HTTP/1.2'],
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

const folder = mkdtempSync(join(tmpdir(), 'soquete-'));
const socketOf = (instance: number): string => join(folder, `backend-${instance}.sock`);
const payments = new FakePayments();
const servers = [1, 2, 3].map(() => new Server({ handler: routes({ payments, allowPurge: false }) }));
before(() => Promise.all(servers.map((server, at) => server.listen({ path: socketOf(at + 1) }))));
after(async () => {
  await Promise.all(servers.map(server => server.close(0)));
  rmSync(folder, { recursive: true, force: true });
});

const examples = readExamples();

const withLast = ({ bytes, ends }: Example): Buffer => (ends ? bytes : Buffer.concat([bytes, LAST]));

/** Plays an example, in pieces of `pieceBytes`. */
function play(door: number | string, example: Example, pieceBytes = Infinity): Promise<string> {
  payments.known.clear();
  const bytes = withLast(example);
  const pieces = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) pieces.push(bytes.subarray(at, at + pieceBytes));
  return send(door, pieces, { ends: example.ends });
}

/** Without what differs from run to run: the date, and interim answers. */
const lasting = (output: string): string =>
  output.replaceAll('HTTP/1.1 100 Continue\r\n\r\n', '').replaceAll(/^Date: .*\r$/gm, 'Date: \r');

/**
 * Plays every example at `door`, and compares what comes with what the connection says without a socket, byte
 * for byte.
 */
async function assertSame(door: number | string): Promise<void> {
  for (const example of examples) {
    const handler = routes({ payments: new FakePayments(), allowPurge: false });
    const { output } = await driveConnection([withLast(example)], { handler, ends: example.ends });
    assert.equal(lasting(await play(door, example)), lasting(output), example.name);
  }
}

/** The statuses of the answers in an output, interim ones left out. */
const statusesIn = (output: string): number[] =>
  [...lasting(output).matchAll(/HTTP\/1\.[01] (\d{3}) [A-Z]/g)].map(([, status]) => Number(status));

test("a backend's own socket answers every example", () => assertSame(socketOf(1)));

test('HAProxy in TCP mode passes every example on as it is', { skip: withoutHaproxy }, async () => {
  await using proxy = await startProxy('tcp.cfg', { SOQUETE_RUN: folder });
  await assertSame(proxy.port);
});

for (const [how, pieceBytes] of [
  ['whole', Infinity],
  ['in pieces', 16],
] as const) {
  test(`HAProxy in HTTP mode refuses what it should, sent first and ${how}`, {
    skip: withoutHaproxy,
  }, async () => {
    await using proxy = await startProxy('haproxy.cfg', { SOQUETE_RUN: folder });
    for (const example of examples.filter(({ bytes }) => pieceBytes > 16 || bytes.length < 1000)) {
      const output = await play(proxy.port, example, pieceBytes);
      const [got, wanted] = [statusesIn(output), example.answers.map(({ status }) => status)];
      // HAProxy may let go of a client that has ended its side.
      if (example.ends) wanted.length = Math.min(got.length, wanted.length);
      // It keeps a connection that a backend would close, where it knows where the next request begins.
      else if (!example.answers.at(-1)!.closes || got.length > wanted.length) wanted.push(200);
      assert.deepEqual(got, wanted, `${example.name}\n${output}`);
      if (wanted[0]! >= 400) assert.match(output, /^content-type: application\/problem\+json\r$/im);
    }
  });
}

test('HAProxy in HTTP mode refuses a later request, or mends it as is known', {
  skip: withoutHaproxy,
}, async () => {
  await using proxy = await startProxy('haproxy.cfg', { SOQUETE_RUN: folder });
  const mended: string[] = [];
  for (const { name, bytes, answers } of examples) {
    if (answers.length > 1 || answers[0]!.status < 400 || !answers[0]!.closes) continue;
    payments.known.clear();
    const output = await send(proxy.port, [bytes], { ends: true, behind: FIRST });
    const [first, status, ...more] = statusesIn(output);
    assert.equal(first, 204, output);
    if (status === undefined || status >= 400) continue;
    assert.deepEqual(more, [], `${name}\n${output}`);
    mended.push(name);
  }
  const known = new Set(Object.values(MENDED).flat());
  assert.deepEqual(
    mended.filter(name => !known.has(name)),
    [],
  );
  const { stdout } = spawnSync(haproxy, ['-v'], { encoding: 'utf8' });
  if (/version 2\.6\./.test(stdout)) assert.deepEqual(mended.toSorted(), [...known].toSorted());
});
