/** The door before several hosts that share a database. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { withoutHaproxy as skip, startProxy } from '../testing/haproxy.ts';
import { until } from '../testing/until.ts';

/** Says which host it is, where it is asked for a payment, and whether it is well. */
async function host(name: string) {
  let isWell = true;
  let isBroken = false;
  const unanswered = new Set<string | undefined>();
  const server = createServer((request, response) => {
    const status = isWell ? 200 : 503;
    request.resume().on('end', () => {
      if (!isBroken || request.url === '/health') response.writeHead(status).end(name);
      else {
        unanswered.add(request.headers['x-request-id']?.toString());
        if (request.url !== '/payments') request.socket.destroy();
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** The ids of requests that it got and did not answer. */
    unanswered,
    falls: () => {
      isWell = false;
    },
    /** It leaves payments without an answer, and breaks the connections of other requests. */
    breaks: () => {
      isBroken = true;
    },
    end: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

test('a request goes to a host that is well, and to another one if its host is gone', { skip }, async () => {
  const hosts = [await host('one'), await host('two')] as const;
  try {
    await using door = await startProxy('hosts.cfg', {
      SOQUETE_HOST_1: hosts[0].address,
      SOQUETE_HOST_2: hosts[1].address,
    });
    const ask = async (): Promise<string> => {
      const response = await fetch(`http://127.0.0.1:${door.port}/payments/1`);
      return `${response.status} ${await response.text()}`;
    };
    await until(async () => (await ask()) === '200 one', 'the first to be asked');
    await until(async () => (await ask()) === '200 two', 'the second to be asked');
    hosts[0].end();
    // From the first moment on, before any check has found out. On a machine that is too busy for the checks
    // the other host may count as down for a moment: a refusal then, never a broken answer.
    for (let time = 0; time < 20; time++) assert.match(await ask(), /^(?:200 two$|503 \{)/);
    await until(async () => (await ask()) === '200 two', 'the second to be asked again');
    hosts[1].falls();
    await until(async () => (await ask()).startsWith('503 {'), 'nobody to be asked any more');
  } finally {
    for (const each of hosts) each.end();
  }
});

test('a payment without an answer goes to another host as well, and nothing else that changes something', {
  skip,
}, async () => {
  const hosts = [await host('one'), await host('two')] as const;
  try {
    await using door = await startProxy('hosts.cfg', {
      SOQUETE_HOST_1: hosts[0].address,
      SOQUETE_HOST_2: hosts[1].address,
    });
    const [broken] = hosts;
    broken.breaks();
    /** How a request ended that the broken host got. */
    const endOf = async (path: string): Promise<string> => {
      for (;;) {
        const id = randomUUID();
        const headers = { 'X-Request-Id': id };
        const response = await fetch(`http://127.0.0.1:${door.port}${path}`, { method: 'POST', headers });
        const text = await response.text();
        if (broken.unanswered.has(id)) return `${response.status} ${text}`;
      }
    };
    await until(
      async () => (await endOf('/payments')) === '200 two',
      'the other host to answer in its place',
    );
    await until(
      async () => (await endOf('/purge-payments')).startsWith('502 {'),
      'the end of the connection',
    );
  } finally {
    for (const each of hosts) each.end();
  }
});
