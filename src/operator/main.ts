/**
 * `npm run payments`: an operator's hand on payments that need a person.
 *
 * Exit code 0: done. 1: not done, for a reason that is printed. 2: the command or soquete cannot be used.
 */

import { userInfo } from 'node:os';
import type { HeldLine, PaymentTimeline } from '../dashboard/api.ts';
import { formatInstant } from '../domain/instant.ts';
import { decimal } from '../domain/money.ts';
import { idBytes, PROCESSORS } from '../domain/payment.ts';
import { flag, option, readCommandLine } from '../settings/command-line.ts';
import { httpUrl, oneOf, recordedInstantMs, someText } from '../settings/grammar.ts';
import { CannotOperate, OperationsClient } from './client.ts';
import { opsTokenOption } from './options.ts';

const COMMANDS = {
  held: 'lists the payments that are held, and why',
  show: 'ID: what happened to one, and what was done by hand',
  retry: 'ID: tries a held one again now; sends a settled one again whose processor has lost it',
  settle: 'ID --on P --reason TEXT: books one as settled, as its processor has it or at --requested-at',
  close: 'ID --reason TEXT: ends one that is never to be settled',
  'take-in': 'ID --reason TEXT: takes in one that a processor has and soquete does not know',
} as const;
type Command = keyof typeof COMMANDS;

const correlationId = {
  takes: 'the correlationId of a payment',
  read: (text: string) => (idBytes(text) === undefined ? undefined : text.toLowerCase()),
};

async function main(): Promise<number> {
  const { values, words } = readCommandLine({
    name: 'payments',
    command: 'npm run payments --',
    about: `Shows the payments that need a person, and does what that person decides. The processors are asked
before a payment is settled or closed; each act is kept with who did it, when and why.`,
    options: {
      url: option('soquete', 'URL', httpUrl, 'http://localhost:9999'),
      'ops-token': opsTokenOption,
      by: option('who does it', 'NAME', someText('a name'), userInfo().username),
      reason: option('why: kept with the act', 'TEXT', someText('a text'), undefined),
      on: option('the processor that has the payment', 'PROCESSOR', oneOf(...PROCESSORS), undefined),
      'requested-at': option(
        'what the processor has, where it cannot say so itself',
        'T',
        recordedInstantMs,
        undefined,
      ),
      anyway: flag('although what the processors say speaks against it'),
    },
    words: { known: COMMANDS, max: 2, others: correlationId },
  });
  const [command, id] = words as [Command?, string?];
  const wrong = misuse(command, id, values);
  if (wrong !== undefined) {
    console.error(`payments: ${wrong}`);
    return 2;
  }
  await using soquete = new OperationsClient(values.url, values['ops-token']);
  if (command === 'held') return printHeld(await soquete.held());
  if (command === 'show') return printStory(await soquete.story(id!));
  const { isDone, said } = await soquete.act({
    correlationId: id!,
    act: command as Exclude<Command, 'held' | 'show'>,
    who: values.by,
    reason: values.reason,
    on: values.on,
    ...(values['requested-at'] === undefined ? {} : { requestedAt: formatInstant(values['requested-at']) }),
    anyway: values.anyway,
  });
  console.log(said);
  return isDone ? 0 : 1;
}

/** What is missing or too much on the command line; undefined: nothing. */
function misuse(
  command: Command | undefined,
  id: string | undefined,
  {
    reason,
    on,
    'requested-at': at,
  }: { reason: string | undefined; on: string | undefined; 'requested-at': number | undefined },
): string | undefined {
  if (command === undefined || !Object.hasOwn(COMMANDS, command))
    return `say what to do: ${Object.keys(COMMANDS).join(', ')}; --help tells more`;
  if (command === 'held') return id === undefined ? undefined : 'held takes no ID; show ID shows one';
  if (id === undefined || Object.hasOwn(COMMANDS, id)) return `${command} needs the ID of one payment`;
  if (command !== 'settle' && (on !== undefined || at !== undefined))
    return `--on and --requested-at go with settle, not with ${command}`;
  if (command === 'settle' && on === undefined) return 'settle needs --on default or --on fallback';
  if (command !== 'show' && command !== 'retry' && reason === undefined)
    return `${command} needs --reason TEXT, which is kept`;
  return undefined;
}

function printHeld(held: readonly HeldLine[]): number {
  if (held.length === 0) console.log('No payment is held.');
  for (const { correlationId, cents, held: reason, processor, acceptedAtMs, attempts, retryAtMs } of held) {
    const next = retryAtMs === null ? 'not tried by itself' : `tried again at ${formatInstant(retryAtMs)}`;
    const where = processor === null ? '' : `, last on ${processor}`;
    console.log(
      `${correlationId}  ${decimal(cents)}  ${reason}  accepted ${formatInstant(acceptedAtMs)}, ` +
        `${attempts} attempts${where}, ${next}`,
    );
  }
  return 0;
}

function printStory(story: PaymentTimeline | undefined): number {
  if (story === undefined) {
    console.log('soquete knows no payment with this correlationId.');
    return 1;
  }
  const { payment, events, waits } = story;
  const held = payment.held === null ? '' : `, held: ${payment.held}`;
  const where = payment.processor === null ? '' : ` on ${payment.processor}`;
  console.log(`${payment.correlationId}  ${decimal(payment.cents)}  ${payment.state}${where}${held}`);
  for (const { atMs, text } of events) console.log(`  ${formatInstant(atMs)}  ${text}`);
  if (waits !== null) console.log(`  ${waits.why}`);
  return 0;
}

if (import.meta.main) {
  process.exitCode = await main().catch((error: unknown) => {
    console.error(error instanceof CannotOperate ? `payments: ${error.message}` : error);
    return 2;
  });
}
