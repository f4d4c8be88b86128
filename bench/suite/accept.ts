/**
 * What it costs to accept: `202` when a payment is in memory, when no process's death can lose it, when no
 * power loss can. With the processors away it is accepting alone; with them there, accepting has to go first.
 */

import {
  absentProcessors,
  simulatedProcessors,
  stopBackends,
  storeDirectory,
} from '../../src/testing/backends.ts';
import { constantProxy } from '../tools/proxy.ts';
import { startSoquete } from '../tools/soquete.ts';
import { benchmark, type Contender, type Definition } from './benchmark.ts';
import { CONNECTIONS, constantServers, figuresOf, LOAD_COLUMNS, loadPhase } from './load-phase.ts';
import { ceiling } from './sockets.ts';
import { assertStored } from './store-check.ts';

export const accept: Definition = {
  name: 'accept',
  about: 'payments accepted per second by what a 202 promises',
  open: ({ small }) => {
    const contenders = [
      soquete('commit', 'commit', false),
      soquete('parse', 'parse', false),
      soquete('flush', 'flush', false),
      soquete('commit, settling meanwhile', 'commit', true),
      ceiling('ceiling: node:net, unread', children => constantServers(children, 'raw')),
      ceiling('ceiling: HAProxy alone', async children => {
        const { port } = await constantProxy(children);
        return `http://127.0.0.1:${port}`;
      }),
    ];
    return benchmark(LOAD_COLUMNS, small ? contenders.slice(2, 4) : contenders);
  },
};

function soquete(name: string, ackAfter: string, settling: boolean): Contender {
  return {
    name,
    run: async ({ children, seconds }) => {
      const processors = settling ? await simulatedProcessors(children) : await absentProcessors();
      const environment = { ACK_AFTER: ackAfter };
      const { url, backends } = await startSoquete(children, { processors, environment });
      const phase = await loadPhase(children, url, seconds);
      await stopBackends(backends);
      return figuresOf(phase, assertStored(storeDirectory(children), phase.acceptedInAll, CONNECTIONS));
    },
  };
}
