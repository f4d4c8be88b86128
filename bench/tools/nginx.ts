/**
 * nginx as HAProxy is set up here: one worker, connections to the backends that stay open, another backend
 * for one that died.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../src/testing/ports.ts';
import { listening, program } from '../../src/testing/processes.ts';
import type { Balancer } from './proxy.ts';

export const nginxIsMissing = (): boolean => program('nginx') === undefined;

/** Connections to each backend that are kept when idle: no fewer than clients have. */
const KEPT = 512;

/** nginx before servers at `addresses` (`unix@/path` or `host:port`, as HAProxy writes them). */
export const nginx: Balancer = async (children, addresses) => {
  const port = await freePort();
  const file = join(children.directory, 'nginx.conf');
  writeFileSync(file, configuration(children.directory, port, addresses));
  const args = ['-e', 'stderr', '-p', children.directory, '-c', file];
  const child = children.spawn('nginx', program('nginx') ?? 'nginx', args);
  await listening(child, { host: '127.0.0.1', port });
  return { port, child };
};

// Without a master process, ending this one leaves no other behind.
const configuration = (directory: string, port: number, addresses: readonly string[]): string => `
daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log stderr;
events {
    worker_connections 8192;
}
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path ${directory}/nginx-body;
    proxy_temp_path ${directory}/nginx-proxy;
    fastcgi_temp_path ${directory}/nginx-fastcgi;
    uwsgi_temp_path ${directory}/nginx-uwsgi;
    scgi_temp_path ${directory}/nginx-scgi;
    upstream backends {
        ${addresses.map(address => `server ${address.replace(/^unix@/, 'unix:')};`).join('\n        ')}
        keepalive ${KEPT};
        keepalive_requests 1000000000;
    }
    server {
        listen 127.0.0.1:${port};
        location / {
            proxy_pass http://backends;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_connect_timeout 1s;
            proxy_next_upstream error timeout non_idempotent;
        }
    }
}
`;
