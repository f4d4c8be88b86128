/**
 * How payments should come in: over Unix sockets or TCP, through HAProxy in HTTP or TCP mode, through nginx
 * or without either, to how many backends. The processors refuse every connection, so accepting is all that
 * is measured; the ceilings answer without doing anything.
 */

import { absentProcessors, stopBackends, storeDirectory } from '../../src/testing/backends.ts';
import type { Picture } from '../report/picture.ts';
import { bestGenerator, type Generator } from '../tools/load.ts';
import { nginxIsMissing } from '../tools/nginx.ts';
import { constantProxy } from '../tools/proxy.ts';
import { type SoqueteOptions, startSoquete } from '../tools/soquete.ts';
import { benchmark, type Contender, type Definition, type Results } from './benchmark.ts';
import { CONNECTIONS, constantServers, figuresOf, LOAD_COLUMNS, loadPhase } from './load-phase.ts';
import { assertStored } from './store-check.ts';

const USUAL = 'Unix sockets';
const USUAL_COUNT = 3;
const COUNTS = [1, 2, 3, 4] as const;

const named = (backends: number): string =>
  backends === USUAL_COUNT ? USUAL : `${USUAL}, ${backends} ${backends === 1 ? 'backend' : 'backends'}`;

export const sockets: Definition = {
  name: 'sockets',
  about: 'payments accepted per second by topology',
  open: ({ small }) => {
    const few = [
      soquete(USUAL, {}),
      soquete('TCP', { wire: 'tcp' }),
      soquete('no HAProxy, SO_REUSEPORT', { door: 'none' }),
    ];
    const rest = [
      soquete('HAProxy in TCP mode, Unix sockets', { door: 'haproxy tcp' }),
      soquete('HAProxy in TCP mode, TCP', { door: 'haproxy tcp', wire: 'tcp' }),
      ...COUNTS.filter(backends => backends !== USUAL_COUNT).map(backends =>
        soquete(named(backends), { count: backends }),
      ),
    ];
    const byNginx = [
      soquete('nginx, Unix sockets', { door: 'nginx' }),
      soquete('nginx, TCP', { door: 'nginx', wire: 'tcp' }),
    ];
    const byAutocannon = [
      soquete('Unix sockets (autocannon)', {}, 'autocannon'),
      soquete('TCP (autocannon)', { wire: 'tcp' }, 'autocannon'),
      soquete('no HAProxy, SO_REUSEPORT (autocannon)', { door: 'none' }, 'autocannon'),
    ];
    const others = [
      ceiling('ceiling: node:net, unread', children => constantServers(children, 'raw')),
      ceiling('ceiling: HAProxy alone', async children => {
        const { port } = await constantProxy(children);
        return `http://127.0.0.1:${port}`;
      }),
      ceiling('node:http and JSON.parse', children => constantServers(children, 'node:http')),
    ];
    const hasNginx = !nginxIsMissing();
    const hasWrk = bestGenerator() === 'wrk';
    const notes = [
      ...(hasNginx
        ? []
        : ['nginx is not installed (Debian: apt-get install nginx-light), so it is left out.']),
      ...(hasWrk
        ? []
        : [
            'wrk is not installed (Debian: apt-get install wrk), so all load is autocannon’s, which is slower.',
          ]),
    ];
    if (small) return benchmark(LOAD_COLUMNS, [...few, ...(hasNginx ? byNginx.slice(0, 1) : []), others[0]!]);
    return benchmark(
      LOAD_COLUMNS,
      [...few, ...rest, ...(hasNginx ? byNginx : []), ...(hasWrk ? byAutocannon : []), ...others],
      { notes, pictures: results => [byCount(results)] },
    );
  },
};

const byCount = (results: Results): Picture => ({
  title: 'by the number of backends',
  x: { title: 'backends behind HAProxy on Unix sockets' },
  y: { title: 'payments/s' },
  lines: [
    {
      title: 'accepted',
      points: COUNTS.map(backends => [backends, results[named(backends)]!['perSecond']!.median]),
    },
  ],
});

function soquete(name: string, options: Partial<SoqueteOptions>, generator?: Generator): Contender {
  return {
    name,
    run: async ({ children, seconds }) => {
      const processors = await absentProcessors();
      const { url, backends } = await startSoquete(children, { ...options, processors });
      const phase = await loadPhase(children, url, seconds, generator === undefined ? {} : { generator });
      await stopBackends(backends);
      return figuresOf(phase, assertStored(storeDirectory(children), phase.acceptedInAll, CONNECTIONS));
    },
  };
}

export function ceiling(
  name: string,
  start: (children: Parameters<typeof constantServers>[0]) => Promise<string>,
): Contender {
  return {
    name,
    run: async ({ children, seconds }) =>
      figuresOf(await loadPhase(children, await start(children), seconds)),
  };
}
