/**
 * Good payments beside payments that both processors refuse as they are, and beside some that make both fail
 * each time: from when a client sends one to when its processor gets it. Those that are refused come in at
 * once; of the good ones one follows the other evenly.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { idTextWords } from '../../src/domain/payment.ts';
import { FAILING, type ProcessorAnswer, REFUSED_PAYMENT } from '../../src/processor-simulator/answer.ts';
import { type ProcessorServer, serveProcessor } from '../../src/processor-simulator/listener.ts';
import type { ChildProcesses } from '../../src/testing/processes.ts';
import { until } from '../../src/testing/until.ts';
import { startSoquete } from '../tools/soquete.ts';
import { latencyOf, Samples } from '../tools/statistics.ts';
import { benchmark, type Contender, type Definition, type Measurements } from './benchmark.ts';

/** Good payments a second. */
const RATE = 100;
/** HAProxy answers the requests of one connection one after the other. */
const CONNECTIONS = 64;
/** As long as no other payment is settled, nobody can know whether a payment or its processor is bad. */
const WARM_UP_MS = 500;
const PATIENCE_MS = 90_000;
/** How ids begin that are answered otherwise. */
const BAD = '00000000';

export const refused: Definition = {
  name: 'refused',
  about: `${RATE} good payments a second beside those that processors refuse as they are`,
  open: ({ small }) => {
    const columns = [
      { figure: 'p50', title: 'sent after ms, p50' },
      { figure: 'p99', title: 'p99 ms', ratio: true },
      { figure: 'max', title: 'max ms' },
      { figure: 'tries', title: 'attempts on bad ones/s', mayBeZero: true },
      { figure: 'opened', title: 'circuits opened', mayBeZero: true },
    ] as const;
    const beside = (name: string, bad: number, answer: ProcessorAnswer): Contender => ({
      name,
      run: ({ children, seconds }) => play(children, seconds, bad, answer),
    });
    const contenders = [
      beside('no others', 0, REFUSED_PAYMENT),
      ...(small
        ? [beside('50 refused', 50, REFUSED_PAYMENT)]
        : [
            beside('1,000 refused', 1000, REFUSED_PAYMENT),
            beside('10,000 refused', 10_000, REFUSED_PAYMENT),
            beside('1 that gets 500', 1, FAILING),
          ]),
      beside('4 that get 500', 4, FAILING),
    ];
    return benchmark(columns, contenders);
  },
};

async function play(
  children: ChildProcesses,
  seconds: number,
  bad: number,
  answer: ProcessorAnswer,
): Promise<Measurements> {
  const sentAtMs = new Map<string, number>();
  const delays = new Samples();
  let tries = 0;
  const serve = async (which: 0 | 1): Promise<ProcessorServer> => {
    const served = await serveProcessor(which, 0);
    const { processor } = served;
    const post = processor.post.bind(processor);
    processor.post = (id, cents, requestedAtMs, reply) => {
      if (id[0] === 0) {
        tries += 1;
        reply(answer);
        return;
      }
      delays.add(performance.now() - sentAtMs.get(keyOf(id))!);
      post(id, cents, requestedAtMs, reply);
    };
    return served;
  };
  const servers = [await serve(0), await serve(1)] as const;
  try {
    const urls = [servers[0].url, servers[1].url] as const;
    const { url, backends } = await startSoquete(children, { processors: { urls } });
    const client = new Pool(url, { connections: CONNECTIONS, pipelining: 1 });
    const pay = async (id: string): Promise<void> => {
      const body = `{"correlationId":"${id}","amount":19.90}`;
      const { statusCode, body: said } = await client.request({
        ...{ method: 'POST', path: '/payments', body },
      });
      assert.equal(statusCode, 202);
      await said.dump();
    };
    const good = async (forMs: number): Promise<number> => {
      const startMs = performance.now();
      const paid: Promise<void>[] = [];
      for (let number = 0; number < (forMs * RATE) / 1000; number++) {
        await sleep(Math.max(0, startMs + (number * 1000) / RATE - performance.now()));
        const id = randomUUID();
        sentAtMs.set(keyOf(idTextWords(id)), performance.now());
        paid.push(pay(id));
      }
      await Promise.all(paid);
      return paid.length;
    };

    const warmUp = await good(WARM_UP_MS);
    await until(() => delays.count === warmUp, 'the first ones to be sent', PATIENCE_MS);
    for (let left = bad; left > 0; left -= CONNECTIONS) {
      const some = Array.from({ length: Math.min(left, CONNECTIONS) }, () =>
        pay(BAD + randomUUID().slice(BAD.length)),
      );
      await Promise.all(some);
    }
    // Before each was tried once, nobody can know that it is bad.
    await until(() => tries >= bad, 'the bad ones to be tried', PATIENCE_MS);
    delays.count = 0;
    tries = 0;
    const sent = await good(seconds * 1000);
    const triesASecond = tries / seconds;
    await until(() => delays.count === sent, 'all good payments to be sent', PATIENCE_MS);
    const recorded = (): number => servers.reduce((sum, { processor }) => sum + processor.book.size, 0);
    assert.equal(recorded(), warmUp + sent, 'each good payment is settled once');
    await client.close();
    const opened = backends.flatMap(child => child.said().match(/"circuit":"open"/g) ?? []).length;
    assert.ok(answer !== REFUSED_PAYMENT || opened === 0, `both work, and ${opened} circuits opened`);
    const { p50, p99, max } = latencyOf(delays);
    return { p50, p99, max, tries: triesASecond, opened, work: sent };
  } finally {
    await Promise.all(servers.map(server => server.close()));
  }
}

const keyOf = (id: ArrayLike<number>): string => Array.from(id).join();
