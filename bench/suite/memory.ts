/** Resident memory of HAProxy and the backends: at rest, under full load, and some time after it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { residentMiB } from '../tools/processes.ts';
import { simulatedProcessors, startSoquete } from '../tools/soquete.ts';
import { benchmark, type Definition } from './benchmark.ts';
import { drive } from './drive.ts';

export const memory: Definition = {
  name: 'memory',
  about: 'resident memory of HAProxy and three backends together, in MiB',
  open: () => {
    const columns = [
      { figure: 'idle', title: 'at rest' },
      { figure: 'loaded', title: 'under load' },
      { figure: 'after', title: 'after it' },
      { figure: 'backend', title: 'largest backend' },
      { figure: 'proxy', title: 'HAProxy' },
    ] as const;
    return benchmark(columns, [
      {
        name: 'soquete',
        run: async ({ children, seconds }) => {
          const processors = await simulatedProcessors(children);
          const { url, backends, proxy } = await startSoquete(children, { processors });
          const all = [...backends, proxy!].map(({ pid }) => pid);
          const sum = () => all.reduce((total, pid) => total + residentMiB(pid), 0);
          const idle = sum();
          let loaded = 0;
          let backend = 0;
          const watch = setInterval(() => {
            loaded = Math.max(loaded, sum());
            backend = Math.max(backend, ...backends.map(({ pid }) => residentMiB(pid)));
          }, 50);
          await drive(children, url, seconds);
          clearInterval(watch);
          const proxyMiB = residentMiB(proxy!.pid);
          await sleep(seconds * 1000);
          return { idle, loaded, after: sum(), backend, proxy: proxyMiB };
        },
      },
    ]);
  },
};
