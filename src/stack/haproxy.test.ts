/** HAProxy's configuration, with no backend behind it: what it accepts and how it refuses. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { haproxy, withoutHaproxy as skip, startProxy } from '../testing/haproxy.ts';
import { until } from '../testing/until.ts';

import { PROJECT_FOLDER } from './project.ts';

for (const file of ['haproxy.cfg', 'tcp.cfg', 'cells.cfg', 'hosts.cfg']) {
  test(`${file} is valid, without a warning`, { skip }, () => {
    const { status, stderr } = spawnSync(haproxy, ['-c', '-f', join('haproxy', file)], {
      cwd: PROJECT_FOLDER,
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    assert.doesNotMatch(stderr, /WARNING|ALERT/);
  });
}

test('no time-out is shorter than that of an idle connection, which it would end as well', () => {
  for (const file of ['haproxy.cfg', 'cells.cfg', 'hosts.cfg']) {
    const text = readFileSync(join(PROJECT_FOLDER, 'haproxy', file), 'utf8');
    const seconds = (name: string): number =>
      Number(new RegExp(`^ *timeout ${name} +(\\d+)s$`, 'm').exec(text)?.[1]);
    assert.equal(seconds('http-keep-alive'), 60, file);
    assert.ok(seconds('client') > 60, file);
  }
});

/** Runs HAProxy in HTTP mode in front of a folder without sockets; `use` gets its address and the folder. */
async function withProxy(use: (url: string, folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'soquete-'));
  try {
    await using proxy = await startProxy('haproxy.cfg', { SOQUETE_RUN: folder });
    await use(`http://127.0.0.1:${proxy.port}`, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Refusal {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Posts on a connection of its own: HAProxy may close one that has had an answer before without a word. */
function post(url: string, headers: Record<string, string | string[]> = {}): Promise<Refusal> {
  return new Promise((resolve, reject) => {
    const posting = request(url, { method: 'POST', agent: false, headers }, answer => {
      let body = '';
      answer.setEncoding('utf8').on('data', text => {
        body += text;
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }));
    });
    posting.on('error', reject);
    posting.end('{}');
  });
}

function assertProblem({ status, headers, body }: Refusal, wanted: number): void {
  assert.equal(status, wanted);
  assert.equal(headers['content-type'], 'application/problem+json');
  assert.ok(headers.date);
  const { type, title, status: said, detail } = JSON.parse(body);
  assert.equal(said, wanted);
  for (const text of [type, title, detail]) assert.ok(typeof text === 'string' && text !== '');
}

test('HAProxy without a backend answers 503, as a problem that says when to come again', { skip }, () =>
  withProxy(async url => {
    const answer = await post(`${url}/payments`);
    assert.equal(answer.headers['retry-after'], '1');
    assertProblem(answer, 503);
  }),
);

test('a refusal of HAProxy echoes the id of its request, by the rule of the backends', { skip }, () =>
  withProxy(async url => {
    const echo = async (id: string | string[]): Promise<unknown> => {
      const { status, headers } = await post(`${url}/payments`, { 'X-Request-Id': id });
      assert.equal(status, 503);
      return headers['x-request-id'];
    };
    assert.equal(await echo('7f3e/B:0=_c'), '7f3e/B:0=_c');
    assert.equal(await echo('~'.repeat(128)), '~'.repeat(128));
    for (const id of ['~'.repeat(129), 'a b', '', ['a', 'a']]) assert.equal(await echo(id), undefined);
    assert.equal((await post(`${url}/payments`)).headers['x-request-id'], undefined);
  }),
);

test('a backend that breaks off its answer is a 502, as a problem', { skip }, () =>
  withProxy(async (url, folder) => {
    const backend = createServer(socket => {
      socket.on('error', () => {});
      socket.on('data', bytes => {
        // Those of both checks, or HAProxy may have taken it out again by the time that it is asked.
        const isCheck = bytes.includes('GET /');
        socket.end(isCheck ? 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n' : 'HTTP/1.1 202 Acc');
      });
    });
    await new Promise<void>(resolve => backend.listen(join(folder, 'backend-1.sock'), resolve));
    try {
      await until(async () => (await fetch(`${url}/health`)).status === 200, 'HAProxy to find the backend');
      let answer = await post(`${url}/payments`);
      // On a machine that is too busy for its checks the backend may count as down for a moment.
      await until(async () => {
        if (answer.status === 503) answer = await post(`${url}/payments`);
        return answer.status !== 503;
      }, 'the backend to be asked');
      assertProblem(answer, 502);
    } finally {
      backend.close();
    }
  }),
);
