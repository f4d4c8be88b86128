/** The dashboard: asks once a second, of whichever backend answers, and draws the answer. */
import type { Sample } from '../../telemetry/snapshot.ts';
import type { DashboardView } from '../api.ts';
import { refreshControls } from './controls.ts';
import { byId, setText } from './dom.ts';
import { drawFlow } from './flow.ts';
import { brief, clock, decimals, duration, grouped, rate } from './format.ts';
import { refreshHeld } from './held.ts';
import { focusSearch, openStory, refreshStory, showLatest, startPayments } from './payments.ts';
import { Plot, type Point } from './plot.ts';
import { showBooks, showPolicy } from './reconciliation.ts';
import { headlineOf } from './verdict.ts';

const POLL_MS = 1000;
const KEPT_SECONDS = 310;
/** The first answers bring all samples of their instance: one that has just started has few. */
const FULL_ANSWERS = 4;

const samples = new Map<number, Sample>();
let view: DashboardView | undefined;
let lastAtMs = 0;
let answers = 0;
let isPaused = false;

const plots = {
  rates: new Plot(byId('plot-rates'), {
    title: 'Payments a second',
    least: 10,
    scale: brief,
    read: rate,
    lines: [
      { name: 'accepted', colour: 'accent' },
      { name: 'settled by default', colour: 'default', look: 'area' },
      { name: 'by fallback', colour: 'fallback', look: 'area' },
    ],
  }),
  answers: new Plot(byId('plot-answers'), {
    title: 'Time to answer a payment',
    least: 1,
    scale: value => (value === 0 ? '0' : duration(value)),
    read: duration,
    lines: [
      { name: '99 of 100 within', colour: 'muted', look: 'thin' },
      { name: 'half within', colour: 'accent' },
    ],
  }),
  waiting: new Plot(byId('plot-waiting'), {
    title: 'Waiting to be settled',
    least: 10,
    scale: brief,
    read: grouped,
    lines: [
      { name: 'payments', colour: 'accent', look: 'area' },
      { name: 'pinned', colour: 'pinned' },
    ],
  }),
};

async function poll(): Promise<void> {
  if (isPaused || document.hidden) return;
  try {
    const since = answers < FULL_ANSWERS ? 0 : lastAtMs - 3000;
    const response = await fetch(`dashboard.json?since=${since}`);
    if (!response.ok) throw new Error(String(response.status));
    const answer: DashboardView = await response.json();
    if (isPaused) return;
    update(answer);
    await refreshStory(answer);
    await refreshHeld(answer, id => void openStory(id));
    if (view?.controls && answers % 2 === 1) await refreshControls();
  } catch {
    setVerdict('bad', 'soquete does not answer. Retrying…');
  }
}

function update(answer: DashboardView): void {
  view = answer;
  answers += 1;
  for (const sample of answer.samples) samples.set(Math.floor(sample.atMs / 1000), sample);
  lastAtMs = answer.samples.at(-1)?.atMs ?? lastAtMs;
  const nowSecond = Math.floor(answer.nowMs / 1000);
  for (const second of samples.keys()) if (second < nowSecond - KEPT_SECONDS) samples.delete(second);
  draw();
}

function draw(): void {
  if (view === undefined) return;
  const { look, text } = headlineOf(view);
  setVerdict(look, text);
  const ordered = [...samples.entries()].sort(([one], [other]) => one - other);
  const latest = ordered.at(-1)?.[1];
  drawTiles(view, latest);
  drawFlow(view, latest);
  const nowSecond = Math.floor(view.nowMs / 1000);
  const points = (pick: (sample: Sample) => (number | null)[]): Point[] =>
    ordered.map(([second, sample]) => ({ second, values: pick(sample) }));
  plots.rates.show(
    points(sample => [sample.accepted, sample.default, sample.fallback]),
    nowSecond,
  );
  plots.answers.show(
    points(({ answerMs: [half = null, most = null] }) => [most, half]),
    nowSecond,
  );
  plots.waiting.show(
    points(sample => [sample.waiting, sample.pinned]),
    nowSecond,
  );
  showLatest(view);
  showBooks(view);
  showPolicy(view);
  setText('freshness', `${clock(view.nowMs)}, from ${view.answeredBy}`);
}

function drawTiles({ instances, books }: DashboardView, sample: Sample | undefined): void {
  const oldestMs = instances.reduce((so, { queue }) => Math.max(so, queue?.oldestMs ?? 0), 0);
  const waiting = instances.reduce((sum, { unsettled }) => sum + unsettled, 0);
  setText('now-accepted', rate(sample?.accepted ?? 0));
  setText('now-settled', rate((sample?.default ?? 0) + (sample?.fallback ?? 0)));
  setText('now-waiting', grouped(waiting));
  setText('now-oldest', waiting > 0 && oldestMs > 0 ? `the oldest for ${duration(oldestMs)}` : '');
  const recent = [...samples.values()].findLast(({ answerMs }) => answerMs[1] !== null);
  setText('now-answer', recent === undefined ? '–' : duration(recent.answerMs[1] ?? 0));
  const sides = books?.sides;
  const isKnown = sides?.every(({ theirs }) => theirs !== null) ?? false;
  const difference = sides?.reduce((sum, { differenceCents }) => sum + Math.abs(differenceCents), 0) ?? 0;
  setText('now-books', isKnown ? decimals(difference) : '–');
  setText('now-books-note', books === undefined ? 'not compared' : isKnown ? '' : 'no answer yet');
  byId('now-books')
    .closest('div')
    ?.classList.toggle('bad', difference > 0);
}

function setVerdict(look: string, text: string): void {
  byId('verdict').className = `verdict ${look}`;
  setText('verdict-text', text);
}

function setPaused(paused: boolean): void {
  isPaused = paused;
  const button = byId('pause');
  button.setAttribute('aria-pressed', String(paused));
  setText(button, paused ? 'Paused' : 'Pause');
  document.body.classList.toggle('paused', paused);
  if (!paused) void poll();
}

byId('pause').addEventListener('click', () => setPaused(!isPaused));
document.addEventListener('keydown', event => {
  const target = event.target as HTMLElement;
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches('input')) return;
  if (event.key === 'p') setPaused(!isPaused);
  if (event.key === '/') {
    event.preventDefault();
    focusSearch();
  }
});
document.addEventListener('visibilitychange', () => void poll());
addEventListener('resize', draw);
startPayments();

async function go(): Promise<never> {
  for (;;) {
    const startedAt = performance.now();
    await poll();
    await new Promise(resolve =>
      setTimeout(resolve, Math.max(200, POLL_MS - (performance.now() - startedAt))),
    );
  }
}
void go();
