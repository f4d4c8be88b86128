/** HAProxy with a configuration made for one measurement, and its constant answer, the floor of everything behind it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, type Children, freePort, listening, program } from './children.ts';

/** As in haproxy/haproxy.cfg: so that what is compared differs in nothing but in what is compared. */
const COMMON = `
global
    nbthread 1
    maxconn 4096
    no strict-limits
    hard-stop-after 2s
defaults
    timeout connect 1s
    timeout queue 2s
    timeout http-request 10s
    timeout http-keep-alive 60s
    timeout client 60s
    timeout server 15s
    retries 3
    option redispatch 1
`;

export interface Door {
  readonly port: number;
  readonly child: Child;
}

/** HAProxy that answers 202 itself: nothing behind it can be faster. */
export function constantProxy(children: Children): Promise<Door> {
  return start(
    children,
    port => `${COMMON}
frontend floor
    mode http
    bind 127.0.0.1:${port}
    http-request return status 202
`,
  );
}

/** HAProxy before servers at `addresses` (`unix@/path` or `host:port`). */
export function balancer(
  children: Children,
  mode: 'http' | 'tcp',
  addresses: readonly string[],
): Promise<Door> {
  const servers = addresses.map((address, at) => `    server backend-${at + 1} ${address}`).join('\n');
  const http = '\n    retry-on conn-failure empty-response\n    http-reuse always';
  return start(
    children,
    port => `${COMMON}
frontend payments
    mode ${mode}
    bind 127.0.0.1:${port}
    default_backend backends
backend backends
    mode ${mode}
    balance roundrobin${mode === 'http' ? http : ''}
${servers}
`,
  );
}

async function start(children: Children, configuration: (port: number) => string): Promise<Door> {
  const port = await freePort();
  const file = join(children.directory, `haproxy-${port}.cfg`);
  writeFileSync(file, configuration(port));
  const child = children.spawn('haproxy', program('haproxy') ?? 'haproxy', ['-f', file]);
  await listening({ host: '127.0.0.1', port }, child);
  return { port, child };
}
