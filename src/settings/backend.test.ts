import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REFUSAL_STATUSES } from '../domain/outcome.ts';
import { readConfig } from './backend.ts';
import { UnusableSetting } from './grammar.ts';

test('an empty environment gives the documented defaults', () => {
  const config = readConfig({});
  assert.equal(config.instance, 'backend-1');
  assert.deepEqual(config.listen, { is: 'unix', path: './run/backend-1.sock' });
  assert.deepEqual(config.processorUrls, [
    'http://payment-processor-default:8080',
    'http://payment-processor-fallback:8080',
  ]);
  assert.deepEqual(config.store, { is: 'sqlite', directory: './data' });
  assert.equal(config.ackAfter, 'commit');
  assert.equal(config.defaultAttempts, 5);
  assert.equal(config.allowPurge, false);
  assert.equal(config.logLevel, 'info');
  assert.equal(config.adminToken, undefined);
  assert.equal(config.processorControls, false);
  assert.equal(config.auditFromMs, 0);
  assert.ok(Object.isFrozen(config));
});

test('an empty value counts as unset', () => {
  assert.equal(readConfig({ INSTANCE: '', ACK_AFTER: '' }).ackAfter, 'commit');
});

test('an instant is read with its offset', () => {
  assert.equal(readConfig({ AUDIT_FROM: '1970-01-01T01:00:00.5+00:30' }).auditFromMs, 1_800_500);
});

test('the statuses of a refusal are those of the contract, or as they are named', () => {
  const refusals = (text: string) => readConfig({ REFUSAL_STATUSES: text }).refusalStatuses;
  assert.deepEqual(refusals(''), REFUSAL_STATUSES);
  assert.deepEqual(refusals('4xx, 503'), new Set([...REFUSAL_STATUSES, 503]));
  assert.deepEqual(refusals('400,404'), new Set([400, 404]));
});

test('a password in an address that cannot be used is not repeated', () => {
  const refused = { message: /^PROCESSOR_DEFAULT_URL=http:\/\/…@a\/\?b cannot be used/ };
  assert.throws(() => readConfig({ PROCESSOR_DEFAULT_URL: 'http://me:secret@a/?b' }), refused);
});

test('sockets and ports are read as they are written', () => {
  assert.deepEqual(readConfig({ LISTEN: 'tcp:0.0.0.0:9999' }).listen, {
    is: 'tcp',
    host: '0.0.0.0',
    port: 9999,
  });
  assert.deepEqual(readConfig({ LISTEN: 'tcp:[::1]:80' }).listen, { is: 'tcp', host: '::1', port: 80 });
  assert.deepEqual(readConfig({ LISTEN: 'unix:/tmp/a.sock' }).listen, { is: 'unix', path: '/tmp/a.sock' });
});

const unusable: readonly [string, string][] = [
  ['INSTANCE', 'a b'],
  ['INSTANCE', '../x'],
  ['INSTANCE', 'a\nb'],
  ['LISTEN', '9999'],
  ['LISTEN', 'unix:'],
  ['LISTEN', `unix:/${'x'.repeat(107)}`],
  ['LISTEN', 'tcp:host'],
  ['LISTEN', 'tcp:host:70000'],
  ['PROCESSOR_DEFAULT_URL', 'ftp://a'],
  ['PROCESSOR_FALLBACK_URL', 'nonsense'],
  ['PROCESSOR_DEFAULT_URL', 'http://a:8080/?key=1'],
  ['PROCESSOR_DEFAULT_URL', 'http://a:8080/#top'],
  ['PROCESSOR_FALLBACK_URL', 'http://a%zz@b'],
  ['PROCESSOR_URL_CHANGED', 'yes'],
  ['REFUSAL_STATUSES', '200'],
  ['REFUSAL_STATUSES', '4xx,429'],
  ['REFUSAL_STATUSES', '5xx'],
  ['STORE_URL', 'mysql://a'],
  ['STORE_URL', 'sqlite:'],
  ['STORE_URL', 'postgres://host'],
  ['STORE_URL', 'redis://'],
  ['ACK_AFTER', 'never'],
  ['QUEUE_CAPACITY', '-1'],
  ['QUEUE_CAPACITY', '1e9'],
  ['WORKER_CONCURRENCY', '0'],
  ['DEFAULT_ATTEMPTS', '0'],
  ['DEFAULT_ATTEMPTS', '5.5'],
  ['ATTEMPT_TIMEOUT_MS', 'soon'],
  ['BACKOFF_MIN_MS', '5000'],
  ['BACKOFF_MAX_MS', '0'],
  ['FALLBACK_AFTER_MS', '-5'],
  ['RETENTION_DAYS', '0'],
  ['RETENTION_DAYS', 'a month'],
  ['RETENTION_DAYS', '-1'],
  ['IDS_KEPT_DAYS', '0'],
  ['ALLOW_PURGE', 'yes'],
  ['LOG_LEVEL', 'loud'],
  ['AUDIT_FROM', 'yesterday'],
  ['AUDIT_FROM', '2026'],
  ['AUDIT_FROM', '2026-07-10T12:34:56'],
  ['AUDIT_FROM', '2026-02-30T00:00:00Z'],
  ['PROCESSOR_CONTROLS', 'yes'],
];
for (const [name, value] of unusable) {
  test(`${name}=${JSON.stringify(value.slice(0, 20))} stops the start with one line that names it`, () => {
    assert.throws(
      () => readConfig({ [name]: value }),
      (error: Error) => {
        assert.ok(error instanceof UnusableSetting);
        assert.match(error.message, new RegExp(`^${name}=.* cannot be used: it takes .+`));
        assert.ok(!error.message.includes('\n'));
        return true;
      },
    );
  });
}

test('payments are kept for ever, or for a number of days and their ids for longer', () => {
  assert.equal(readConfig({}).retention, undefined);
  const dayMs = 86_400_000;
  assert.deepEqual(readConfig({ RETENTION_DAYS: '0.5' }).retention, {
    ...{ keptMs: dayMs / 2, idsKeptMs: Number.POSITIVE_INFINITY, exactFromMs: 0 },
  });
  assert.equal(readConfig({ RETENTION_DAYS: '30', IDS_KEPT_DAYS: '90' }).retention?.idsKeptMs, 90 * dayMs);
  assert.throws(
    () => readConfig({ IDS_KEPT_DAYS: '30' }),
    /^UnusableSetting: IDS_KEPT_DAYS .*RETENTION_DAYS/,
  );
  assert.throws(() => readConfig({ RETENTION_DAYS: '30', IDS_KEPT_DAYS: '29' }), /IDS_KEPT_DAYS .* at least/);
});
