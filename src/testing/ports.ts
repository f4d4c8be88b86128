import { type AddressInfo, createServer } from 'node:net';

type Ports<Count extends number, Found extends number[] = []> = Found['length'] extends Count
  ? Found
  : Ports<Count, [...Found, number]>;

/** Ports that were free a moment ago: all held at once, so that they differ. */
export async function freePorts<Count extends number>(count: Count): Promise<Ports<Count>> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject).listen(0, '0.0.0.0', resolve);
      });
      return server;
    }),
  );
  const ports = servers.map(server => (server.address() as AddressInfo).port);
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports as Ports<Count>;
}

export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port;
}
