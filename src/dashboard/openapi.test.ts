/**
 * Each documented answer is given by the server as it is documented, and nothing is given that is not
 * documented.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { Unavailable } from '../domain/unavailable.ts';
import { requestTimeoutMs } from '../http/limits.ts';
import { OperationsDoor } from '../http/operations-door.ts';
import { PROBLEM_KINDS } from '../http/problem.ts';
import { commitOf, routes } from '../http/routes.ts';
import { Server } from '../http/server.ts';
import { VERSION } from '../telemetry/version.ts';
import { DOOR, FakePayments } from '../testing/http.ts';
import { Schemas } from '../testing/json-schema.ts';
import { OPENAPI } from './openapi.ts';
import { createPages } from './pages.ts';
import type { DashboardSource } from './source.ts';

const ID = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';
const REQUEST_ID = '7f3e9b5c';
const PAYMENT = JSON.stringify({ correlationId: ID, amount: 19.9 });

class Payments extends FakePayments {
  isAway = false;

  override find(id: Uint8Array) {
    return this.isAway ? Promise.reject(new Unavailable('away')) : super.find(id);
  }

  override summary() {
    return this.isAway ? Promise.reject(new Unavailable('away')) : super.summary();
  }

  override purge() {
    return this.isAway ? Promise.reject(new Unavailable('away')) : super.purge();
  }
}

const payments = new Payments();
const allowed = { purge: true };
const door = { ...DOOR, opsToken: undefined as string | undefined };
const NOBODY = { has: () => false };
let lateMs = 0;
let port = 0;
let server: Server;

before(async () => {
  const observed = {
    held: async () => [0, 0, 0, 0],
    instances: () => [],
    shared: () => ({ health: [], checker: '' }),
    readiness: () => payments.readiness(),
    controls: undefined,
  } as Partial<DashboardSource> as DashboardSource;
  const pages = createPages(observed);
  server = new Server({
    handler: (...request) =>
      routes({ payments, allowPurge: allowed.purge, door: new OperationsDoor(door), ...pages })(...request),
    commit: commitOf(payments),
    clock: { now: () => performance.now() + lateMs, wallMs: () => Date.now() },
  });
  const bound = await server.listen({ host: '127.0.0.1', port: 0 });
  port = 'port' in bound ? bound.port : 0;
});

after(() => server.close(0));

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** `whileUnfinished`: called when the server has read the head; the last byte of the body is never sent. */
function ask(
  method: string,
  path: string,
  body?: string,
  whileUnfinished?: () => void,
  more: Record<string, string> = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const isUnfinished = whileUnfinished !== undefined;
    const headers = {
      'x-request-id': REQUEST_ID,
      ...more,
      ...(body === undefined ? {} : { 'content-length': body.length + (isUnfinished ? 1 : 0) }),
      ...(isUnfinished ? { expect: '100-continue' } : {}),
    };
    const asked = request({ port, method, path, headers, agent: false }, answer => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', piece => {
        text += piece;
      });
      answer.on('error', reject);
      answer.on('end', () => {
        const type = String(answer.headers['content-type'] ?? '').split(';')[0]!;
        resolve({ status: answer.statusCode ?? 0, type, headers: answer.headers, body: text });
        asked.destroy();
      });
    });
    asked.on('error', error => reject(error));
    if (!isUnfinished) {
      asked.end(body);
      return;
    }
    asked.once('continue', () => {
      asked.write(body);
      whileUnfinished();
    });
    asked.flushHeaders();
  });
}

const away = (method: string, path: string) => async (): Promise<Reply> => {
  payments.isAway = true;
  try {
    return await ask(method, path);
  } finally {
    payments.isAway = false;
  }
};

const withToken = (method: string, path: string) => async (): Promise<Reply> => {
  door.opsToken = 'secret';
  return ask(method, path).finally(() => {
    door.opsToken = undefined;
  });
};

/** How to be given each documented answer. */
const PROVOKE: Readonly<Record<string, () => Promise<Reply>>> = {
  'post /payments 202': () => ask('POST', '/payments', PAYMENT),
  'post /payments 400': () => ask('POST', '/payments', ''),
  'post /payments 408': () =>
    ask('POST', '/payments', PAYMENT, () => {
      lateMs = requestTimeoutMs + 1000;
    }).finally(() => {
      lateMs = 0;
    }),
  'post /payments 409': async () => {
    await ask('POST', '/payments', PAYMENT);
    return ask('POST', '/payments', PAYMENT.replace('19.9', '20'));
  },
  'post /payments 413': () => ask('POST', '/payments', ' '.repeat(16_385)),
  'post /payments 422': () => ask('POST', '/payments', PAYMENT.replace('19.9', '0')),
  'post /payments 503': async () => {
    payments.isFull = true;
    return ask('POST', '/payments', PAYMENT).finally(() => {
      payments.isFull = false;
    });
  },
  'post /payments 403': () =>
    ask('POST', '/payments', PAYMENT, undefined, { origin: 'https://evil.example' }),
  'get /payments/{correlationId} 200': async () => {
    await ask('POST', '/payments', PAYMENT);
    return ask('GET', `/payments/${ID}`);
  },
  'get /payments/{correlationId} 404': () => ask('GET', '/payments/5a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3'),
  'get /payments/{correlationId} 503': away('GET', `/payments/${ID}`),
  'get /payments-summary 200': () => ask('GET', '/payments-summary?from=2026-07-10T12:34:56.000Z'),
  'get /payments-summary 400': () => ask('GET', '/payments-summary?from=yesterday'),
  'get /payments-summary 405': () => ask('POST', '/payments-summary', ''),
  'get /payments-summary 503': away('GET', '/payments-summary'),
  'post /purge-payments 200': () => ask('POST', '/purge-payments', ''),
  'post /purge-payments 403': async () => {
    allowed.purge = false;
    return ask('POST', '/purge-payments', '').finally(() => {
      allowed.purge = true;
    });
  },
  'post /purge-payments 503': away('POST', '/purge-payments'),
  'post /purge-payments 401': withToken('POST', '/purge-payments'),
  ...Object.fromEntries(
    ['/', '/metrics'].flatMap(path => [
      [`get ${path} 200`, () => ask('GET', path)],
      [`get ${path} 401`, withToken('GET', path)],
      [
        `get ${path} 403`,
        async () => {
          door.opsFrom = NOBODY;
          return ask('GET', path).finally(() => {
            door.opsFrom = DOOR.opsFrom;
          });
        },
      ],
    ]),
  ),
  'get /livez 200': () => ask('GET', '/livez'),
  'get /openapi.json 200': () => ask('GET', '/openapi.json'),
  'get /problems 200': () => ask('GET', '/problems'),
  ...Object.fromEntries(
    ['/health', '/readyz'].flatMap(path => [
      [`get ${path} 200`, () => ask('GET', path)],
      [
        `get ${path} 503`,
        async () => {
          payments.isReady = false;
          return ask('GET', path).finally(() => {
            payments.isReady = true;
          });
        },
      ],
    ]),
  ),
};

interface Documented {
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Readonly<
    Record<string, { readonly schema: { readonly $ref: string }; readonly example: unknown }>
  >;
}

const schemas = new Schemas(OPENAPI);

/** What stands before a backend says, or what any request may be answered. */
const NOT_OURS = ['429', 'default'];

const documented = Object.entries(OPENAPI.paths).flatMap(([path, methods]) =>
  Object.entries(methods).flatMap(([method, { responses }]) =>
    Object.entries(responses as Record<string, Documented>)
      .filter(([status]) => !NOT_OURS.includes(status))
      .map(([status, answer]) => [`${method} ${path} ${status}`, Number(status), answer] as const),
  ),
);

for (const [name, status, answer] of documented) {
  test(`${name} is as documented`, async () => {
    const provoke = PROVOKE[name];
    assert.ok(provoke !== undefined, 'nothing here provokes it');
    const reply = await provoke();
    assert.equal(reply.status, status);
    for (const field of Object.keys(answer.headers ?? {}))
      assert.ok(reply.headers[field.toLowerCase()], field);
    assert.ok(Object.hasOwn(answer.headers ?? {}, 'X-Request-Id'));
    assert.equal(reply.headers['x-request-id'], REQUEST_ID);
    const [[type, content] = ['', undefined]] = Object.entries(answer.content ?? {});
    assert.equal(reply.type, type);
    if (content === undefined) {
      assert.equal(reply.body, '');
      return;
    }
    if (!type.endsWith('json')) return;
    const body = JSON.parse(reply.body);
    schemas.assertFits(body, content.schema.$ref, 'the answer');
    if (type === 'application/problem+json') assert.deepEqual(body, content.example);
  });
}

test('every way to provoke an answer belongs to a documented one', () => {
  const names = new Set<string>(documented.map(([name]) => name));
  assert.deepEqual(
    Object.keys(PROVOKE).filter(name => !names.has(name)),
    [],
  );
});

test('every operation takes an id, and every reference leads somewhere', () => {
  const text = JSON.stringify(OPENAPI);
  const operations = Object.values(OPENAPI.paths).flatMap(methods => Object.values(methods));
  for (const { summary, parameters } of operations) {
    const all: readonly { readonly $ref?: string }[] = parameters;
    assert.ok(
      all.some(({ $ref }) => $ref === '#/components/parameters/RequestId'),
      summary,
    );
  }
  for (const [, path] of text.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
    const place = path!.split('/').reduce<unknown>((at, name) => Reflect.get(Object(at), name), OPENAPI);
    assert.equal(typeof place, 'object', path!);
  }
});

test('the type of every problem is a page', async () => {
  for (const kind of PROBLEM_KINDS) {
    const { status, type, body } = await ask('GET', `/problems/${kind}`);
    assert.deepEqual([status, type], [200, 'text/html'], kind);
    assert.match(body, /How to fix it/);
  }
});

test('the version is that of the package', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  assert.equal(VERSION, version);
});
