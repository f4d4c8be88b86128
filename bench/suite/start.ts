/** From exec to the first 202, as a client sees it who tries again and again. */
import { randomUUID } from 'node:crypto';
import { connect, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BACKEND_ENVIRONMENT, BACKEND_FLAGS } from '../../src/stack/node-flags.ts';
import { absentProcessors, entry, stackEnvironment } from '../tools/soquete.ts';
import { benchmark, type Contender, type Definition, type Round } from './benchmark.ts';
import { Fillings } from './fill.ts';

export const start: Definition = {
  name: 'start',
  about: 'from exec to the first 202',
  open: ({ small }) => {
    const fillings = new Fillings();
    const directory = async ({ children, tell }: Round, payments: number): Promise<string> =>
      payments === 0 ? join(children.directory, 'store') : (await fillings.of(payments, tell)).directory;
    const stored = (name: string, payments: number): Contender[] => [
      { name: `one backend${name}`, run: async round => backend(round, await directory(round, payments)) },
      { name: `the stack${name}`, run: async round => stack(round, await directory(round, payments)) },
    ];
    const contenders = [...stored('', 0), ...(small ? [] : stored(', 1 million payments stored', 1e6))];
    return benchmark([{ figure: 'ms', title: 'ms', ratio: true }], contenders, {
      dispose: () => fillings.dispose(),
    });
  },
};

async function backend({ children }: Round, directory: string) {
  const path = join(children.directory, 'backend-1.sock');
  const { urls } = await absentProcessors();
  const environment = {
    INSTANCE: 'backend-1',
    LISTEN: `unix:${path}`,
    PROCESSOR_DEFAULT_URL: urls[0],
    PROCESSOR_FALLBACK_URL: urls[1],
    STORE_URL: `sqlite:${directory}`,
    ...BACKEND_ENVIRONMENT,
  };
  const startedAt = performance.now();
  children.spawn(
    'backend-1',
    process.execPath,
    [...BACKEND_FLAGS, entry('main.js', 'src/main.ts')],
    environment,
  );
  await firstAccepted({ path });
  return { ms: performance.now() - startedAt };
}

async function stack({ children }: Round, directory: string) {
  const { environment, port } = await stackEnvironment(children);
  const startedAt = performance.now();
  children.spawn('stack', process.execPath, [entry('stack.js', 'src/stack/launcher.ts')], {
    ...environment,
    STORE_URL: `sqlite:${directory}`,
  });
  await firstAccepted({ host: '127.0.0.1', port });
  return { ms: performance.now() - startedAt };
}

const TRY_EVERY_MS = 1;
const PATIENCE_MS = 60_000;

async function firstAccepted(where: NetConnectOpts): Promise<void> {
  const giveUpAt = performance.now() + PATIENCE_MS;
  while (!(await isAccepted(where))) {
    if (performance.now() > giveUpAt) throw new Error('no payment was accepted');
    await sleep(TRY_EVERY_MS);
  }
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
