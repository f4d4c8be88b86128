/** The backend's part of the dashboard: the view of all instances, one payment's timeline, the controls. */

import { readFile } from 'node:fs/promises';
import { HOLD_REASONS, idBytes, PROCESSORS, type Processor } from '../domain/payment.ts';
import type { Page, PageRequest } from '../http/page.ts';
import type { NoAdminAnswer } from '../processor-simulator/admin-client.ts';
import { openAdmin } from '../telemetry/processor-admin.ts';
import type { InstanceSeen } from '../telemetry/snapshot.ts';
import type { DashboardView, InstanceLine, ProcessorState } from './api.ts';
import { isJson, JSON_TYPE, jsonPage, NO_STORE } from './json-page.ts';
import { paymentLine, timelineOf } from './payment-timeline.ts';
import type { DashboardSource } from './source.ts';

const LATEST = 14;

/** The page itself, whole. */
export async function showPage(): Promise<Page> {
  const { html, policy } = await pageText();
  const fields = `Content-Security-Policy: ${policy}\r\nCache-Control: no-cache\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n`;
  return { status: 200, contentType: 'text/html; charset=utf-8', body: html, fields };
}

/** The state of everything, as `DashboardView`: with all samples, and with those later than `recentMs`. */
export async function showViews(
  observed: DashboardSource,
  recentMs: number,
): Promise<Readonly<Record<'all' | 'recent', Page>>> {
  // A store that cannot be read is shown as such: the rest of the view does not need it.
  const latest = await observed.latest(LATEST).catch(() => []);
  const counts = await observed.held().catch(() => []);
  const disk = await observed.disk().catch(() => null);
  const seen = observed.instances();
  const shared = observed.shared();
  const nowMs = observed.nowMs();
  const books = seen.findLast(({ alive, figures }) => alive && figures?.books !== undefined)?.figures?.books;
  const view: Omit<DashboardView, 'samples'> = {
    nowMs,
    answeredBy: observed.readiness().instance,
    door: observed.door,
    policy: observed.policy,
    survives: observed.survives(),
    instances: seen.map(instance => instanceState(instance, shared.checker, nowMs)),
    processors: PROCESSORS.map((_, index) => processorState(observed, seen, index)),
    ...(observed.audited ? { books: books ?? null } : {}),
    held: Object.fromEntries(
      counts.flatMap((count, place) => (count > 0 ? [[HOLD_REASONS[place]!, count]] : [])),
    ),
    disk,
    latest: latest.map(paymentLine),
    operator: observed.hasToken,
    controls: observed.controls !== undefined,
  };
  const withSamples = (sinceMs: number): Page =>
    jsonPage(200, { ...view, samples: observed.samples(sinceMs) } satisfies DashboardView);
  return { all: withSamples(0), recent: withSamples(recentMs) };
}

/** The `PaymentTimeline` of the payment that the query names by `id`. */
export async function showStory(observed: DashboardSource, { query }: PageRequest): Promise<Page> {
  const id = idBytes(new URLSearchParams(query).get('id')?.trim() ?? '');
  if (id === undefined) return jsonPage(400, { detail: 'This is not a correlationId: it takes a UUID.' });
  const history = await observed.history(id);
  if (history === undefined)
    return jsonPage(404, { detail: 'No payment with this correlationId has reached the store.' });
  const owner = observed.instances().find(({ name }) => name === history.payment.owner);
  const circuits = owner?.alive ? owner.figures?.processors : undefined;
  return jsonPage(200, timelineOf(history, circuits, observed.policy));
}

/** The settings of the simulated processors; null for one that does not answer. */
export async function showControls(observed: DashboardSource): Promise<Page> {
  const { urls, token } = observed.controls!;
  const states = await Promise.all(
    urls.map(async url => {
      await using admin = openAdmin(url, token);
      return await admin.settings().catch(() => null);
    }),
  );
  return jsonPage(200, states);
}

/** The settings that can be changed: each is a path of the processor. */
const CONTROLS = ['delay', 'failure', 'faults'] as const;

/**
 * Changes a simulated processor: `{"processor":"default","set":"delay","to":{"delay":500}}`. A page of
 * another site, which the door refuses, could not send this content type either: it would need a preflight.
 */
export async function setControl(
  observed: DashboardSource,
  { body, contentType }: PageRequest,
): Promise<Page> {
  if (!isJson(contentType)) {
    return jsonPage(403, { detail: 'Send this as application/json.' });
  }
  let wanted: { processor?: unknown; set?: unknown; to?: unknown };
  try {
    wanted = JSON.parse(body) ?? {};
  } catch {
    return jsonPage(400, { detail: 'Send JSON.' });
  }
  const index = PROCESSORS.indexOf(wanted.processor as Processor);
  const control = CONTROLS.find(name => name === wanted.set);
  if (index < 0 || control === undefined) {
    return jsonPage(422, { detail: `Name a processor, and one of ${CONTROLS.join(', ')} to set.` });
  }
  const { urls, token } = observed.controls!;
  await using admin = openAdmin(urls[index]!, token);
  try {
    const { status, text } = await admin.ask('PUT', `/admin/configurations/${control}`, wanted.to);
    return {
      status: status === 200 ? 200 : 422,
      contentType: JSON_TYPE,
      body: text || '{}',
      fields: NO_STORE,
    };
  } catch (error) {
    const { reason } = error as NoAdminAnswer;
    return jsonPage(502, { detail: `The processor does not answer: ${reason}.` });
  }
}

function instanceState(instance: InstanceSeen, checker: string, nowMs: number): InstanceLine {
  const { name, alive, unsettled, figures } = instance;
  return {
    name,
    alive,
    reasons: figures?.reasons ?? [],
    isChecker: alive && checker === name,
    connections: alive ? (figures?.connections ?? 0) : 0,
    accepted: figures?.accepted ?? 0,
    unsettled,
    queue: alive ? (figures?.queue ?? null) : null,
    busy: figures?.runtime.busy ?? 0,
    residentBytes: figures?.runtime.residentBytes ?? 0,
    startedAtMs: (figures?.runtime.startSeconds ?? 0) * 1000,
    ageMs: figures === undefined ? 0 : Math.max(0, nowMs - figures.atMs),
  };
}

function processorState(
  observed: DashboardSource,
  seen: readonly InstanceSeen[],
  index: number,
): ProcessorState {
  const report = observed.shared().health[index];
  const attempts: Record<string, number> = {};
  const circuits: ProcessorState['circuits'][number][] = [];
  let [settled, cents, healthAtMs] = [0, 0, 0];
  for (const { name, alive, figures } of seen) {
    if (figures === undefined) continue;
    settled += figures.settled[index]!;
    cents += figures.cents[index]!;
    for (const [outcome, count] of Object.entries(figures.attempts[index]!)) {
      attempts[outcome] = (attempts[outcome] ?? 0) + count;
    }
    if (!alive) continue;
    const { circuit, probing, probeAtMs, healthAtMs: reportedAtMs } = figures.processors[index]!;
    circuits.push({ instance: name, circuit, probing, probeAtMs });
    // An instance that started after the report counts its age from its own start, so the earliest is right.
    healthAtMs = healthAtMs === 0 ? reportedAtMs : Math.min(healthAtMs, reportedAtMs || healthAtMs);
  }
  return {
    name: PROCESSORS[index]!,
    url: shortUrl(observed.processorUrls[index]!),
    failing: report?.failing ?? false,
    minResponseMs: report?.minResponseMs ?? 0,
    healthAgeMs: healthAtMs === 0 ? null : Math.max(0, observed.nowMs() - healthAtMs),
    circuits,
    settled,
    cents,
    attempts,
  };
}

/** Without credentials that the URL may hold. */
const shortUrl = (url: string): string => {
  const { host, pathname } = new URL(url);
  return host + pathname.replace(/\/$/, '');
};

let page: Promise<{ html: string; policy: string }> | undefined;

/** The page: a file beside this bundle, or, when run from source, built now. Kept once read. */
function pageText(): Promise<{ html: string; policy: string }> {
  page ??= readPage();
  page.catch(() => {
    page = undefined;
  });
  return page;
}

async function readPage(): Promise<{ html: string; policy: string }> {
  if (import.meta.url.endsWith('.ts')) {
    const { buildPage } = await import(new URL('./page/build.mjs', import.meta.url).href);
    return buildPage();
  }
  return JSON.parse(await readFile(new URL('./page.json', import.meta.url), 'utf8'));
}
