/** `npm run audit -- --fix`: proposes an act for each difference, and does those that are agreed to. */
import { createInterface, type Interface } from 'node:readline/promises';
import type { OperationsClient } from '../operator/client.ts';
import { type Proposal, proposalFor } from './proposals.ts';
import {
  type Discrepancy,
  describe,
  type Evidence,
  MEANING,
  type PaymentsAudit,
  VERDICTS,
} from './reconciliation.ts';

export interface FixParts {
  readonly soquete: OperationsClient;
  readonly who: string;
  /** Asks yes or no. */
  readonly ask: (question: string) => Promise<boolean>;
  readonly say: (line: string) => void;
}

/** What of an audit was proposed, agreed to and done. */
export interface Fixed {
  readonly proposed: number;
  readonly done: number;
}

/** Goes through what audits found wrong, worst first, each payment once. */
export async function fix(audits: readonly PaymentsAudit[], parts: FixParts): Promise<Fixed> {
  let [proposed, done] = [0, 0];
  const seen = new Set<string>();
  for (const verdict of VERDICTS) {
    if (verdict === 'by hand') continue;
    for (const evidence of audits.flatMap(({ examples }) => examples[verdict])) {
      if (seen.has(evidence.correlationId)) continue;
      seen.add(evidence.correlationId);
      const proposal = proposalFor(verdict, evidence);
      parts.say(`${evidence.correlationId}: ${MEANING[verdict]}`);
      parts.say(`  ${describe(evidence)}`);
      if (proposal.is === 'none') {
        parts.say(`  nothing to do here: ${proposal.means}`);
        continue;
      }
      proposed += 1;
      if (!(await parts.ask(`  ${proposal.means}?`))) continue;
      if (await carryOut(verdict, evidence, proposal, parts)) done += 1;
    }
  }
  return { proposed, done };
}

async function carryOut(
  verdict: Discrepancy,
  { correlationId }: Evidence,
  proposal: Exclude<Proposal, { is: 'none' }>,
  { soquete, who, say }: FixParts,
): Promise<boolean> {
  const { act, on, anyway = false } = proposal;
  const { isDone, said } = await soquete.act({
    ...{ correlationId, act, on, anyway, who },
    reason: `audit: ${MEANING[verdict]}`,
  });
  say(`  ${said}`);
  return isDone;
}

/** Asks on a terminal, or reads one line an answer from what stands for one; its end is a no. */
export function questions(): { ask: FixParts['ask']; close: () => void } {
  const lines: Interface = createInterface({ input: process.stdin });
  const iterator = lines[Symbol.asyncIterator]();
  return {
    ask: async question => {
      process.stdout.write(`${question} [y/N] `);
      const { value, done } = await iterator.next();
      if (!process.stdin.isTTY) process.stdout.write('\n');
      return done !== true && /^y(es)?$/i.test(value.trim());
    },
    close: () => lines.close(),
  };
}
