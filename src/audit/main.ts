/**
 * `npm run audit`: do soquete's books agree with the processors' own, to the cent?
 *
 * Exit code 0: they agree. 1: they do not. 2: someone could not be asked.
 */

import { createReadStream } from 'node:fs';
import { userInfo } from 'node:os';
import { createInterface } from 'node:readline';
import { opsTokenOption } from '../operator/options.ts';
import type { BooksWindow, PaymentsSum } from '../processor-simulator/admin-client.ts';
import { TOKEN } from '../processor-simulator/token.ts';
import { flag, option, readCommandLine } from '../settings/command-line.ts';
import { httpUrl, instantMs, processorAddress, someText } from '../settings/grammar.ts';
import { fix, questions } from './fix.ts';
import {
  describe,
  MEANING,
  type PaymentsAudit,
  type ProcessorLine,
  type SumsAudit,
  signedDecimal,
  unexplained,
  VERDICTS,
} from './reconciliation.ts';
import { auditPayments, auditSent, auditSums } from './run.ts';
import { CannotAsk, Sources } from './sources.ts';

/** The sums as a table, one line a processor. */
function sumsTable({ lines, agree }: SumsAudit): string {
  const rows = [
    ['processor', 'soquete', '', 'processor', '', 'difference', '', 'fees'],
    ...lines.map(({ processor, ours, theirs, difference }) => [
      processor,
      `${ours.count}`,
      signedDecimal(ours.cents),
      `${theirs.count}`,
      signedDecimal(theirs.cents),
      `${difference.count}`,
      signedDecimal(difference.cents),
      theirs.fee,
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)));
  const table = rows.map(row =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join('  '),
  );
  return [...table, agree ? 'The books agree to the cent.' : 'The books DIFFER.'].join('\n');
}

/**
 * Which payments differ and why, with a few examples of each kind; `lines` of the sums say what stays open.
 */
function paymentsReport(audit: PaymentsAudit, lines: readonly ProcessorLine[]): string {
  const report = [`${audit.examined} payments examined one by one.`];
  for (const verdict of VERDICTS) {
    if (audit.counts[verdict] === 0) continue;
    report.push(`${audit.counts[verdict]} ${MEANING[verdict]}:`);
    for (const evidence of audit.examples[verdict]) {
      report.push(`  ${evidence.correlationId}  ${describe(evidence)}`);
    }
    const more = audit.counts[verdict] - audit.examples[verdict].length;
    if (more > 0) report.push(`  … and ${more} more`);
  }
  for (const line of lines) {
    const open = unexplained(line, audit);
    if (isNothing(open)) continue;
    const { count, cents } = open;
    report.push(
      `${line.processor}: a difference of ${count} payments, ${signedDecimal(cents)}, is in none of them` +
        (count < 0
          ? ' (booked by soquete, recorded by no one; --sent FILE finds them)'
          : ' (settled meanwhile? Ask again at rest, or end the window some seconds ago with --to)'),
    );
  }
  if (audit.agree && report.length === 1) report.push('Each of them agrees.');
  return report.join('\n');
}

async function main(): Promise<number> {
  const { values } = readCommandLine({
    name: 'audit',
    command: 'npm run audit --',
    about: `Do soquete's books agree with the processors' own, to the cent?
Ends with 0 when they agree, 1 when they do not, 2 when someone could not be asked.`,
    options: {
      url: option('soquete', 'URL', httpUrl, 'http://localhost:9999'),
      default: option(
        'the default processor',
        'URL',
        processorAddress,
        'http://localhost:8001',
        'PROCESSOR_DEFAULT_URL',
      ),
      fallback: option(
        'the fallback processor',
        'URL',
        processorAddress,
        'http://localhost:8002',
        'PROCESSOR_FALLBACK_URL',
      ),
      token: option('what the processors take as X-Rinha-Token', 'TOKEN', someText('a token'), TOKEN),
      from: option('only payments requested at this instant or later', 'T', instantMs, -Infinity),
      to: option('only payments requested at this instant or earlier', 'T', instantMs, Infinity),
      'ops-token': opsTokenOption,
      ids: flag('payment by payment, also when the sums agree'),
      fix: flag('proposes an act for each difference, and does those that are agreed to'),
      by: option('who agrees, kept with each act', 'NAME', someText('a name'), userInfo().username),
      sent: option(
        'payment by payment those of a file, one correlationId a line',
        'FILE',
        someText('a file of correlationIds, one a line'),
        undefined,
      ),
    },
  });
  const window: BooksWindow = { fromMs: values.from, toMs: values.to };
  const examplesMax = values.fix ? FIXED_AT_ONCE_MAX : undefined;
  const toFix: PaymentsAudit[] = [];
  const sources = new Sources({ ...values, opsToken: values['ops-token'] });
  try {
    const sums = await auditSums(sources, window);
    console.log(sumsTable(sums));
    let agree = sums.agree;
    const held = [...((await sources.held()) ?? [])].filter(([, count]) => count > 0);
    for (const [reason, count] of held)
      console.log(`${count} held (${reason}): not settled, and not in soquete's sums.`);
    if (!agree || values.ids || values.fix) {
      const payments = await auditPayments(sources, window, examplesMax);
      console.log(payments === undefined ? NO_LISTS : paymentsReport(payments, sums.lines));
      if (payments !== undefined) {
        const isExplained = sums.lines.every(line => isNothing(unexplained(line, payments)));
        if (!agree && payments.agree && isExplained)
          console.log('Apart from what operators decided, the books agree to the cent.');
        agree = payments.agree && isExplained;
        toFix.push(payments);
      }
    }
    if (values.sent !== undefined) {
      const payments = await auditSent(sources, lines(values.sent), window, examplesMax);
      console.log(`Of ${values.sent}: ${paymentsReport(payments, [])}`);
      agree &&= payments.agree;
      toFix.push(payments);
    }
    if (values.fix && toFix.length > 0) await fixed(toFix, sources, values.by);
    return agree ? 0 : 1;
  } finally {
    await sources.close();
  }
}

/** With `--fix` so many differences of each kind are gone through. */
const FIXED_AT_ONCE_MAX = 1000;

const isNothing = ({ count, cents }: PaymentsSum): boolean => count === 0 && cents === 0n;

async function fixed(audits: readonly PaymentsAudit[], sources: Sources, who: string): Promise<void> {
  if (audits.every(audit => audit.agree)) {
    console.log('There is nothing to fix.');
    return;
  }
  const { ask, close } = questions();
  try {
    const soquete = sources.operations;
    const { proposed, done } = await fix(audits, {
      soquete,
      who,
      ask,
      say: line => console.log(line),
    });
    console.log(`${proposed} acts proposed, ${done} done. Run the audit again to see what is left.`);
  } finally {
    close();
  }
}

const NO_LISTS =
  'These processors do not list what they recorded. --sent FILE examines the payments of a file, one correlationId a line.';

async function* lines(file: string): AsyncGenerator<string> {
  try {
    for await (const line of createInterface({ input: createReadStream(file) })) {
      if (line.trim() !== '') yield line.trim();
    }
  } catch (error) {
    throw new CannotAsk(`${file} cannot be read: ${(error as Error).message}`);
  }
}

if (import.meta.main) {
  process.exitCode = await main().catch((error: unknown) => {
    console.error(error instanceof CannotAsk ? error.message : error);
    return 2;
  });
}
