import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer, type Server } from 'node:net';

type Ports<Count extends number, Found extends number[] = []> = Found['length'] extends Count
  ? Found
  : Ports<Count, [...Found, number]>;

/**
 * Below the ports that systems give to whom names none (from 32,768 on under Linux). One of those may belong
 * to anybody's connection by the time a server starts, or while one that was killed is down.
 */
const [LOWEST, END] = [20_000, 32_000];

/**
 * Ports that were free a moment ago, and that no other process of the tests is given as long as this one
 * lives: the server that one is for takes a while to start.
 */
export async function freePorts<Count extends number>(count: Count): Promise<Ports<Count>> {
  const servers = new Map<number, Server>();
  while (servers.size < count) {
    const port = randomInt(LOWEST, END);
    const server = (await isClaimed(port)) ? undefined : await serverOn(port);
    if (server !== undefined) servers.set(port, server);
  }
  await Promise.all([...servers.values()].map(server => new Promise(resolve => server.close(resolve))));
  return [...servers.keys()] as Ports<Count>;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port;
}

/** Claims a port, by its namesake of UDP, until this process ends; true: another one has it. */
function isClaimed(port: number): Promise<boolean> {
  const claim = createSocket('udp4').unref();
  return new Promise((resolve, reject) => {
    claim.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(true);
      else reject(error);
    });
    claim.bind({ port, address: '127.0.0.1', exclusive: true }, () => resolve(false));
  });
}

/** Undefined where the port is taken. */
function serverOn(port: number): Promise<Server | undefined> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(port, '0.0.0.0', () => resolve(server));
  });
}
