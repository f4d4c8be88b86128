/** What the launcher asks before and while the stack comes up: is a port free, does an address answer. */
import { get } from 'node:http';
import { connect, createServer } from 'node:net';

export type ServiceAddress =
  | { readonly socketPath: string }
  | { readonly host: string; readonly port: number };

const ANSWER_TIMEOUT_MS = 1_000;

/** Why nothing can listen on a port, or undefined when it is free. */
export function portProblem(host: string, port: number): Promise<string | undefined> {
  return new Promise(resolve => {
    const probe = createServer();
    probe.once('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'EADDRINUSE') resolve('is in use');
      else resolve(code === 'EACCES' ? 'is for the superuser only' : `cannot be used (${code})`);
    });
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
}

/** Whether somebody takes connections there. */
export function accepts(address: ServiceAddress): Promise<boolean> {
  return new Promise(resolve => {
    const where = 'socketPath' in address ? { path: address.socketPath } : address;
    const socket = connect(where, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => {
      socket.destroy();
      resolve(false);
    });
  });
}

/** The name of the instance that answers `GET /health` there with 200, undefined when none does. */
export function healthyInstance(address: ServiceAddress): Promise<string | undefined> {
  return new Promise(resolve => {
    const request = get({ ...address, path: '/health', agent: false, timeout: ANSWER_TIMEOUT_MS }, answer => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', text => {
        body += text;
      });
      answer.on('error', () => resolve(undefined));
      answer.on('end', () => resolve(answer.statusCode === 200 ? instanceIn(body) : undefined));
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(undefined));
  });
}

function instanceIn(body: string): string | undefined {
  try {
    const { instance } = JSON.parse(body);
    return typeof instance === 'string' ? instance : undefined;
  } catch {
    return undefined; // No JSON: something else answers there.
  }
}
