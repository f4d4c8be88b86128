import { connect } from 'node:net';

export interface Sending {
  /** The client ends its side behind the last piece. */
  readonly ends?: boolean;
  /** A request that is answered without a body: sent first, and the pieces once it is answered. */
  readonly behind?: string;
  /** What the output matches when it is whole, of a connection that stays open. */
  readonly until?: RegExp;
}

/**
 * Sends `pieces` (texts with one character for each byte) as they are, one write for each, to a port or a
 * socket's path. Returns all that comes until the other side closes.
 */
export function send(
  where: number | string,
  pieces: readonly (string | Uint8Array)[],
  { ends = false, behind, until }: Sending = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = typeof where === 'number' ? connect(where, '127.0.0.1') : connect(where);
    const sendPieces = (): void => {
      for (const piece of pieces) socket.write(piece, 'latin1');
      if (ends) socket.end();
    };
    let answer = '';
    let isWaiting = behind !== undefined;
    socket.setNoDelay();
    if (behind === undefined) sendPieces();
    else socket.write(behind, 'latin1');
    socket.setEncoding('latin1').on('data', text => {
      answer += text;
      if (until?.test(answer)) socket.destroy();
      if (!isWaiting || !answer.endsWith('\r\n\r\n')) return;
      isWaiting = false;
      sendPieces();
    });
    socket.once('close', () => resolve(answer));
    // One that refuses what it reads does not wait for the rest.
    socket.once('error', error => (answer === '' ? reject(error) : resolve(answer)));
    socket.setTimeout(90_000, () => {
      reject(new Error(`no end of the answer: ${answer}`));
      socket.destroy();
    });
  });
}
