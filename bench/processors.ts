/**
 * How many payments a second one simulated processor takes, so that nobody takes its limit for soquete's.
 *
 *   node bench/processors.ts [SECONDS of a round, 3]
 *
 * Interleaved rounds over kept-alive connections: the processor, and as the ceiling a `node:net` server that
 * answers every read with the same bytes without a look at it. The load is wrk's where it is installed, which
 * leaves the server a core of its own on a machine of two; autocannon's elsewhere, which is then what is
 * measured. Where others use the machine too, the last column is the one to believe: requests for each second
 * that the server really ran.
 *
 * Last result on two shared cores, with wrk: constant 121,610/s, processor 54,646/s, 58,477 a second of its
 * CPU.
 */
import { randomInt } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { freePorts } from '../src/testing/ports.ts';
import { ChildProcesses, listening, program } from '../src/testing/processes.ts';
import { cpuMs } from './tools/process-usage.ts';
import { median } from './tools/statistics.ts';
import { number, table } from './tools/table.ts';

const CONNECTIONS = 64;
const ROUNDS = 3;

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The same bytes for every read: the least that an answer of the processor's size can cost. */
const CONSTANT = `
  const body = '{"message":"payment processed successfully"}';
  const answer = 'HTTP/1.1 200 OK\\r\\nDate: Thu, 01 Jan 2026 00:00:00 GMT\\r\\n' +
    'Content-Type: application/json; charset=utf-8\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n' +
    body.length.toString(16) + '\\r\\n' + body + '\\r\\n0\\r\\n\\r\\n';
  require('node:net').createServer({ noDelay: true }, socket => {
    socket.on('data', () => socket.write(answer, 'latin1'));
    socket.on('error', () => {});
  }).listen(Number(process.argv[1]), '127.0.0.1');
`;

/** Answers of status 200 a second. */
async function measure(children: ChildProcesses, port: number, seconds: number): Promise<number> {
  const seed = randomInt(2 ** 32);
  const url = `http://127.0.0.1:${port}/payments`;
  if (program('wrk') === undefined) return cannon(url, seed, seconds);
  const args = [
    '-t1',
    `-c${CONNECTIONS}`,
    `-d${seconds}`,
    '-s',
    file('processors.lua'),
    url,
    '--',
    String(seed),
  ];
  const child = children.spawn('wrk', 'wrk', args);
  await child.exited;
  const perSecond = /Requests\/sec:\s*([\d.]+)/.exec(child.said())?.[1];
  if (perSecond === undefined || /Non-2xx|Socket errors/.test(child.said())) throw new Error(child.said());
  return Number(perSecond);
}

async function cannon(url: string, seed: number, seconds: number): Promise<number> {
  let count = 0;
  const body = (): string => {
    const id = `${seed.toString(16).padStart(8, '0')}-0000-4000-8000-${(count++).toString(16).padStart(12, '0')}`;
    return `{"correlationId":"${id}","amount":19.90,"requestedAt":"2026-07-10T12:34:56.000Z"}`;
  };
  const { non2xx, errors, requests } = await autocannon({
    url,
    connections: CONNECTIONS,
    duration: seconds,
    requests: [
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        setupRequest: request => ({ ...request, body: body() }),
      },
    ],
  });
  if (non2xx + errors > 0) throw new Error(`${non2xx} answers were not 200, ${errors} requests had none`);
  return requests.average;
}

const seconds = Number(process.argv[2] ?? 3);
await using children = new ChildProcesses();
const start = async (name: string, port: number, args: readonly string[]) => {
  const child = children.spawn(name, process.execPath, args);
  await listening(child, { port, host: '127.0.0.1' });
  return { name, port, pid: child.pid, rates: [] as number[], requests: 0, startCpuMs: cpuMs(child.pid) };
};
const ports = await freePorts(2);
const servers = [
  await start('constant', ports[0], ['-e', CONSTANT, String(ports[0])]),
  await start('processor', ports[1], [
    file('../src/processor-simulator/main.ts'),
    '--default',
    String(ports[1]),
  ]),
];
for (let round = 0; round < ROUNDS; round++) {
  for (const server of servers) {
    const rate = await measure(children, server.port, seconds);
    server.rates.push(rate);
    server.requests += rate * seconds;
  }
}

const ceiling = median(servers[0]!.rates);
const rows = servers.map(({ name, pid, rates, requests, startCpuMs }) => {
  const perCpuSecond = requests / ((cpuMs(pid) - startCpuMs) / 1000);
  return [name, ...rates.map(number), ...[median(rates), median(rates) / ceiling, perCpuSecond].map(number)];
});
const rounds = servers[0]!.rates.map((_, round) => `round ${round + 1}`);
console.log(table(['requests/s', ...rounds, 'median', 'of the ceiling', 'per second of CPU'], rows));
