/**
 * The pages of a backend, besides payments: for Prometheus, for orchestrators and for people. Payments never
 * need these modules, so each is loaded when it is first asked for, and no start waits for them.
 */
import { type PageHandler, PageMakers, sharedForms, sharedPage } from '../http/page.ts';
import { PROBLEM_KINDS } from '../http/problem.ts';
import { staticPage } from '../http/static-page.ts';
import type { DashboardSource } from './source.ts';

export interface Pages {
  readonly pages: Readonly<Record<string, PageHandler>>;
  readonly actions: Readonly<Record<string, PageHandler>>;
}

/** The pages of a backend that knows `observed`. */
export function createPages(observed: DashboardSource): Pages {
  const nowMs = () => performance.now();
  const dashboard = () => import('./dashboard.ts');
  const apiDocs = () => import('./api-docs.ts');
  const acts = () => import('./acts.ts');
  const makers = new PageMakers();
  const pages: Record<string, PageHandler> = {
    '/': staticPage(async () => (await dashboard()).showPage()),
    '/dashboard.json': sharedForms(
      query => (isRecent(query, observed.nowMs()) ? 'recent' : 'all'),
      async () => (await dashboard()).showViews(observed, observed.nowMs() - RECENT_MS),
      nowMs,
    ),
    '/dashboard/payment.json': makers.handler(async request =>
      (await dashboard()).showStory(observed, request),
    ),
    '/dashboard/held.json': sharedPage(async () => (await acts()).showHeld(observed), nowMs),
    '/dashboard/settled.json': makers.handler(async request => (await acts()).showSettled(observed, request)),
    '/metrics': sharedPage(async () => {
      const { renderMetrics, CONTENT_TYPE } = await import('../telemetry/prometheus.ts');
      const body = await renderMetrics(
        observed.instances(),
        observed.shared(),
        await observed.held().catch(() => undefined),
      );
      return { status: 200, contentType: CONTENT_TYPE, body };
    }, nowMs),
  };
  pages['/openapi.json'] = staticPage(async () => (await apiDocs()).showOpenApi());
  pages['/problems'] = staticPage(async () => (await apiDocs()).showProblems());
  for (const kind of PROBLEM_KINDS) {
    pages[`/problems/${kind}`] = staticPage(async () => (await apiDocs()).showProblem(kind));
  }
  const actions: Record<string, PageHandler> = {
    '/dashboard/acts': makers.handler(async request => (await acts()).doAct(observed, request)),
  };
  if (observed.controls === undefined) return { pages, actions };
  pages['/dashboard/processors.json'] = sharedPage(
    async () => (await dashboard()).showControls(observed),
    nowMs,
  );
  const setControl = makers.handler(async request => (await dashboard()).setControl(observed, request));
  return { pages, actions: { ...actions, '/dashboard/processors': setControl } };
}

/** The view has two forms: with the samples of the last minutes, and with those of the last seconds. */
const RECENT_MS = 10_000;

/** Whether the samples of the last seconds are all that are later than the `since` of the query. */
const isRecent = (query: string | undefined, nowMs: number): boolean =>
  Number(new URLSearchParams(query).get('since') ?? 0) >= nowMs - RECENT_MS;
