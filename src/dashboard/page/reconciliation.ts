/** The books side by side, the fees, and the policy in words. */
import type { BooksSide } from '../../telemetry/snapshot.ts';
import type { DashboardView } from '../api.ts';
import { byId, fill, make } from './dom.ts';
import { clock, decimals, duration, grouped, plural } from './format.ts';

/** Shows soquete's sums beside the processors' own. */
export function showBooks({ books, processors, policy }: DashboardView): void {
  const body = byId('books-body');
  if (books === undefined) {
    const note =
      "The processors' own sums are compared where PROCESSOR_ADMIN_TOKEN is given. These sums are soquete's, since its instances started.";
    const rows = processors.map(({ name, settled, cents }) => ({ name, count: settled, cents }));
    const ours = processors.map(({ cents }, index) => ({ cents, feeShare: policy.fees?.[index] }));
    fill(body, make('p', { class: 'muted' }, note), simpleTable(rows), fees(ours));
    return;
  }
  if (books === null) {
    fill(
      body,
      make(
        'p',
        { class: 'muted' },
        'The books are compared every five seconds; the first comparison comes soon.',
      ),
    );
    return;
  }
  const rows = books.sides.map((side, index) => sideRow(processors[index]!.name, side));
  const [first, second] = books.sides;
  const total: BooksSide = {
    count: first.count + second.count,
    cents: first.cents + second.cents,
    theirs:
      first.theirs === null || second.theirs === null
        ? null
        : {
            count: first.theirs.count + second.theirs.count,
            cents: first.theirs.cents + second.theirs.cents,
            feeShare: 0,
          },
    differenceCents: first.differenceCents + second.differenceCents,
    differenceCount: first.differenceCount + second.differenceCount,
  };
  const totalRow = sideRow('together', total);
  totalRow.className = 'total';
  fill(
    body,
    make(
      'table',
      { class: 'sums' },
      make(
        'caption',
        {},
        `Everything requested until ${clock(books.toMs)}, compared at ${clock(books.atMs)}.`,
      ),
      make(
        'thead',
        {},
        make(
          'tr',
          {},
          head('Processor', ''),
          head('soquete', 'number'),
          head('its own books', 'number'),
          head('Difference', 'number'),
        ),
      ),
      make('tbody', {}, ...rows, totalRow),
    ),
    fees(books.sides.map(({ theirs }) => theirs ?? {})),
  );
}

const head = (text: string, look: string): HTMLElement => make('th', { scope: 'col', class: look }, text);

function sideRow(name: string, { count, cents, theirs, differenceCents }: BooksSide): HTMLElement {
  const sum = (label: string, value: { count: number; cents: number }): HTMLElement =>
    make(
      'td',
      { class: 'number', 'data-label': label },
      decimals(value.cents),
      make('br'),
      make('small', {}, plural(value.count, 'payment')),
    );
  const look = theirs === null ? 'muted' : differenceCents === 0 ? 'good' : 'trouble';
  return make(
    'tr',
    {},
    make('th', { scope: 'row' }, name),
    sum('soquete', { count, cents }),
    theirs === null
      ? make('td', { class: 'number muted', 'data-label': 'its own books' }, 'no answer')
      : sum('its own books', theirs),
    make(
      'td',
      { class: `number ${look}`, 'data-label': 'Difference' },
      theirs === null ? '–' : decimals(differenceCents),
    ),
  );
}

function simpleTable(rows: readonly { name: string; count: number; cents: number }[]): HTMLElement {
  return make(
    'table',
    { class: 'sums' },
    make(
      'thead',
      {},
      make('tr', {}, head('Processor', ''), head('Payments', 'number'), head('Amount', 'number')),
    ),
    make(
      'tbody',
      {},
      ...rows.map(({ name, count, cents }) =>
        make(
          'tr',
          {},
          make('th', { scope: 'row' }, name),
          make('td', { class: 'number', 'data-label': 'Payments' }, grouped(count)),
          make('td', { class: 'number', 'data-label': 'Amount' }, decimals(cents)),
        ),
      ),
    ),
  );
}

/** What was paid, and what the least would have been; nothing where a sum or a fee is not known. */
function fees(sides: readonly { cents?: number; feeShare?: number | undefined }[]): HTMLElement | false {
  const known = sides.flatMap(({ cents, feeShare }) =>
    cents === undefined || feeShare === undefined ? [] : [{ cents, feeShare }],
  );
  if (known.length < sides.length) return false;
  const paid = known.reduce((sum, { cents, feeShare }) => sum + cents * feeShare, 0);
  const all = known.reduce((sum, { cents }) => sum + cents, 0);
  const cheapest = Math.min(...known.map(({ feeShare }) => feeShare)) * all;
  const more = cheapest === 0 ? 0 : (paid / cheapest - 1) * 100;
  const excess =
    more < 0.005
      ? 'that is the least possible'
      : `${more.toFixed(2)} % above the least possible, ${decimals(cheapest)}`;
  return make('p', { class: 'fees' }, 'Fees paid: ', make('b', {}, decimals(paid)), ` (${excess}).`);
}

let shownPolicy = '';

/** The policy as configured, in words, and what is promised, which a database's settings may change. */
export function showPolicy({ policy, survives }: DashboardView): void {
  const text = JSON.stringify([policy, survives]);
  if (text === shownPolicy) return;
  shownPolicy = text;
  const { defaultAttempts, backoffMinMs, backoffMaxMs, fallbackAfterMs, attemptTimeoutMs } = policy;
  fill(
    byId('policy'),
    ...[
      `An acknowledged payment survives ${survives}.`,
      `Each gets up to ${plural(defaultAttempts, 'attempt')} on default, then one on fallback, then a new round begins. No payment is ever given up.`,
      `The pause between two attempts is ${duration(backoffMinMs)} at first, doubles each time up to ${duration(backoffMaxMs)}, and is partly random.`,
      `While default's circuit is open a payment waits and spends no attempt. Single probes find out when default is back. After ${duration(fallbackAfterMs)} of waiting fallback may take it, also if default is only slow or full; and before that, if the backlog shows that its turn would come later.`,
      `No answer within ${duration(attemptTimeoutMs)}, or one that proves nothing, pins a payment: it only goes back to the same processor, so that it cannot be paid twice.`,
      `Each backend has at most ${plural(policy.workerConcurrency, 'attempt')} on their way at once to each processor.`,
    ].map(text => make('li', {}, text)),
  );
}
