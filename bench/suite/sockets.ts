/**
 * How payments should come in: over Unix sockets or TCP, through HAProxy in HTTP or TCP mode or without it, to how
 * many backends. The processors refuse every connection, so accepting is all that is measured; the ceilings
 * answer without doing anything.
 */
import { join } from 'node:path';
import type { Generator } from '../tools/load.ts';
import { constantProxy } from '../tools/proxy.ts';
import { absentProcessors, type SoqueteOptions, startSoquete, stopBackends } from '../tools/soquete.ts';
import { benchmark, type Contender, type Definition } from './benchmark.ts';
import { assertStored, constantServers, drive, figuresOf, LOAD_COLUMNS } from './drive.ts';

export const sockets: Definition = {
  name: 'sockets',
  about: 'payments accepted per second by topology',
  open: ({ small }) => {
    const few = [
      soquete('Unix sockets', {}),
      soquete('TCP', { wire: 'tcp' }),
      soquete('no HAProxy, SO_REUSEPORT', { door: 'none' }),
    ];
    const rest = [
      soquete('HAProxy in TCP mode, Unix sockets', { door: 'haproxy tcp' }),
      soquete('HAProxy in TCP mode, TCP', { door: 'haproxy tcp', wire: 'tcp' }),
      ...[1, 2, 4].map(backends => soquete(`Unix sockets, ${backends} backend(s)`, { backends })),
      soquete('Unix sockets (autocannon)', {}, 'autocannon'),
      soquete('TCP (autocannon)', { wire: 'tcp' }, 'autocannon'),
      ceiling('ceiling: node:net, unread', children => constantServers(children, 'raw')),
      ceiling('ceiling: HAProxy alone', async children => {
        const { port } = await constantProxy(children);
        return `http://127.0.0.1:${port}`;
      }),
      ceiling('node:http and JSON.parse', children => constantServers(children, 'node:http')),
    ];
    return benchmark(LOAD_COLUMNS, small ? [...few, rest.at(-3)!] : [...few, ...rest]);
  },
};

function soquete(name: string, options: Partial<SoqueteOptions>, generator?: Generator): Contender {
  return {
    name,
    run: async ({ children, seconds }) => {
      const processors = await absentProcessors();
      const { url, backends } = await startSoquete(children, { ...options, processors });
      const driven = await drive(children, url, seconds, generator === undefined ? {} : { generator });
      await stopBackends(backends);
      assertStored(join(children.directory, 'store'), driven.acceptedInAll);
      return figuresOf(driven);
    },
  };
}

export function ceiling(
  name: string,
  start: (children: Parameters<typeof constantServers>[0]) => Promise<string>,
): Contender {
  return {
    name,
    run: async ({ children, seconds }) => figuresOf(await drive(children, await start(children), seconds)),
  };
}
