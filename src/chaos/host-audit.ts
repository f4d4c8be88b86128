/** Whether what was sent to several hosts was settled once, by a host's word and the processors' books. */
import { signedDecimal } from '../audit/reconciliation.ts';
import { auditSent, auditSums } from '../audit/run.ts';
import { CannotAsk, Sources } from '../audit/sources.ts';
import { EVERYTHING } from '../processor-simulator/admin-client.ts';
import { TOKEN } from '../processor-simulator/token.ts';
import { until } from '../testing/until.ts';
import type { Client } from './client.ts';

const SETTLE_DEADLINE_MS = 120_000;

/** Waits until all is settled; resolves to the number of payments about which the books do not agree. */
export async function auditHost(
  url: string,
  [onDefault, onFallback]: readonly [string, string],
  client: Client,
  say: (line: string) => void,
): Promise<number> {
  const sources = new Sources({ url, default: onDefault, fallback: onFallback, token: TOKEN });
  try {
    const settled = async (): Promise<boolean> => {
      try {
        const summary = await sources.summary(EVERYTHING);
        return summary.default.count + summary.fallback.count >= client.accepted;
      } catch (error) {
        if (error instanceof CannotAsk) return false;
        throw error;
      }
    };
    await until(settled, 'all to be settled', SETTLE_DEADLINE_MS).catch(error => say(String(error)));
    const { lines, agree } = await auditSums(sources);
    for (const { processor, ours, theirs } of lines) {
      const [mine, other] = [signedDecimal(ours.cents), signedDecimal(theirs.cents)];
      say(`  ${processor}: soquete ${ours.count}, ${mine}; processor ${theirs.count}, ${other}`);
    }
    const { counts } = await auditSent(sources, client.ids);
    const lost = counts.lost + counts.absent + counts.unknown + counts.queued;
    say(`${client.accepted} accepted: lost ${lost}, double ${counts.twice}`);
    return lost + counts.twice + (agree ? 0 : 1);
  } finally {
    await sources.close();
  }
}
