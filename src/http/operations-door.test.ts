/** Who gets what belongs to operations, and what a browser may send, through the routes of a backend. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answersIn, DOOR, driveConnection, FakePayments } from '../testing/http.ts';
import { type DoorOptions, OperationsDoor } from './operations-door.ts';
import { LOCAL } from './request.ts';
import { json } from './response.ts';
import { routes } from './routes.ts';

const page = () => () => json(200, '"page"');

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly host?: string;
  readonly from?: string;
  readonly fields?: string;
  readonly body?: string;
}

async function ask(door: Partial<DoorOptions>, asked: Asked) {
  const { method = 'GET', path = '/metrics', host = 'localhost:9999', from, fields = '', body = '' } = asked;
  const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`;
  const text = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}${length}\r\n${body}`;
  const pages = { '/': page, '/metrics': page, '/dashboard.json': page, '/problems': page };
  const { output } = await driveConnection([Buffer.from(text, 'latin1')], {
    handler: routes({
      payments: new FakePayments(),
      allowPurge: true,
      pages: { ...pages, '/dashboard/payment.json': page },
      actions: { '/dashboard/processors': page },
      door: new OperationsDoor({ ...DOOR, ...door }),
    }),
    ...(from === undefined ? {} : { from }),
  });
  const [{ status, head, body: said }] = answersIn(output) as [ReturnType<typeof answersIn>[0]];
  return { status, head, detail: status >= 400 ? String(JSON.parse(said).detail) : '' };
}
const statusOf = async (door: Partial<DoorOptions>, asked: Asked) => (await ask(door, asked)).status;

const OF_OPERATIONS: readonly Asked[] = [
  { path: '/' },
  { path: '/metrics' },
  { path: '/dashboard.json' },
  { path: '/dashboard/payment.json' },
  { path: '/dashboard/processors', method: 'POST' },
  { path: '/purge-payments', method: 'POST' },
];
const PAY: Asked = {
  method: 'POST',
  path: '/payments',
  body: '{"correlationId":"4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3","amount":19.90}',
};
const OF_CLIENTS: readonly Asked[] = [
  { path: '/health' },
  { path: '/problems' },
  { path: '/payments-summary' },
  PAY,
];

test('operations are served to networks near us, whatever else is served to all', async () => {
  for (const asked of OF_OPERATIONS) {
    for (const from of [
      '127.0.0.1',
      '10.1.2.3',
      '::1',
      '::ffff:192.168.1.1',
      'fd00::1',
      'fe80::1%eth0',
      LOCAL,
    ]) {
      assert.equal(await statusOf({}, { ...asked, from }), 200, `${asked.path} from ${from}`);
    }
    for (const from of ['203.0.113.9', '172.32.0.1', '2001:db8::1', '::ffff:203.0.113.9', 'nonsense']) {
      const { status, detail } = await ask({}, { ...asked, from });
      assert.deepEqual([status, /OPS_FROM/.test(detail)], [403, true], `${asked.path} from ${from}`);
    }
  }
  for (const asked of OF_CLIENTS) {
    assert.ok(
      (await statusOf({ opsToken: 'secret' }, { ...asked, from: '203.0.113.9', host: 'pay.example' })) < 300,
    );
  }
});

test('what a method may be is no secret', async () => {
  const from = '203.0.113.9';
  assert.equal(await statusOf({}, { method: 'OPTIONS', from }), 204);
  assert.equal(await statusOf({}, { method: 'DELETE', from }), 405);
});

const basic = (text: string): string => `Authorization: Basic ${Buffer.from(text).toString('base64')}\r\n`;

test('where there is a token, operations need it, and their network too', async () => {
  const door = { opsToken: 's3cret:with/colon' };
  for (const asked of OF_OPERATIONS) {
    const { status, head } = await ask(door, { ...asked, from: LOCAL });
    assert.equal(status, 401, String(asked.path));
    assert.match(
      head,
      /\r\nWWW-Authenticate: Basic realm="[^"]+", charset="UTF-8"\r\nWWW-Authenticate: Bearer realm=/,
    );
    for (const fields of [
      'Authorization: Bearer s3cret:with/colon\r\n',
      'authorization: BEARER  s3cret:with/colon\r\n',
      basic('any:s3cret:with/colon'),
      basic(':s3cret:with/colon'),
    ]) {
      assert.equal(await statusOf(door, { ...asked, fields }), 200, fields);
      assert.equal(await statusOf(door, { ...asked, fields, from: '203.0.113.9' }), 403, 'from elsewhere');
    }
    for (const fields of [
      'Authorization: Bearer s3cret\r\n',
      'Authorization: Bearer\r\n',
      'Authorization: s3cret:with/colon\r\n',
      'Authorization: Digest s3cret:with/colon\r\n',
      'Authorization: Bearer s3cret:with/colon\r\nAuthorization: Bearer s3cret:with/colon\r\n',
      basic('s3cret:with/colon'),
      basic('any:'),
    ]) {
      assert.equal(await statusOf(door, { ...asked, fields }), 401, fields);
    }
  }
});

test('behind our proxy the address is the one that it forwards, and only on its own socket', async () => {
  const door = { clientAddress: 'forwarded' } as const;
  const forwarded = (address: string): string => `X-Forwarded-For: ${address}\r\n`;
  assert.equal(await statusOf(door, { from: LOCAL }), 200, 'it did not come through the proxy');
  assert.equal(await statusOf(door, { from: LOCAL, fields: forwarded('10.0.0.1') }), 200);
  for (const address of [
    '203.0.113.9',
    '',
    'nonsense',
    '10.0.0.1, 203.0.113.9',
    `10.0.0.1\r\n${forwarded('10.0.0.1')}`,
  ]) {
    assert.equal(await statusOf(door, { from: LOCAL, fields: forwarded(address) }), 403, address);
  }
  assert.equal(await statusOf(door, { from: '203.0.113.9', fields: forwarded('10.0.0.1') }), 403);
  const alone = { clientAddress: 'socket' } as const;
  assert.equal(await statusOf(alone, { from: '203.0.113.9', fields: forwarded('10.0.0.1') }), 403);
  assert.equal(await statusOf(alone, { from: LOCAL, fields: forwarded('203.0.113.9') }), 200);
});

test('where the address cannot be known, operations need a token', async () => {
  const door = { clientAddress: 'unknown' } as const;
  const { status, detail } = await ask(door, { from: LOCAL });
  assert.deepEqual([status, /OPS_TOKEN/.test(detail)], [403, true]);
  const fields = 'Authorization: Bearer secret\r\n';
  assert.equal(await statusOf({ ...door, opsToken: 'secret' }, { from: LOCAL, fields }), 200);
  assert.equal(await statusOf({ ...door, opsToken: 'secret' }, { from: LOCAL }), 401);
});

test('operations are served under addresses and our own names: a name that was turned to us is another', async () => {
  const door = { publicHosts: new Set(['pay.example']) };
  for (const asked of OF_OPERATIONS) {
    for (const host of [
      'localhost',
      'LOCALHOST:80',
      '127.0.0.1:9999',
      '[::1]:9999',
      'pay.example',
      'Pay.Example:443',
      'haproxy:9999',
    ]) {
      assert.equal(await statusOf(door, { ...asked, host }), 200, host);
    }
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      '127.0.0.1.evil.example:9999',
      'x.pay.example',
      '1.2.3',
    ]) {
      const { status, detail } = await ask(door, { ...asked, host });
      assert.deepEqual([status, /PUBLIC_HOST/.test(detail)], [403, true], host);
    }
  }
  assert.equal(await statusOf({}, { path: '/payments-summary', host: 'evil.example' }), 200);
});

test('the origin is read behind another request and in pieces as well', async () => {
  const good = 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n';
  const text = `POST /purge-payments HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nX: y\r\n\r\n`;
  const handler = routes({
    payments: new FakePayments(),
    allowPurge: true,
    door: new OperationsDoor(DOOR),
  });
  for (let cut = 1; cut < text.length; cut++) {
    const pieces = [Buffer.from(good + text.slice(0, cut)), Buffer.from(text.slice(cut))];
    const { output } = await driveConnection(pieces, { handler });
    assert.deepEqual(
      answersIn(output).map(({ status }) => status),
      [200, 200],
      `cut at ${cut}`,
    );
  }
});

test('a browser may send only what a page of this site sends, under a name of ours', async () => {
  const door = { publicHosts: new Set(['pay.example']) };
  const posts = [PAY, ...OF_OPERATIONS.filter(({ method }) => method === 'POST')];
  for (const asked of posts) {
    const ok = asked === PAY ? 202 : 200;
    for (const [host, fields] of [
      ['localhost:9999', ''],
      ['localhost:9999', 'Origin: http://localhost:9999\r\nSec-Fetch-Site: same-origin\r\n'],
      ['localhost:9999', 'Origin: HTTP://LOCALHOST:9999\r\n'],
      ['localhost:9999', 'Sec-Fetch-Site: none\r\n'],
      ['[::1]:9999', 'Origin: http://[::1]:9999\r\n'],
      ['pay.example', 'Origin: https://pay.example\r\n'],
      ['pay.example:443', 'Origin: https://pay.example\r\n'],
    ] as const) {
      assert.equal(await statusOf(door, { ...asked, host, fields }), ok, `${host} ${fields}`);
    }
    for (const [host, fields] of [
      ['localhost:9999', 'Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n'],
      ['localhost:9999', 'Origin: https://evil.example\r\n'],
      ['localhost:9999', 'sec-fetch-site: Cross-Site\r\n'],
      ['localhost:9999', 'Origin: http://localhost:9999\r\nSec-Fetch-Site: cross-site\r\n'],
      ['localhost:9999', 'Origin: http://localhost:9998\r\nSec-Fetch-Site: same-site\r\n'],
      ['localhost:9999', 'Origin: http://localhost\r\n'],
      ['localhost:9999', 'Origin: null\r\n'],
      ['localhost:9999', 'Origin:\r\n'],
      ['localhost:9999', 'Origin: http://localhost:9999\r\nOrigin: http://localhost:9999\r\n'],
      ['evil.example', 'Origin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n'],
      ['evil.example', 'Sec-Fetch-Site: same-origin\r\n'],
    ] as const) {
      const { status, head } = await ask(door, { ...asked, host, fields });
      assert.equal(status, 403, `${asked.path} ${host} ${fields}`);
      assert.doesNotMatch(head, /Connection: close/);
    }
  }
  const elsewhere = { host: 'whatever.example', from: '203.0.113.9' };
  assert.equal(await statusOf(door, { ...PAY, ...elsewhere }), 202, 'a program may come from anywhere');
});
