/** Questions that change nothing, asked of Redis. */
import {
  HELD_URL,
  HOLD_REASONS,
  type ProcessorIndex,
  SETTLED,
  type StoredPayment,
  type Summary,
  WAITING,
} from '../../domain/payment.ts';
import type {
  HeldCounts,
  History,
  InspectedAct,
  InspectedPayment,
  Inspection,
  SettledPage,
} from '../inspection.ts';
import type { ProcessorUrls, Reply } from '../ports.ts';
import { pairsIn, paymentsIn, type RedisList, SummaryQuestion } from './answers.ts';
import type { RedisFunction } from './library.ts';
import { inspectedOf, type OwnedPayment, readAttempts, readRecord, storedOf } from './record.ts';

/** Read at once, where many are looked through. */
const PAGE = 500;

export type RedisCall = (
  name: RedisFunction,
  args: readonly (string | number | Buffer)[],
) => Promise<RedisList>;

export abstract class InspectedRedis implements Inspection {
  /** Calls a function that changes nothing. */
  protected abstract readonly read: RedisCall;
  /** Answers with what `work` finds. */
  protected abstract answer<T>(reply: Reply<T>, work: () => Promise<T>): void;

  find(id: Uint8Array, reply: Reply<StoredPayment | undefined>): void {
    this.answer(reply, async () => {
      const [found] = paymentsIn(await this.read('find', [Buffer.from(id)]));
      return found && storedOf(found);
    });
  }

  summary(fromMs: number, toMs: number, reply: Reply<Summary>): void {
    this.answer(reply, async () => {
      const question = new SummaryQuestion(fromMs, toMs);
      return question.summaryIn(await this.read('summary', question.args));
    });
  }

  urls(reply: Reply<ProcessorUrls | undefined>): void {
    this.answer(reply, async () => {
      const text = String((await this.read('urls', []))[1]);
      return text === '' ? undefined : (JSON.parse(text) as ProcessorUrls);
    });
  }

  /** A page at a time, so that nothing waits for it. */
  pinnedTo(processor: ProcessorIndex, limit: number, reply: Reply<StoredPayment[]>): void {
    this.answer(reply, async () => {
      const found: StoredPayment[] = [];
      const isMeant = (payment: OwnedPayment): boolean =>
        payment.processor === processor && payment.state !== WAITING && payment.held !== HELD_URL;
      for (let after = '0'; found.length < limit && after !== ''; ) {
        const page = await this.read('unsettledPage', [after, PAGE]);
        found.push(...paymentsIn(page).filter(isMeant).map(storedOf));
        after = String(page[3]);
      }
      return found.slice(0, limit);
    });
  }

  latest(limit: number, reply: Reply<InspectedPayment[]>): void {
    this.answer(reply, async () => {
      const [, , , last] = await this.read('arrivals', ['0', 0]);
      const after = Math.max(0, Number(last) - limit);
      const [page, owners] = await Promise.all([this.read('arrivals', [after, limit]), this.#owners()]);
      return paymentsIn(page)
        .map(each => inspectedOf(each, owners))
        .reverse();
    });
  }

  held(limit: number, reply: Reply<InspectedPayment[]>): void {
    this.answer(reply, async () => {
      const [page, owners] = await Promise.all([this.read('held', [limit]), this.#owners()]);
      return paymentsIn(page).map(each => inspectedOf(each, owners));
    });
  }

  heldCounts(reply: Reply<HeldCounts>): void {
    this.answer(reply, async () => {
      const counts = HOLD_REASONS.map(() => 0);
      const [, pairs] = await this.read('heldCounts', []);
      for (const [reason, count] of pairsIn(pairs!)) counts[Number(reason)] = Number(count);
      return counts;
    });
  }

  settled(after: number, limit: number, reply: Reply<SettledPage>): void {
    this.answer(reply, async () => {
      const owners = await this.#owners();
      const payments: InspectedPayment[] = [];
      for (let last = after; ; ) {
        const page = paymentsIn(await this.read('arrivals', [last, PAGE]));
        if (page.length === 0) return { payments, after: 0 };
        for (const each of page) {
          last = each.seq;
          if (each.state === SETTLED) payments.push(inspectedOf(each, owners));
          if (payments.length === limit) return { payments, after: last };
        }
      }
    });
  }

  history(id: Uint8Array, reply: Reply<History | undefined>): void {
    this.answer(reply, async () => {
      const [answer, owners] = await Promise.all([this.read('history', [Buffer.from(id)]), this.#owners()]);
      const [, record, attempts, acts] = answer as Buffer[];
      if (record!.length === 0) return undefined;
      const lines = acts!.length === 0 ? [] : String(acts).split('\n');
      return {
        payment: inspectedOf(readRecord(id, record!), owners),
        attempts: readAttempts(attempts!),
        acts: lines.map(line => JSON.parse(line) as InspectedAct),
      };
    });
  }

  /** Names of the instances by their numbers. */
  async #owners(): Promise<Map<number, string>> {
    const [, pairs] = await this.read('owners', []);
    return new Map(pairsIn(pairs!).map(([name, number]) => [Number(number), name]));
  }
}
