/**
 * Reading and writing sockets without what Node's streams add to each read and write.
 *
 * Both ways go through Node's own objects and fall back to the documented way where they are not as expected.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';

/** What lies inside a socket; not in the types, long in Node. */
type Inside = Socket & { _handle: Handle | null; _server: unknown };

interface Handle {
  writeLatin1String(request: null, text: string): number | WriteRequest;
}

/** A write that the kernel did not take at once. */
interface WriteRequest {
  oncomplete: (status: number) => void;
  writeStatus?: number | null;
}

/**
 * A socket that reads into `buffer` and tells how much, in place of `accepted`.
 *
 * Left alone, a socket allocates 64 KiB for each read and then cuts it down to what came: of the user CPU of
 * a server that answers a constant this was one half (3.6 against 1.7 µs for each request). `onread` is
 * documented for sockets that a program makes itself, so the accepted handle is given to one of those.
 */
export function readInto(buffer: Buffer, accepted: Socket, onBytes: (byteCount: number) => void): Socket {
  const inside = accepted as Inside;
  const options: SocketConstructorOpts = {
    handle: inside._handle as unknown as NonNullable<SocketConstructorOpts['handle']>,
    allowHalfOpen: true,
    onread: {
      buffer,
      callback: byteCount => {
        onBytes(byteCount);
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
}

/**
 * Whether this Node hands texts to the kernel first and makes an object for a write only if some of it is
 * left: then so can we. Known from the first write, which is Node's.
 */
let writesAtOnce: boolean | undefined;

/**
 * Writes one character for each byte. False: the kernel did not take all of it; `onDrain` is called, or the
 * socket emits `drain`, when it has. What goes past the stream costs no object and no tick of its own: a
 * write and its bookkeeping were 250 of the 300 bytes of garbage that a request left behind.
 */
export function write(socket: Socket, text: string, onDrain: () => void): boolean {
  const handle = (socket as Inside)._handle;
  if (handle === null || !writesAtOnce || socket.writableLength > 0) return writeAsNode(socket, handle, text);
  const result = handle.writeLatin1String(null, text);
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
}

function writeAsNode(socket: Socket, handle: Handle | null, text: string): boolean {
  if (handle === null || writesAtOnce !== undefined) return socket.write(text, 'latin1');
  const original = handle.writeLatin1String;
  handle.writeLatin1String = (request: unknown, data) => {
    writesAtOnce = request === null;
    return original.call(handle, request as null, data);
  };
  try {
    return socket.write(text, 'latin1');
  } finally {
    Reflect.deleteProperty(handle, 'writeLatin1String');
  }
}
