/**
 * The HTTP server alone, payments in memory, against a `node:net` server that answers a constant without
 * looking, and against `node:http` with `JSON.parse`: directly over TCP, and three of each behind HAProxy on Unix sockets.
 *
 *   node bench/http-ceiling.ts [ROUNDS, 5] [SECONDS, 2]
 *
 * Beside the requests a second stand the time of the processor and the bytes of V8's heap that a request
 * takes: on a machine that others use, those are the ones to compare.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchmark, type Column, type Contender, type Figures } from './suite/benchmark.ts';
import { drive } from './suite/drive.ts';
import { type Child, type Children, freePort, listening, program } from './tools/children.ts';
import { balancer } from './tools/proxy.ts';
import { measure, resultsTable } from './tools/rounds.ts';

const COLUMNS: readonly Column[] = [
  { figure: 'perSecond', title: 'requests/s', ratio: true },
  { figure: 'cpu', title: 'CPU µs', ratio: true },
  { figure: 'garbage', title: 'heap bytes' },
  { figure: 'p50', title: 'p50 ms' },
  { figure: 'p99', title: 'p99 ms' },
];

const script = fileURLToPath(new URL('http-server.ts', import.meta.url));

interface Used {
  readonly requests: number;
  readonly cpuUs: number;
  readonly allocated: number;
}

/** Asks a server what it has used so far. */
async function used(server: Child): Promise<Used> {
  const before = server.said();
  process.kill(server.pid, 'SIGUSR2');
  const end = Date.now() + 5_000;
  while (server.said() === before) {
    if (Date.now() > end) throw new Error(`${server.name} does not say what it used`);
    await new Promise(resolve => setTimeout(resolve, 5));
  }
  return JSON.parse(server.said().trim().split('\n').at(-1)!) as Used;
}

async function run(children: Children, servers: Child[], url: string, seconds: number): Promise<Figures> {
  // Once for nothing: compiling is not what is measured.
  await drive(children, url, 1);
  const total = async () => {
    const all = await Promise.all(servers.map(used));
    const sum = (figure: keyof Used) => all.reduce((before, next) => before + next[figure], 0);
    return { requests: sum('requests'), cpuUs: sum('cpuUs'), allocated: sum('allocated') };
  };
  const before = await total();
  const { perSecond, p50, p99 } = await drive(children, url, seconds);
  const after = await total();
  const requests = after.requests - before.requests;
  return {
    perSecond,
    p50,
    p99,
    cpu: (after.cpuUs - before.cpuUs) / requests,
    garbage: (after.allocated - before.allocated) / requests,
  };
}

const directly = (name: string, kind: string): Contender => ({
  name,
  run: async ({ children, seconds }) => {
    const port = await freePort();
    const server = children.spawn(kind, process.execPath, [script, kind, `${port}`]);
    await listening({ host: '127.0.0.1', port }, server);
    return run(children, [server], `http://127.0.0.1:${port}`, seconds);
  },
});

const behindProxy = (name: string, kind: string): Contender => ({
  name,
  run: async ({ children, seconds }) => {
    const paths = [1, 2, 3].map(number => join(children.directory, `${number}.sock`));
    const servers = paths.map(path => children.spawn(kind, process.execPath, [script, kind, path]));
    await Promise.all(paths.map((path, at) => listening({ path }, servers[at]!)));
    const { port } = await balancer(
      children,
      'http',
      paths.map(path => `unix@${path}`),
    );
    return run(children, servers, `http://127.0.0.1:${port}`, seconds);
  },
});

const rounds = Number(process.argv[2] ?? 5);
const seconds = Number(process.argv[3] ?? 2);
for (const [where, contender] of [
  ['directly', directly],
  ['behind HAProxy', behindProxy],
] as const) {
  if (where === 'behind HAProxy' && program('haproxy') === undefined) continue;
  const all = [
    contender('a constant, unread', 'raw'),
    contender('soquete', 'soquete'),
    contender('node:http', 'node:http'),
  ];
  const results = await measure(benchmark(COLUMNS, all), { rounds, seconds });
  console.log(`\n${where}\n${resultsTable(COLUMNS, results)}`);
}
