/**
 * The figures of all instances as Prometheus text. Loaded at the first scrape: prom-client is not in the way
 * of payments.
 *
 * The instances have counted already, so prom-client is given what it would be given by the workers of a
 * cluster, metrics as JSON, and makes one text of them. Of an instance that is gone the counters are told as
 * they last were (a sum over instances does not fall), its states are not, and `soquete_instance_up` is 0.
 */
import { AggregatorRegistry } from 'prom-client';
import { PROCESSORS } from '../domain/payment.ts';
import { MOMENTS_MS, type PackedHistogram, WHILES_MS } from './histogram.ts';
import type { InstanceSeen, InstanceSnapshot, ProcessFigures, SharedHealth } from './snapshot.ts';

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** The text for a scrape. */
export function renderMetrics(seen: readonly InstanceSeen[], shared: SharedHealth): Promise<string> {
  const metrics = new Metrics();
  for (const instance of seen) tellInstance(metrics, instance, shared);
  return AggregatorRegistry.aggregate([metrics.asJson()]).metrics();
}

type Labels = Readonly<Record<string, string | number>>;
type Type = 'counter' | 'gauge' | 'histogram';

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: Type;
  readonly aggregator: 'sum';
  readonly values: { readonly value: number; readonly labels: Labels; readonly metricName?: string }[];
}

/** Metrics as prom-client's registries exchange them. */
class Metrics {
  readonly #metrics = new Map<string, Metric>();

  counter(name: string, help: string, labels: Labels, value: number): void {
    this.#metric(name, help, 'counter').values.push({ value, labels });
  }

  gauge(name: string, help: string, labels: Labels, value: number): void {
    this.#metric(name, help, 'gauge').values.push({ value, labels });
  }

  histogram(
    name: string,
    help: string,
    labels: Labels,
    boundsMs: readonly number[],
    packed: PackedHistogram,
  ): void {
    const { values } = this.#metric(name, help, 'histogram');
    let count = 0;
    for (const [bucket, boundMs] of [...boundsMs, Infinity].entries()) {
      count += packed[bucket + 1] ?? 0;
      const le = boundMs === Infinity ? '+Inf' : boundMs / 1000;
      values.push({ value: count, labels: { le, ...labels }, metricName: `${name}_bucket` });
    }
    values.push({ value: (packed[0] ?? 0) / 1000, labels, metricName: `${name}_sum` });
    values.push({ value: count, labels, metricName: `${name}_count` });
  }

  asJson(): object[] {
    return [...this.#metrics.values()];
  }

  #metric(name: string, help: string, type: Type): Metric {
    let metric = this.#metrics.get(name);
    if (metric === undefined) {
      metric = { name, help, type, aggregator: 'sum', values: [] };
      this.#metrics.set(name, metric);
    }
    return metric;
  }
}

function tellInstance(
  metrics: Metrics,
  { name, alive, unsettled, figures }: InstanceSeen,
  shared: SharedHealth,
): void {
  const labels = { instance: name };
  metrics.gauge(
    'soquete_instance_up',
    'Whether the instance lives (1), or stopped or was found dead (0): then its counters are its last ones.',
    labels,
    alive ? 1 : 0,
  );
  // What a dead one still owns is about to be taken over, so it counts.
  metrics.gauge(
    'soquete_payments_unsettled',
    'Accepted payments that are not settled, those that only the store holds included.',
    labels,
    unsettled,
  );
  if (figures === undefined) return;
  tellAnswers(metrics, labels, figures);
  tellPayments(metrics, labels, figures);
  tellRuntime(metrics, labels, figures.runtime, alive);
  if (alive) tellStates(metrics, labels, figures, shared, name);
}

function tellAnswers(metrics: Metrics, instance: Labels, { answers, refusals }: InstanceSnapshot): void {
  for (const [method, route, status, took] of answers) {
    metrics.histogram(
      'http_server_request_duration_seconds',
      'From the turn of the event loop in which a request was complete to its answer on the socket.',
      { ...instance, method, route, status },
      MOMENTS_MS,
      took,
    );
  }
  for (const [reason, count] of Object.entries(refusals)) {
    metrics.counter(
      'http_server_refusals_total',
      'Requests that were refused before they reached a route, by what was wrong with them.',
      { ...instance, reason },
      count,
    );
  }
}

function tellPayments(metrics: Metrics, instance: Labels, figures: InstanceSnapshot): void {
  metrics.counter(
    'soquete_payments_accepted_total',
    'Payments taken on, each once however often it was sent.',
    instance,
    figures.accepted,
  );
  for (const [index, processor] of PROCESSORS.entries()) {
    const labels = { ...instance, processor };
    metrics.counter(
      'soquete_payments_settled_total',
      'Payments settled, by processor.',
      labels,
      figures.settled[index]!,
    );
    metrics.counter(
      'soquete_payment_amount_cents_total',
      'Money settled, by processor, in cents.',
      labels,
      figures.cents[index]!,
    );
    for (const [outcome, count] of Object.entries(figures.attempts[index]!)) {
      metrics.counter(
        'soquete_attempts_total',
        'Attempts to settle a payment, by how they ended.',
        { ...labels, outcome },
        count,
      );
    }
  }
  metrics.histogram(
    'soquete_settlement_duration_seconds',
    'From the acceptance of a payment to its settlement.',
    instance,
    WHILES_MS,
    figures.settling,
  );
  metrics.histogram(
    'soquete_store_commit_duration_seconds',
    'From handing a batch to the store to its word that the batch is committed.',
    instance,
    MOMENTS_MS,
    figures.commits,
  );
}

function tellStates(
  metrics: Metrics,
  instance: Labels,
  figures: InstanceSnapshot,
  shared: SharedHealth,
  name: string,
): void {
  const gauge = (metric: string, help: string, value: number, labels: Labels = instance): void =>
    metrics.gauge(metric, help, labels, value);
  const { queue, processors, atMs, storeBytes, books } = figures;
  gauge('http_server_active_connections', 'Open connections.', figures.connections);
  gauge(
    'soquete_instance_ready',
    'Whether the instance takes payments.',
    figures.reasons.length === 0 ? 1 : 0,
  );
  gauge(
    'soquete_checker',
    "Whether this instance asks the processors' health, for all.",
    shared.checker === name ? 1 : 0,
  );
  gauge('soquete_queue_length', 'Payments in memory.', queue.length);
  gauge('soquete_queue_capacity', 'Payments that fit into memory.', queue.capacity);
  gauge(
    'soquete_payments_pinned',
    'Payments whose last attempt may have been processed: only its processor can tell.',
    queue.pinned,
  );
  gauge('soquete_attempts_active', 'Attempts on their way.', queue.atWork);
  gauge(
    'soquete_oldest_unsettled_seconds',
    'For how long the oldest unsettled payment in memory has waited; 0 when none waits.',
    queue.oldestMs / 1000,
  );
  gauge('soquete_store_bytes', "The size of the store's files.", storeBytes);
  for (const [index, processor] of PROCESSORS.entries()) {
    const { circuit, healthAtMs } = processors[index]!;
    const labels = { ...instance, processor };
    for (const state of ['closed', 'half-open', 'open'] as const) {
      const help = "The state of a processor's circuit: 1 for the present one, 0 for the others.";
      gauge('soquete_circuit_state', help, circuit === state ? 1 : 0, {
        ...labels,
        state: state.replace('-', '_'),
      });
    }
    const health = shared.health[index];
    if (health === undefined || healthAtMs === 0) continue;
    gauge(
      'soquete_processor_min_response_seconds',
      'The least time that a processor says it needs for an answer.',
      health.minResponseMs / 1000,
      labels,
    );
    gauge(
      'soquete_processor_failing',
      'Whether a processor says that it fails.',
      health.failing ? 1 : 0,
      labels,
    );
    gauge(
      'soquete_processor_health_age_seconds',
      'How long ago a processor was last heard of its health.',
      (atMs - healthAtMs) / 1000,
      labels,
    );
  }
  if (books === undefined) return;
  for (const [index, processor] of PROCESSORS.entries()) {
    gauge(
      'soquete_audit_difference_cents',
      "The processor's own sum less soquete's, over a window that is closed, in cents; told by the instance that compares.",
      books.sides[index]!.differenceCents,
      { ...instance, processor },
    );
  }
}

/** What prom-client tells of a Node.js process by default, of each instance. */
function tellRuntime(metrics: Metrics, instance: Labels, runtime: ProcessFigures, alive: boolean): void {
  const { cpuUserSeconds: user, cpuSystemSeconds: system } = runtime;
  const counter = (name: string, help: string, value: number): void =>
    metrics.counter(name, help, instance, value);
  counter('process_cpu_user_seconds_total', 'Total user CPU time spent in seconds.', user);
  counter('process_cpu_system_seconds_total', 'Total system CPU time spent in seconds.', system);
  counter('process_cpu_seconds_total', 'Total user and system CPU time spent in seconds.', user + system);
  for (const [kind, [count, seconds]] of Object.entries(runtime.gc)) {
    const labels = { ...instance, kind };
    metrics.counter('nodejs_gc_runs_total', 'Garbage collections by kind.', labels, count);
    metrics.counter('nodejs_gc_seconds_total', 'Time spent in garbage collections by kind.', labels, seconds);
  }
  if (!alive) return;
  const gauge = (name: string, help: string, value: number): void =>
    metrics.gauge(name, help, instance, value);
  gauge(
    'process_start_time_seconds',
    'Start time of the process since unix epoch in seconds.',
    runtime.startSeconds,
  );
  gauge('process_resident_memory_bytes', 'Resident memory size in bytes.', runtime.residentBytes);
  gauge('process_open_fds', 'Number of open file descriptors.', runtime.openFds);
  gauge('process_max_fds', 'Maximum number of open file descriptors.', runtime.maxFds);
  gauge(
    'nodejs_active_resources',
    'Number of active resources that keep the event loop alive.',
    runtime.activeResources,
  );
  gauge('nodejs_heap_size_total_bytes', 'Process heap size from Node.js in bytes.', runtime.heapTotalBytes);
  gauge(
    'nodejs_heap_size_used_bytes',
    'Process heap size used from Node.js in bytes.',
    runtime.heapUsedBytes,
  );
  gauge('nodejs_external_memory_bytes', 'Node.js external memory size in bytes.', runtime.externalBytes);
  gauge(
    'nodejs_eventloop_utilization_ratio',
    'Share of time in which the event loop was busy.',
    runtime.busy,
  );
  for (const [at, part] of ['min_', 'max_', 'mean_', 'stddev_', 'p50_', 'p90_', 'p99_'].entries()) {
    const which = part.slice(0, -1);
    const help = `The ${which} of the delays of the event loop over the last seconds.`;
    gauge(`nodejs_eventloop_lag_${part}seconds`, help, runtime.lagSeconds[at]!);
  }
  const info = { ...instance, version: runtime.soquete, node: runtime.node };
  metrics.gauge('soquete_build_info', 'What runs, as labels; the value is always 1.', info, 1);
}
