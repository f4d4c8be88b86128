/** From exec to the first 202, as a client sees it who tries again and again. */
import { randomUUID } from 'node:crypto';
import { connect, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import { absentProcessors, spawnBackend, storeDirectory } from '../../src/testing/backends.ts';
import { launchStack } from '../../src/testing/stack.ts';
import { until } from '../../src/testing/until.ts';
import { benchmark, type Contender, type Definition, type Round } from './benchmark.ts';
import { Fillings } from './fill.ts';

export const start: Definition = {
  name: 'start',
  about: 'from exec to the first 202',
  open: ({ small }) => {
    const fillings = new Fillings();
    const directory = async ({ children, tell }: Round, payments: number): Promise<string> =>
      payments === 0 ? storeDirectory(children) : (await fillings.of(payments, tell)).directory;
    const stored = (name: string, payments: number): Contender[] => [
      { name: `one backend${name}`, run: async round => backend(round, await directory(round, payments)) },
      { name: `the stack${name}`, run: async round => stack(await directory(round, payments)) },
    ];
    const contenders = [...stored('', 0), ...(small ? [] : stored(', 1 million payments stored', 1e6))];
    return benchmark([{ figure: 'ms', title: 'ms', ratio: true }], contenders, {
      dispose: () => fillings.dispose(),
    });
  },
};

async function backend({ children }: Round, directory: string) {
  const path = join(children.directory, 'backend-1.sock');
  const options = { processors: await absentProcessors(), storeDirectory: directory };
  const { startedAtMs } = spawnBackend(children, 'backend-1', `unix:${path}`, options);
  return { ms: await firstAcceptedMs({ path }, startedAtMs), work: 1 };
}

async function stack(directory: string) {
  const env = { STORE_URL: `sqlite:${directory}`, LOG_LEVEL: 'info' };
  await using stack = await launchStack({ env });
  const { port, launcher } = stack;
  return { ms: await firstAcceptedMs({ host: '127.0.0.1', port }, launcher.startedAtMs), work: 1 };
}

const TRY_EVERY_MS = 1;
const PATIENCE_MS = 60_000;

export async function firstAcceptedMs(where: NetConnectOpts, startedAtMs: number): Promise<number> {
  await until(() => isAccepted(where), 'a payment to be accepted', PATIENCE_MS, TRY_EVERY_MS);
  return performance.now() - startedAtMs;
}

function isAccepted(where: NetConnectOpts): Promise<boolean> {
  const body = `{"correlationId":"${randomUUID()}","amount":19.90}`;
  return new Promise(resolve => {
    const socket = connect(where, () => {
      socket.write(
        `POST /payments HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    });
    socket.once('data', (answer: Buffer) => {
      socket.destroy();
      resolve(answer.toString('latin1', 9, 12) === '202');
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
