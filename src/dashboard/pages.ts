/**
 * The pages of a backend, besides payments: for Prometheus, for orchestrators and for people. Payments never
 * need these modules, so each is loaded when it is first asked for, and no start waits for them.
 */
import { PROBLEM_KINDS } from '../http/problem.ts';
import type { Page, PageHandler } from '../http/routes.ts';
import type { DashboardSource } from './source.ts';

export interface Pages {
  readonly pages: Readonly<Record<string, PageHandler>>;
  readonly actions: Readonly<Record<string, PageHandler>>;
}

/** The pages of a backend that knows `observed`. */
export function createPages(observed: DashboardSource): Pages {
  const dashboard = () => import('./dashboard.ts');
  const apiDocs = () => import('./api-docs.ts');
  const pages: Record<string, PageHandler> = {
    '/': async () => (await dashboard()).showPage(),
    '/dashboard.json': async request => (await dashboard()).showView(observed, request),
    '/dashboard/payment.json': async request => (await dashboard()).showStory(observed, request),
    '/metrics': async () => {
      const { renderMetrics, CONTENT_TYPE } = await import('../telemetry/prometheus.ts');
      const body = await renderMetrics(observed.instances(), observed.shared());
      return { status: 200, contentType: CONTENT_TYPE, body };
    },
    // A process that answers is alive: a failing processor or a full queue is no reason to kill it.
    '/livez': async () => json(200, { status: 'ok' }),
    '/readyz': async () => {
      const { ready, reasons, instance } = observed.readiness();
      return json(ready ? 200 : 503, { status: ready ? 'ok' : 'unavailable', instance, reasons });
    },
  };
  pages['/openapi.json'] = async () => (await apiDocs()).showOpenApi();
  pages['/problems'] = async () => (await apiDocs()).showProblems();
  for (const kind of PROBLEM_KINDS) {
    pages[`/problems/${kind}`] = async () => (await apiDocs()).showProblem(kind);
  }
  if (observed.controls === undefined) return { pages, actions: {} };
  pages['/dashboard/processors.json'] = async () => (await dashboard()).showControls(observed);
  return {
    pages,
    actions: { '/dashboard/processors': async request => (await dashboard()).setControl(observed, request) },
  };
}

const json = (status: number, value: unknown): Page => ({
  status,
  contentType: 'application/json',
  body: JSON.stringify(value),
});
