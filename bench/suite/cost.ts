/** Processor time for a thousand payments, accepted and settled, at one, ten and a hundred times the load; and the memory then. */
import assert from 'node:assert/strict';
import { startUsers } from '../rinha/users.ts';
import { cpuMs, residentMiB } from '../tools/processes.ts';
import { simulatedProcessors, startSoquete } from '../tools/soquete.ts';
import { benchmark, type Contender, type Definition } from './benchmark.ts';

const RATES = [50, 500, 5000] as const;
const THINK_MS = 100;

export const cost: Definition = {
  name: 'cost',
  about: 'processor time in ms for 1,000 payments, accepted and settled, by payments a second',
  open: ({ small }) => {
    const columns = [
      { figure: 'backends', title: 'backends', ratio: true },
      { figure: 'proxy', title: 'HAProxy' },
      { figure: 'processors', title: 'processors' },
      { figure: 'memory', title: 'MiB' },
      { figure: 'idle', title: 'idle ms/s' },
    ] as const;
    return benchmark(columns, (small ? RATES.slice(1, 2) : RATES).map(atRate));
  },
};

function atRate(perSecond: number): Contender {
  return {
    name: `${perSecond} payments/s`,
    run: async ({ children, seconds }) => {
      const processors = await simulatedProcessors(children);
      const { port, backends, proxy } = await startSoquete(children, { processors });
      const groups = {
        backends: backends.map(({ pid }) => pid),
        proxy: [proxy!.pid],
        processors: [processors.child!.pid],
      };
      const spent = (pids: readonly number[]) => pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
      const measure = async (users: number) => {
        const before = Object.values(groups).map(spent);
        const load = startUsers({
          host: '127.0.0.1',
          port,
          users,
          durationMs: seconds * 1000,
          rampMs: 1,
          thinkMs: THINK_MS,
          cents: 1990,
        });
        await load.done;
        assert.equal(load.failed + load.refused.size, 0);
        return {
          accepted: load.accepted,
          ms: Object.values(groups).map((pids, at) => spent(pids) - before[at]!),
        };
      };
      const users = Math.ceil((perSecond * THINK_MS) / 1000);
      await measure(users); // until V8 has compiled what is hot
      const rest = spent(groups.backends);
      await new Promise(resolve => setTimeout(resolve, seconds * 1000));
      const idle = (spent(groups.backends) - rest) / seconds;
      const { accepted, ms } = await measure(users);
      const memory = [...groups.backends, ...groups.proxy].reduce((sum, pid) => sum + residentMiB(pid), 0);
      const [ofBackends, ofProxy, ofProcessors] = ms.map(spentMs => (spentMs / accepted) * 1000);
      return { backends: ofBackends!, proxy: ofProxy!, processors: ofProcessors!, memory, idle };
    },
  };
}
