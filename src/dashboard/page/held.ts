/** The payments that are held: those that wait for a person. */

import type { DashboardView, HeldLine } from '../api.ts';
import { byId, fill, make } from './dom.ts';
import { clock, decimals } from './format.ts';
import { storyButton } from './story-button.ts';

/** Shows those that came first. `open` shows the story of one. */
export async function refreshHeld({ held }: DashboardView, open: (id: string) => void): Promise<void> {
  const panel = byId('held');
  panel.hidden = Object.keys(held).length === 0;
  const body = byId('held-rows');
  if (panel.hidden || body.matches(':hover') || body.contains(document.activeElement)) return;
  const answer = await fetch('dashboard/held.json');
  if (!answer.ok) return;
  const lines: readonly HeldLine[] = await answer.json();
  fill(body, ...lines.slice(0, ROWS_MAX).map(line => row(line, open)));
  const more = lines.length - ROWS_MAX;
  byId('held-more').textContent = more > 0 ? `… and ${more} more: npm run payments -- held` : '';
}

const ROWS_MAX = 10;

function row({ correlationId, cents, held, retryAtMs }: HeldLine, open: (id: string) => void): HTMLElement {
  return make(
    'tr',
    {},
    make('td', {}, storyButton(correlationId, open)),
    make('td', { class: 'number' }, decimals(cents)),
    make('td', {}, held),
    make('td', {}, retryAtMs === null ? 'never' : clock(retryAtMs)),
  );
}
