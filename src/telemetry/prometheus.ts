/**
 * The figures of all instances as Prometheus text. Loaded at the first scrape: neither a start nor a payment
 * waits for prom-client.
 *
 * The instances have counted already, so prom-client gets metrics as JSON, as the workers of a cluster send
 * them to their primary, and renders them as one text. A dead instance keeps its counters at their last
 * values (a sum over instances does not fall), loses its gauges, and has `soquete_instance_up` 0.
 */
import { AggregatorRegistry } from 'prom-client';
import { HOLD_REASONS, NOT_HELD, PROCESSORS } from '../domain/payment.ts';
import type { HeldCounts } from '../storage/inspection.ts';
import { MOMENTS_MS, type PackedHistogram, WHILES_MS } from './histogram.ts';
import type {
  InstanceSeen,
  InstanceSnapshot,
  ProcessFigures,
  ProcessorFigures,
  SharedHealth,
} from './snapshot.ts';

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** The text for a scrape. `held`: undefined when the store cannot say. */
export function renderMetrics(
  seen: readonly InstanceSeen[],
  shared: SharedHealth,
  held?: HeldCounts,
): Promise<string> {
  const metrics = new Metrics();
  for (const instance of seen) addInstance(metrics, instance, shared);
  for (const [place, reason] of HOLD_REASONS.entries()) {
    if (place === NOT_HELD || held === undefined) continue;
    const help = 'Unsettled payments that wait for an operator, in the whole deployment.';
    metrics.gauge('soquete_payments_held', help, { reason }, held[place] ?? 0);
  }
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

/** A metric without further labels: its name, its help text, and where its value is. */
type Row<Figures> = readonly [name: string, help: string, read: (figures: Figures) => number];

const INSTANCE_GAUGES: readonly Row<InstanceSnapshot>[] = [
  ['http_server_active_connections', 'Open connections.', it => it.connections],
  ['soquete_instance_ready', 'Whether the instance takes payments.', it => Number(it.reasons.length === 0)],
  ['soquete_queue_length', 'Payments in memory.', it => it.queue.length],
  ['soquete_queue_capacity', 'Payments that fit into memory.', it => it.queue.capacity],
  [
    'soquete_payments_pinned',
    'Payments whose last attempt may have been processed: only its processor can say.',
    it => it.queue.pinned,
  ],
  ['soquete_attempts_active', 'Attempts on their way.', it => it.queue.atWork],
  [
    'soquete_oldest_unsettled_seconds',
    'Age of the oldest unsettled payment in memory; 0 when there is none.',
    it => it.queue.oldestMs / 1000,
  ],
  ['soquete_store_bytes', "The size of the store's files.", it => it.storeBytes],
];

/** Named and described as prom-client does for its own process. */
const PROCESS_COUNTERS: readonly Row<ProcessFigures>[] = [
  ['process_cpu_user_seconds_total', 'Total user CPU time spent in seconds.', it => it.cpuUserSeconds],
  ['process_cpu_system_seconds_total', 'Total system CPU time spent in seconds.', it => it.cpuSystemSeconds],
  [
    'process_cpu_seconds_total',
    'Total user and system CPU time spent in seconds.',
    it => it.cpuUserSeconds + it.cpuSystemSeconds,
  ],
];

const PROCESS_GAUGES: readonly Row<ProcessFigures>[] = [
  [
    'process_start_time_seconds',
    'Start time of the process since unix epoch in seconds.',
    it => it.startSeconds,
  ],
  ['process_resident_memory_bytes', 'Resident memory size in bytes.', it => it.residentBytes],
  ['process_open_fds', 'Number of open file descriptors.', it => it.openFds],
  ['process_max_fds', 'Maximum number of open file descriptors.', it => it.maxFds],
  [
    'nodejs_active_resources',
    'Number of active resources that keep the event loop alive.',
    it => it.activeResources,
  ],
  ['nodejs_heap_size_total_bytes', 'Process heap size from Node.js in bytes.', it => it.heapTotalBytes],
  ['nodejs_heap_size_used_bytes', 'Process heap size used from Node.js in bytes.', it => it.heapUsedBytes],
  ['nodejs_external_memory_bytes', 'Node.js external memory size in bytes.', it => it.externalBytes],
  ['nodejs_eventloop_utilization_ratio', 'Share of time in which the event loop was busy.', it => it.busy],
  ...['min_', 'max_', 'mean_', 'stddev_', 'p50_', 'p90_', 'p99_'].map(
    (part, at): Row<ProcessFigures> => [
      `nodejs_eventloop_lag_${part}seconds`,
      `The ${part.slice(0, -1)} of the delays of the event loop over the last seconds.`,
      it => it.lagSeconds[at]!,
    ],
  ),
];

function addInstance(metrics: Metrics, seen: InstanceSeen, shared: SharedHealth): void {
  const { name, alive, unsettled, figures } = seen;
  const instance = { instance: name };
  metrics.gauge(
    'soquete_instance_up',
    'Whether the instance is alive (1), or stopped or declared dead (0): then its counters are its last ones.',
    instance,
    Number(alive),
  );
  // Payments of a dead instance are about to be taken over, so they count.
  metrics.gauge(
    'soquete_payments_unsettled',
    'Accepted payments that are not settled, those that only the store holds included.',
    instance,
    unsettled,
  );
  if (figures === undefined) return;
  const { runtime } = figures;
  addAnswers(metrics, instance, figures);
  addPayments(metrics, instance, figures);
  for (const [metric, help, read] of PROCESS_COUNTERS) metrics.counter(metric, help, instance, read(runtime));
  for (const [kind, [count, seconds]] of Object.entries(runtime.gc)) {
    const labels = { ...instance, kind };
    metrics.counter('nodejs_gc_runs_total', 'Garbage collections by kind.', labels, count);
    metrics.counter('nodejs_gc_seconds_total', 'Time spent in garbage collections by kind.', labels, seconds);
  }
  if (!alive) return;
  for (const [metric, help, read] of INSTANCE_GAUGES) metrics.gauge(metric, help, instance, read(figures));
  if (figures.disk !== undefined) {
    const { freeBytes, reserveBytes } = figures.disk;
    metrics.gauge('soquete_disk_free_bytes', "Room on the store's disk.", instance, freeBytes);
    const help = "Room on the store's disk that is kept for settling: with less, payments are refused.";
    metrics.gauge('soquete_disk_reserve_bytes', help, instance, reserveBytes);
  }
  for (const [metric, help, read] of PROCESS_GAUGES) metrics.gauge(metric, help, instance, read(runtime));
  const build = { ...instance, version: runtime.soquete, node: runtime.node };
  metrics.gauge('soquete_build_info', 'What runs, as labels; the value is always 1.', build, 1);
  const isChecker = Number(shared.checker === name);
  metrics.gauge(
    'soquete_checker',
    "Whether this instance asks the processors' health, for all.",
    instance,
    isChecker,
  );
  for (const [index, processor] of PROCESSORS.entries()) {
    const labels = { ...instance, processor };
    addProcessor(metrics, labels, figures.processors[index]!, figures.atMs, shared.health[index]);
    if (figures.books === undefined) continue;
    metrics.gauge(
      'soquete_audit_difference_cents',
      "The processor's own sum less soquete's, over a closed window, in cents; from the instance that compares.",
      labels,
      figures.books.sides[index]!.differenceCents,
    );
  }
}

function addAnswers(metrics: Metrics, instance: Labels, { answers, refusals }: InstanceSnapshot): void {
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

function addPayments(metrics: Metrics, instance: Labels, figures: InstanceSnapshot): void {
  const { accepted, settled, cents, attempts, settling, commits } = figures;
  const acceptedHelp = 'Accepted payments, each once however often it was sent.';
  metrics.counter('soquete_payments_accepted_total', acceptedHelp, instance, accepted);
  for (const [index, processor] of PROCESSORS.entries()) {
    const labels = { ...instance, processor };
    const centsHelp = 'Money settled, by processor, in cents.';
    metrics.counter(
      'soquete_payments_settled_total',
      'Payments settled, by processor.',
      labels,
      settled[index]!,
    );
    metrics.counter('soquete_payment_amount_cents_total', centsHelp, labels, cents[index]!);
    for (const [outcome, count] of Object.entries(attempts[index]!)) {
      const help = 'Attempts to settle a payment, by how they ended.';
      metrics.counter('soquete_attempts_total', help, { ...labels, outcome }, count);
    }
  }
  metrics.counter(
    'soquete_log_damaged_total',
    "Damaged or lost parts of the store's log, each counted by the instance that kept it.",
    instance,
    figures.logDamaged ?? 0,
  );
  metrics.histogram(
    'soquete_settlement_duration_seconds',
    'From the acceptance of a payment to its settlement.',
    instance,
    WHILES_MS,
    settling,
  );
  metrics.histogram(
    'soquete_store_commit_duration_seconds',
    'From handing a batch to the store to its confirmation that the batch is committed.',
    instance,
    MOMENTS_MS,
    commits,
  );
}

function addProcessor(
  metrics: Metrics,
  labels: Labels,
  { circuit, probing, healthAtMs }: ProcessorFigures,
  atMs: number,
  health: SharedHealth['health'][number] | undefined,
): void {
  const gauge = (name: string, help: string, value: number): void => metrics.gauge(name, help, labels, value);
  for (const state of ['closed', 'half-open', 'open'] as const) {
    const help = "The state of a processor's circuit: 1 for the present one, 0 for the others.";
    const value = Number(circuit === state);
    metrics.gauge('soquete_circuit_state', help, { ...labels, state: state.replace('-', '_') }, value);
  }
  gauge(
    'soquete_circuit_probing',
    'Whether the probe of a half-open circuit is on its way.',
    Number(probing),
  );
  if (health === undefined || healthAtMs === 0) return;
  const { failing, minResponseMs } = health;
  gauge(
    'soquete_processor_min_response_seconds',
    'The least time for an answer, as the processor reports it.',
    minResponseMs / 1000,
  );
  gauge('soquete_processor_failing', 'Whether the processor reports that it fails.', Number(failing));
  gauge(
    'soquete_processor_health_age_seconds',
    "Age of the last report of the processor's health.",
    (atMs - healthAtMs) / 1000,
  );
}
