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
import type { Sources } from './sources.ts';

export interface FixParts {
  readonly sources: Sources;
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

/** Goes through what an audit found wrong, worst first. */
export async function fix(audit: PaymentsAudit, parts: FixParts): Promise<Fixed> {
  let [proposed, done] = [0, 0];
  for (const verdict of VERDICTS) {
    if (verdict === 'by hand') continue;
    for (const evidence of audit.examples[verdict]) {
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
  { sources, soquete, who, say }: FixParts,
): Promise<boolean> {
  if (proposal.is === 'send') {
    const status = await sources.send(correlationId, proposal.amount);
    say(
      status === 202 ? '  sent: it is booked in a moment' : `  soquete answers ${status}: nothing was done`,
    );
    return status === 202;
  }
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
