/** A page that never changes, asked for as browsers and tools do. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { answersIn, driveConnection, FakePayments } from '../testing/http.ts';
import type { Page } from './page.ts';
import { PageTurns } from './page-turns.ts';
import { Request } from './request.ts';
import { routes } from './routes.ts';
import { staticPage } from './static-page.ts';

const TEXT = `<!doctype html>${'é '.repeat(5_000)}`;
const PAGE: Page = {
  status: 200,
  contentType: 'text/html; charset=utf-8',
  body: TEXT,
  fields: 'Cache-Control: no-cache\r\n',
};

let loads = 0;
const root = staticPage(async () => {
  loads++;
  return PAGE;
});
const handler = routes({
  payments: new FakePayments(),
  allowPurge: false,
  pages: { '/': root },
  pageTurns: new PageTurns(Infinity),
});
// Compressed in Node's own threads, which the connections of this test do not wait for.
await root(new Request())();

async function ask(fields: string, method = 'GET', minor = 1) {
  const text = `${method} / HTTP/1.${minor}\r\nHost: a\r\n${fields}\r\n`;
  const { output } = await driveConnection([Buffer.from(text)], { handler });
  const end = output.indexOf('\r\n\r\n') + 4;
  const head = output.slice(0, end);
  const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)\\r$`, 'm').exec(head)?.[1];
  return { status: answersIn(head)[0]!.status, head, field, body: Buffer.from(output.slice(end), 'latin1') };
}

test('each coding has its bytes and its strong tag, and all say what the choice depends on', async () => {
  const decode = { br: brotliDecompressSync, gzip: gunzipSync, identity: (bytes: Buffer) => bytes };
  const tags = new Set<string>();
  for (const [coding, decoded] of Object.entries(decode)) {
    const { status, field, body } = await ask(`Accept-Encoding: ${coding}\r\n`);
    assert.equal(status, 200);
    assert.equal(field('Content-Encoding'), coding === 'identity' ? undefined : coding);
    assert.equal(field('Content-Length'), String(body.length));
    assert.equal(field('Vary'), 'Accept-Encoding');
    assert.equal(field('Cache-Control'), 'no-cache');
    assert.equal(decoded(body).toString(), TEXT);
    assert.match(field('ETag')!, /^"[^"]+"$/);
    tags.add(field('ETag')!);
  }
  assert.equal(tags.size, 3);
  assert.equal(loads, 1);
});

test('HEAD has the same head and no body', async () => {
  for (const accept of ['', 'Accept-Encoding: br\r\n']) {
    const [whole, head] = [await ask(accept), await ask(accept, 'HEAD')];
    assert.equal(head.head, whole.head);
    assert.equal(head.body.length, 0);
  }
});

test('who has the page gets 304 without a body, and who has another coding of it gets the page', async () => {
  const plain = (await ask('')).field('ETag')!;
  const short = (await ask('Accept-Encoding: gzip\r\n')).field('ETag')!;
  for (const tags of [plain, `W/${plain}`, `"a", ${plain}`, '*', `"a"\r\nIf-None-Match: ${plain}`]) {
    const { status, field, body, head } = await ask(`If-None-Match: ${tags}\r\n`);
    assert.equal(status, 304, tags);
    assert.equal(body.length, 0);
    assert.deepEqual(
      [field('ETag'), field('Vary'), field('Cache-Control')],
      [plain, 'Accept-Encoding', 'no-cache'],
    );
    assert.ok(!head.includes('Content-Length'));
  }
  assert.equal((await ask(`If-None-Match: ${plain}\r\n`, 'HEAD')).status, 304);
  for (const tags of [short, '"a"', plain.slice(0, -1)]) {
    assert.equal((await ask(`If-None-Match: ${tags}\r\n`)).status, 200, tags);
  }
  assert.equal((await ask(`If-None-Match: ${short}\r\nAccept-Encoding: gzip\r\n`)).status, 304);
});

test('what a request wishes of its answer is said in its head', async () => {
  const closing = await ask('Connection: close\r\nX-Request-Id: one\r\n');
  assert.match(closing.head, /\r\nConnection: close\r\nX-Request-Id: one\r\n\r\n$/);
  assert.equal(closing.body.toString(), TEXT);
  assert.match((await ask('Connection: keep-alive\r\n', 'GET', 0)).head, /\r\nConnection: keep-alive\r\n/);
});

test('a page that could not be loaded is loaded by the next who asks', async context => {
  let isThere = false;
  const handler = staticPage(async () => {
    if (!isThere) throw new Error('away');
    return PAGE;
  });
  const request = { header: context.mock.fn(() => undefined) } as never;
  await assert.rejects(async () => handler(request)(), /away/);
  isThere = true;
  assert.equal((await handler(request)()).status, 200);
  assert.ok(!(handler(request)() instanceof Promise), 'it is there from now on');
});
