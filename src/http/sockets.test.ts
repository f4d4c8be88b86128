import assert from 'node:assert/strict';
import { syncBuiltinESMExports } from 'node:module';
import net, { Socket, type SocketConstructorOpts } from 'node:net';
import { type TestContext, test } from 'node:test';
import { probeDirect } from './sockets.ts';

/** A busy machine may take longer than a server waits. */
const PATIENCE_MS = 90_000;

test("this Node's sockets are as the direct way expects", () => probeDirect(PATIENCE_MS));

/** Until the test ends, sockets that a program makes itself are of this class. */
function replaceSocket(context: TestContext, replacement: typeof Socket): void {
  const original = Socket;
  net.Socket = replacement;
  syncBuiltinESMExports();
  context.after(() => {
    net.Socket = original;
    syncBuiltinESMExports();
  });
}

test('a Node that reads elsewhere than into the given buffer is found out', async context => {
  class Deaf extends Socket {
    constructor({ onread, ...options }: SocketConstructorOpts) {
      super(options);
    }
  }
  replaceSocket(context, Deaf);
  await assert.rejects(probeDirect(50), /does not arrive/);
});

test('a Node whose handles write no texts is found out', async context => {
  class Mute extends Socket {
    constructor(options: SocketConstructorOpts) {
      super(options);
      Reflect.set(options.handle!, 'writeLatin1String', undefined);
    }
  }
  replaceSocket(context, Mute);
  await assert.rejects(probeDirect(PATIENCE_MS), TypeError);
});

test('a Node that makes an object for each write is found out', async context => {
  const { _write } = Socket.prototype;
  context.mock.method(Socket.prototype, '_write', function (this: Socket, data, encoding, done) {
    // As bytes, which do not go through the handle's writer of texts.
    _write.call(this, Buffer.from(data, encoding), 'buffer' as BufferEncoding, done);
  } satisfies typeof _write);
  await assert.rejects(probeDirect(PATIENCE_MS), /makes an object/);
});
