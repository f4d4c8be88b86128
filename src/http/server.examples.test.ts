/**
 * Every byte example over a real socket, used directly and the documented way: what comes is what the
 * connection says without one, byte for byte.
 */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { readExamples } from '../testing/examples.ts';
import { DOOR, driveConnection, FakePayments } from '../testing/http.ts';
import { OperationsDoor } from './operations-door.ts';
import { routes } from './routes.ts';
import { Server, type ServerOptions } from './server.ts';

/** Ends what stays open. */
const LAST = Buffer.from('GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');

const WAYS: readonly (readonly [string, Pick<ServerOptions, 'probe'>])[] = [
  ['directly', {}],
  ['the documented way', { probe: () => Promise.reject(new Error('not as expected')) }],
];

/** All that comes for `bytes` until the server closes. */
function exchange(port: number, bytes: Buffer, ends: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let output = '';
    socket.setEncoding('latin1').on('data', text => {
      output += text;
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(output));
    socket.on('error', reject);
    if (ends) socket.end(bytes);
    else socket.write(bytes);
  });
}

/** Without what may differ: the date, and interim answers, which are due only where a body is late. */
const lasting = (output: string): string =>
  output.replaceAll('HTTP/1.1 100 Continue\r\n\r\n', '').replaceAll(/^Date: .*\r$/gm, 'Date: \r');

for (const [name, way] of WAYS) {
  test(`every example is answered over a socket used ${name} as without one`, async context => {
    const payments = new FakePayments();
    const server = new Server({
      handler: routes({ payments, allowPurge: false, door: new OperationsDoor(DOOR) }),
      ...way,
    });
    const { port } = (await server.listen({ host: '127.0.0.1', port: 0 })) as { port: number };
    context.after(() => server.close(0));
    for (const { name: example, bytes, ends } of readExamples()) {
      const input = ends ? bytes : Buffer.concat([bytes, LAST]);
      payments.known.clear();
      const alone = await driveConnection([input], {
        handler: routes({ payments: new FakePayments(), allowPurge: false, door: new OperationsDoor(DOOR) }),
        ends,
      });
      assert.equal(lasting(await exchange(port, input, ends)), lasting(alone.output), example);
    }
  });
}
