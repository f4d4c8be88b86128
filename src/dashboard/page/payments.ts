/** The latest payments, the search for one, and its story. */

import type { DashboardView, PaymentLine, PaymentTimeline } from '../api.ts';
import { byId, fill, make } from './dom.ts';
import { clock, decimals, duration } from './format.ts';
import { handOn } from './hand.ts';
import { storyButton } from './story-button.ts';

const COLOURS: Readonly<Record<string, string>> = { default: 'c-default', fallback: 'c-fallback' };

let wantedId: string | undefined;
let isDone = false;
let isOperator = false;

/** Makes the search work. */
export function startPayments(): void {
  byId<HTMLFormElement>('search').addEventListener('submit', event => {
    event.preventDefault();
    void openStory(byId<HTMLInputElement>('wanted').value.trim());
  });
}

/** Shows the latest payments, unless the pointer or the focus is on them. */
export function showLatest({ latest }: DashboardView): void {
  const body = byId('latest');
  byId('latest-none').hidden = latest.length > 0;
  if (body.matches(':hover') || body.contains(document.activeElement)) return;
  fill(body, ...latest.map(row));
}

/** Asks again for the open story, until its payment is settled or closed. */
export async function refreshStory({ operator }: DashboardView): Promise<void> {
  isOperator = operator;
  if (wantedId !== undefined && !isDone) await load(wantedId);
}

function row(payment: PaymentLine): HTMLElement {
  const { correlationId, cents, acceptedAtMs, settledAtMs } = payment;
  const took = settledAtMs === 0 ? '' : duration(settledAtMs - acceptedAtMs);
  return make(
    'tr',
    {},
    make(
      'td',
      {},
      storyButton(correlationId, id => void openStory(id)),
    ),
    make('td', { class: 'number' }, decimals(cents)),
    make('td', {}, stateOf(payment)),
    make('td', { class: 'wide' }, clock(acceptedAtMs)),
    make('td', { class: 'number wide' }, took),
  );
}

function stateOf({ state, processor, attempts, held }: PaymentLine): HTMLElement {
  if (held !== null) return make('span', { class: 'state c-pinned' }, `held: ${held}`);
  const colour = state === 'pinned' ? 'c-pinned' : state === 'settled' ? COLOURS[processor ?? ''] : '';
  const words = {
    settled: `settled by ${processor}`,
    pinned: `pinned to ${processor}`,
    sent: `asking ${processor}`,
    waiting: attempts > 0 ? `waiting, ${attempts} tried` : 'waiting',
    closed: 'closed',
  }[state];
  return make('span', { class: `state ${colour}` }, words);
}

/** Shows the story of a payment. */
export async function openStory(id: string): Promise<void> {
  if (id === '') return;
  wantedId = id;
  isDone = false;
  byId<HTMLInputElement>('wanted').value = id;
  await load(id);
  byId('story').scrollIntoView({ block: 'nearest' });
}

async function load(id: string): Promise<void> {
  const panel = byId('story');
  let body: PaymentTimeline & { detail?: string };
  try {
    const answer = await fetch(`dashboard/payment.json?id=${encodeURIComponent(id)}`);
    body = await answer.json();
  } catch {
    return;
  }
  if (id !== wantedId) return;
  panel.hidden = false;
  const close = make('button', { type: 'button' }, 'Close');
  close.addEventListener('click', () => {
    wantedId = undefined;
    panel.hidden = true;
    byId('wanted').focus();
  });
  if (body.payment === undefined) {
    isDone = true;
    fill(panel, make('h3', {}, id, close), make('p', {}, body.detail ?? 'Nothing is known about it.'));
    return;
  }
  isDone = isOver(body.payment);
  const focused = panel.contains(document.activeElement) ? document.activeElement : null;
  const hand = isOperator && body.payment.state !== 'closed' ? handOn(body.payment) : undefined;
  fill(panel, make('h3', {}, body.payment.correlationId, close), ...story(body), hand);
  if (focused === null) return;
  if (hand?.contains(focused)) (focused as HTMLElement).focus();
  else close.focus();
}

const isOver = ({ state }: PaymentLine): boolean => state === 'settled' || state === 'closed';

function story({ payment, events, waits }: PaymentTimeline): HTMLElement[] {
  const list = make('ol', { tabindex: '0', 'aria-label': 'What happened, oldest first' });
  let earlierMs = payment.acceptedAtMs;
  for (const { atMs, kind, processor, durationMs, text } of events) {
    const colour = kind === 'settled' ? COLOURS[processor ?? ''] : kind === 'accepted' ? 'c-accent' : '';
    const sinceMs = atMs - earlierMs;
    earlierMs = atMs;
    list.append(
      make(
        'li',
        { class: colour ?? '' },
        make('time', { title: sinceMs > 0 ? `${duration(sinceMs)} later` : '' }, clock(atMs, true)),
        make('span', {}, text),
        make('span', { class: 'took' }, durationMs === null ? '' : duration(durationMs)),
      ),
    );
  }
  const amount = make('p', {}, `${decimals(payment.cents)}, `, stateOf(payment));
  if (waits === null) return [amount, list];
  const until = waits.untilMs > 0 ? ` (${clock(waits.untilMs, true)})` : '';
  return [amount, list, make('p', { class: 'waits' }, make('b', {}, 'Waits for: '), waits.why, until, '.')];
}

/** Puts the cursor into the search field. */
export function focusSearch(): void {
  byId<HTMLInputElement>('wanted').focus();
  byId<HTMLInputElement>('wanted').select();
}
