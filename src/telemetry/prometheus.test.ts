import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { DEFAULT, FALLBACK } from '../domain/payment.ts';
import { REFUSE } from '../http/refusals.ts';
import { METHODS, POST } from '../http/request.ts';
import { published } from '../testing/snapshots.ts';
import { Counters } from './counters.ts';
import { renderMetrics } from './prometheus.ts';
import { type InstanceSeen, type InstanceSnapshot, readPublished } from './snapshot.ts';

const shared = {
  health: [
    { failing: true, minResponseMs: 250 },
    { failing: false, minResponseMs: 0 },
  ],
  checker: 'backend-1',
};

function seen(name: string, figures: InstanceSnapshot | undefined, alive = true): InstanceSeen {
  return { name, alive, unsettled: 3, figures: figures && readPublished(JSON.stringify(figures)) };
}

function busy(): Counters {
  const figures = new Counters();
  figures.opened();
  for (const durationMs of [0.05, 0.15, 0.15, 30]) figures.answered(POST, 1, 202, durationMs);
  figures.answered(POST, 1, 422, 1);
  figures.refused(REFUSE.bareLineFeed);
  figures.accepted();
  figures.settled(DEFAULT, 1990, 12);
  figures.settled(FALLBACK, 1, 40_000);
  figures.attempted(DEFAULT, 'timed out');
  figures.committed(3);
  return figures;
}

test('methods and paths of a client that tries them all add no series of their own', () => {
  const figures = new Counters();
  for (const method of METHODS.keys()) {
    for (const status of [404, 501]) figures.answered(method, 0, status, 1);
    for (const route of [1, 2]) figures.answered(method, route, 405, 1);
  }
  figures.answered(POST, 1, 202, 1);
  assert.deepEqual(
    figures.read().answers.map(([method, route, status]) => `${method} ${route} ${status}`),
    [
      'other other 404',
      'other other 501',
      'other /payments 405',
      'other /payments/{id} 405',
      'POST /payments 202',
    ],
  );
});

test('one instance shows the metrics of all, each under its name', async () => {
  const text = await renderMetrics(
    [seen('backend-1', published(busy())), seen('backend-2', published(new Counters()))],
    shared,
  );
  const lines = text.split('\n');
  for (const line of [
    'soquete_instance_up{instance="backend-1"} 1',
    'soquete_payments_accepted_total{instance="backend-1"} 1',
    'soquete_payments_accepted_total{instance="backend-2"} 0',
    'soquete_payments_settled_total{instance="backend-1",processor="default"} 1',
    'soquete_payment_amount_cents_total{instance="backend-1",processor="default"} 1990',
    'soquete_payment_amount_cents_total{instance="backend-1",processor="fallback"} 1',
    'soquete_attempts_total{instance="backend-1",processor="default",outcome="timed_out"} 1',
    'http_server_refusals_total{instance="backend-1",reason="bare_line_feed"} 1',
    'http_server_active_connections{instance="backend-1"} 1',
    'http_server_request_duration_seconds_bucket{le="0.0001",instance="backend-1",method="POST",route="/payments",status="202"} 1',
    'http_server_request_duration_seconds_bucket{le="0.0002",instance="backend-1",method="POST",route="/payments",status="202"} 3',
    'http_server_request_duration_seconds_bucket{le="+Inf",instance="backend-1",method="POST",route="/payments",status="202"} 4',
    'http_server_request_duration_seconds_count{instance="backend-1",method="POST",route="/payments",status="422"} 1',
    'soquete_settlement_duration_seconds_count{instance="backend-1"} 2',
    'soquete_settlement_duration_seconds_sum{instance="backend-1"} 40.012',
    'soquete_circuit_state{instance="backend-1",processor="default",state="open"} 1',
    'soquete_circuit_state{instance="backend-1",processor="default",state="closed"} 0',
    'soquete_circuit_probing{instance="backend-1",processor="default"} 0',
    'soquete_processor_min_response_seconds{instance="backend-1",processor="default"} 0.25',
    'soquete_processor_health_age_seconds{instance="backend-1",processor="default"} 2',
    'soquete_checker{instance="backend-2"} 0',
  ]) {
    assert.ok(lines.includes(line), `${line}\nis not in\n${text}`);
  }
});

test('a dead instance keeps its counters and loses its gauges', async () => {
  const text = await renderMetrics([seen('backend-1', published(busy()), false)], shared);
  assert.match(text, /soquete_instance_up\{instance="backend-1"\} 0/);
  assert.match(text, /soquete_payments_accepted_total\{instance="backend-1"\} 1/);
  assert.doesNotMatch(text, /soquete_queue_length|soquete_circuit_state|process_resident_memory_bytes/);
});

test('of an instance that has published nothing readable only its existence is shown', async () => {
  const text = await renderMetrics([seen('backend-1', undefined)], shared);
  assert.match(text, /soquete_instance_up\{instance="backend-1"\} 1/);
  assert.doesNotMatch(text, /accepted/);
  assert.equal(readPublished('{"version":999}'), undefined);
  assert.equal(readPublished('{'), undefined);
});

const promtool = spawnSync('promtool', ['--version']).status === 0;
test('promtool accepts the metrics', { skip: !promtool && 'promtool is not installed' }, async () => {
  const text = await renderMetrics([seen('backend-1', published(busy()))], shared);
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text });
  assert.equal(`${stdout}${stderr}`, '');
  assert.equal(status, 0);
});
