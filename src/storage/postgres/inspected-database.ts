/** What a person may ask of the store, asked of the database. */
import { HOLD_REASONS, type ProcessorIndex, type StoredPayment } from '../../domain/payment.ts';
import type { HeldCounts, History, InspectedPayment, Inspection, SettledPage } from '../inspection.ts';
import type { ProcessorUrls, Reply } from '../ports.ts';
import type { ReadFunction } from './reading.ts';
import { inspected, inspectedAct, inspectedAttempt, paymentOf } from './rows.ts';

export abstract class InspectedDatabase implements Inspection {
  protected abstract readonly read: ReadFunction;
  /** Answers with what `work` finds. */
  protected abstract question<T>(reply: Reply<T>, work: () => Promise<T>): void;

  latest(limit: number, reply: Reply<InspectedPayment[]>): void {
    this.question(reply, async () => (await this.read('latest', [limit], 'int')).map(inspected));
  }

  held(limit: number, reply: Reply<InspectedPayment[]>): void {
    this.question(reply, async () => (await this.read('held', [limit], 'int')).map(inspected));
  }

  settled(after: number, limit: number, reply: Reply<SettledPage>): void {
    this.question(reply, async () => {
      const rows = await this.read('settled_after', [after, limit], 'bigint, int');
      const isLast = rows.length < limit;
      return { payments: rows.map(inspected), after: isLast ? 0 : Number(rows.at(-1)!['seq']) };
    });
  }

  urls(reply: Reply<ProcessorUrls | undefined>): void {
    this.question(reply, async () => {
      const urls = (await this.read('urls', [], ''))[0]!['urls'] as string[];
      return urls.length === 0 ? undefined : (urls as unknown as ProcessorUrls);
    });
  }

  pinnedTo(processor: ProcessorIndex, limit: number, reply: Reply<StoredPayment[]>): void {
    this.question(reply, async () =>
      (await this.read('pinned_to', [processor, limit], 'int, int')).map(paymentOf),
    );
  }

  heldCounts(reply: Reply<HeldCounts>): void {
    this.question(reply, async () => {
      const counts = HOLD_REASONS.map(() => 0);
      for (const { held, count } of await this.read('held_counts', [], ''))
        counts[Number(held)] = Number(count);
      return counts;
    });
  }

  history(id: Uint8Array, reply: Reply<History | undefined>): void {
    this.question(reply, async () => {
      const hex = [id.toHex()];
      const [row] = await this.read('inspect', hex, 'uuid');
      if (row === undefined) return undefined;
      const attempts = (await this.read('attempts_of', hex, 'uuid')).map(inspectedAttempt);
      const acts = (await this.read('acts_of', hex, 'uuid')).map(inspectedAct);
      return { payment: inspected(row), attempts, acts };
    });
  }
}
