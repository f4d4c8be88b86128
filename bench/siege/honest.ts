/** An honest client beside the attack: payments at a steady rate, each timed from when it was due. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { type Latency, latencyOf, Samples } from '../tools/statistics.ts';

export interface Honest extends Latency {
  readonly accepted: number;
  /** By what came in place of a 202. */
  readonly errors: Readonly<Record<string, number>>;
}

/** Enough for answers that take a quarter of a second. */
const CONNECTIONS = 128;
/** No answer within this is an error. */
const PATIENCE_MS = 30_000;

/** Pays `rate` times a second for `seconds`. */
export async function payHonestly(url: string, rate: number, seconds: number): Promise<Honest> {
  const pool = new Pool(url, {
    connections: CONNECTIONS,
    pipelining: 1,
    headersTimeout: PATIENCE_MS,
    bodyTimeout: PATIENCE_MS,
  });
  const samples = new Samples(rate * seconds);
  const errors: Record<string, number> = {};
  const startedAt = performance.now();
  const pay = async (dueAt: number): Promise<void> => {
    const body = `{"correlationId":"${randomUUID()}","amount":19.90}`;
    let end: string;
    try {
      const answer = await pool.request({ method: 'POST', path: '/payments', body });
      await answer.body.dump();
      end = String(answer.statusCode);
    } catch (error) {
      end = String((error as NodeJS.ErrnoException).code ?? error);
    }
    if (end === '202') samples.add(performance.now() - dueAt);
    else errors[end] = (errors[end] ?? 0) + 1;
  };
  const payments: Promise<void>[] = [];
  for (let sent = 0; sent < rate * seconds; sent++) {
    const dueAt = startedAt + (sent * 1000) / rate;
    const early = dueAt - performance.now();
    if (early > 0) await sleep(early);
    payments.push(pay(dueAt));
  }
  await Promise.all(payments);
  await pool.close();
  return { ...latencyOf(samples), accepted: samples.count, errors };
}
