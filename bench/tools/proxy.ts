/**
 * HAProxy with a configuration made for one measurement, and its constant answer, the floor of everything
 * behind it.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../src/testing/ports.ts';
import { type ChildProcesses, listening, program, type RunningProcess } from '../../src/testing/processes.ts';

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

export interface BenchProxy {
  readonly port: number;
  readonly child: RunningProcess;
}

/** HAProxy that answers 202 itself, to clients on a port: nothing behind it can be faster. */
export function constantProxy(children: ChildProcesses): Promise<BenchProxy> {
  return start(children, port => constant(`127.0.0.1:${port}`));
}

/** The same on Unix sockets, for a proxy in front of it. */
export async function constantProxyOn(
  children: ChildProcesses,
  paths: readonly string[],
): Promise<RunningProcess> {
  const child = spawn(children, 'constant', constant(paths.map(path => `unix@${path}`).join(',')));
  for (const path of paths) await listening(child, { socketPath: path });
  return child;
}

/** An auditor's script reads it. */
const NOTHING = JSON.stringify({
  default: { totalRequests: 0, totalAmount: 0 },
  fallback: { totalRequests: 0, totalAmount: 0 },
});

const constant = (addresses: string): string => `${COMMON}
frontend floor
    mode http
    bind ${addresses}
    http-request return status 200 content-type application/json string '${NOTHING}' if { path /payments-summary }
    http-request return status 202
`;

export type Balancer = (children: ChildProcesses, addresses: readonly string[]) => Promise<BenchProxy>;

/** Starts HAProxy before servers at `addresses` (`unix@/path` or `host:port`). */
export const balancer =
  (mode: 'http' | 'tcp'): Balancer =>
  (children, addresses) => {
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
  };

/** HAProxy in HTTP mode before servers on Unix sockets; the URL to load. */
export async function balancedUrl(children: ChildProcesses, paths: readonly string[]): Promise<string> {
  const addresses = paths.map(path => `unix@${path}`);
  const { port } = await balancer('http')(children, addresses);
  return `http://127.0.0.1:${port}`;
}

async function start(children: ChildProcesses, configuration: (port: number) => string): Promise<BenchProxy> {
  const port = await freePort();
  const child = spawn(children, String(port), configuration(port));
  await listening(child, { host: '127.0.0.1', port });
  return { port, child };
}

function spawn(children: ChildProcesses, name: string, configuration: string): RunningProcess {
  const file = join(children.directory, `haproxy-${name}.cfg`);
  writeFileSync(file, configuration);
  return children.spawn('haproxy', program('haproxy') ?? 'haproxy', ['-f', file]);
}
