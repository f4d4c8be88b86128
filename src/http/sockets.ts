/**
 * How a server reads and writes the sockets that it accepts: directly, without what Node's streams add to
 * each read and write, or the documented way where this Node is not as the direct one expects.
 *
 * The direct way uses parts of Node's sockets that are private, though long the same: `Socket._handle`,
 * `Socket._server` and the handle's `writeLatin1String`. So a server tries it once before it listens, and
 * what does not behave as expected there is not used.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  connect,
  createServer,
  type Server as NetServer,
  Socket,
  type SocketConstructorOpts,
} from 'node:net';

export interface SocketAccess {
  /**
   * The socket to use in place of `accepted`, which is paused: it reads from now on. The bytes are only good
   * until `onBytes` returns.
   */
  take(accepted: Socket, onBytes: (bytes: Buffer, byteCount: number) => void): Socket;
  /**
   * Writes bytes, or one byte for each character. False: the kernel did not take all of it; `onDrain` is
   * called when it has. Bytes are not copied, so they must never change.
   */
  write(socket: Socket, data: string | Buffer, onDrain: () => void): boolean;
}

function writeToStream(socket: Socket, data: string | Buffer, onDrain: () => void): boolean {
  let isLate = false;
  socket.write(data, 'latin1', error => {
    if (isLate && !error) onDrain();
  });
  isLate = socket.writableLength > 0;
  return !isLate;
}

/** Through Node's streams: about twice the CPU of the direct way. */
export const DOCUMENTED: SocketAccess = {
  take(accepted, onBytes) {
    accepted.on('data', (bytes: Buffer) => onBytes(bytes, bytes.length));
    return accepted.resume();
  },
  write: writeToStream,
};

/** What lies inside a socket; not in the types. */
type Inside = Socket & { _handle: Handle | null; _server: unknown };

interface Handle {
  writeLatin1String(request: null, text: string): number | WriteRequest;
}

/** A write that the kernel did not take at once. */
interface WriteRequest {
  oncomplete: (status: number) => void;
}

/** What is read goes here first, whichever socket it comes from: it is parsed before the next read. */
const INPUT = Buffer.allocUnsafeSlow(64 * 1024);

export const DIRECT: SocketAccess = {
  /**
   * Left alone, a socket allocates 64 KiB for each read and then cuts it down to what came: of the user CPU
   * of a server that answers a constant this was one half (3.6 against 1.7 µs for each request). `onread` is
   * documented for sockets that a program makes itself, so the accepted handle is given to one of those.
   */
  take(accepted, onBytes) {
    const inside = accepted as Inside;
    const options: SocketConstructorOpts = {
      handle: inside._handle as unknown as NonNullable<SocketConstructorOpts['handle']>,
      allowHalfOpen: true,
      onread: {
        buffer: INPUT,
        callback: byteCount => {
          onBytes(INPUT, byteCount);
          return true;
        },
      },
    };
    const socket = new Socket(options) as Inside;
    // The server counts its connections through this; see `maxConnections` and `close`.
    socket._server = inside._server;
    inside._handle = null;
    inside._server = null;
    return socket;
  },

  /**
   * A text that goes past the stream costs no object and no tick of its own: a write and its bookkeeping
   * were 250 of the 300 bytes of garbage that a request left behind.
   */
  write(socket, data, onDrain) {
    const handle = (socket as Inside)._handle;
    if (typeof data !== 'string' || handle === null || socket.writableLength > 0) {
      return writeToStream(socket, data, onDrain);
    }
    const result = handle.writeLatin1String(null, data);
    if (result === 0) return true;
    if (typeof result === 'number') {
      socket.destroy();
      return true;
    }
    result.oncomplete = status => {
      if (status < 0) socket.destroy();
      else onDrain();
    };
    return false;
  },
};

const PROBE_TIMEOUT_MS = 2_000;

/** Tries the direct way. Rejects with what is not as expected. */
export async function probeDirect(timeoutMs = PROBE_TIMEOUT_MS): Promise<void> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const sockets: Socket[] = [];
  const failure = Promise.withResolvers<never>();
  const own = (socket: Socket): Socket => {
    sockets.push(socket);
    return socket.on('error', failure.reject);
  };
  const timeout = setTimeout(() => failure.reject(new Error('what is sent does not arrive')), timeoutMs);
  try {
    await Promise.race([converse(server, own), failure.promise]);
  } finally {
    clearTimeout(timeout);
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

/** One question and one answer over a connection of this process to itself. */
async function converse(server: NetServer, own: (socket: Socket) => Socket): Promise<void> {
  // In Linux's abstract namespace, so there is no file to remove; no other process makes the same name.
  const path = `\0soquete-probe-${process.pid}-${process.hrtime.bigint()}`;
  await once(server.listen(path), 'listening');
  const client = own(connect(path));
  const [accepted] = (await once(server, 'connection')) as [Socket];
  own(accepted);

  const question = Promise.withResolvers<string>();
  const socket = DIRECT.take(accepted, (bytes, byteCount) =>
    question.resolve(bytes.toString('latin1', 0, byteCount)),
  );
  own(socket);
  client.write('question');
  assert.equal(await question.promise, 'question', 'other bytes are read than were sent');

  assert.ok(writesAtOnce(socket, 'ans'), 'a write makes an object before the kernel is asked');
  const isTaken = DIRECT.write(socket, 'wer', () => {});
  assert.ok(isTaken, 'a short write is not taken at once');
  socket.end();
  let answer = '';
  client.setEncoding('latin1').on('data', text => {
    answer += text;
  });
  await once(client, 'end');
  assert.equal(answer, 'answer', 'other bytes are written than were given');

  assert.equal(await connectionsOf(server), 1, 'an open connection is not counted');
  socket.destroy();
  assert.equal(await connectionsOf(server), 0, 'a closed connection is counted');
}

/**
 * Whether this Node hands texts to the kernel first and makes an object for a write only if some of it is
 * left: then so can we. Known from a write of its own; to try would end the process where it does not.
 */
function writesAtOnce(socket: Socket, text: string): boolean {
  const handle = (socket as Inside)._handle!;
  const original = handle.writeLatin1String;
  let atOnce = false;
  handle.writeLatin1String = (request: unknown, data) => {
    atOnce = request === null;
    return original.call(handle, request as null, data);
  };
  socket.write(text, 'latin1');
  Reflect.deleteProperty(handle, 'writeLatin1String');
  return atOnce;
}

function connectionsOf(server: NetServer): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}
