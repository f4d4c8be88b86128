/**
 * What may be done about a payment that the books disagree on. Pure: evidence in, a proposal out, or a word
 * on why soquete can do nothing about it.
 */
import { PROCESSORS, type Processor } from '../domain/payment.ts';
import { type Discrepancy, type Evidence, signedDecimal } from './reconciliation.ts';

export type Proposal =
  /** An act by hand on a payment that soquete knows. */
  | {
      readonly is: 'act';
      readonly act: 'retry' | 'settle' | 'take-in';
      readonly on?: Processor;
      readonly anyway?: boolean;
      readonly means: string;
    }
  | { readonly is: 'none'; readonly means: string };

export function proposalFor(verdict: Discrepancy, { ours, theirs }: Evidence): Proposal {
  const on = PROCESSORS.find(processor => theirs[processor] !== undefined);
  switch (verdict) {
    case 'lost':
      // Sent to where it is booked, it would be in both books.
      if (on !== undefined) return none(`${on} has it: refund it there, then audit again`);
      return {
        is: 'act',
        act: 'retry',
        means: `send it to ${ours!.processor} once more, with the requestedAt that is booked`,
      };
    case 'queued':
      return { is: 'act', act: 'settle', on: on!, means: `book it as ${on} has it` };
    case 'amount':
      if (ours!.status === 'settled')
        return none('have the processor put its amount right: what is booked here stays');
      return {
        is: 'act',
        act: 'settle',
        on: on!,
        anyway: true,
        means: `book it as settled on ${on} with soquete's ${signedDecimal(ours!.cents)}; the difference stays, and is explained`,
      };
    case 'unknown':
      return { is: 'act', act: 'take-in', means: `take it in, booked as ${on} has it` };
    case 'twice':
      return none('refund it at one of the processors');
    case 'absent':
      return none('have its client send it again');
    case 'instant':
      return none('have the processor put its requestedAt right: what is booked here stays');
    case 'by hand':
      return none('an operator has decided on it');
  }
}

const none = (means: string): Proposal => ({ is: 'none', means });
