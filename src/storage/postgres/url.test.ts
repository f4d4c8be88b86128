import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../../settings/backend.ts';
import { describePostgresUrl, parsePostgresUrl } from './url.ts';

test('an address has hosts, a user, a database, and a schema of its own', () => {
  const url = parsePostgresUrl(
    'postgres://pay:s%40fe@one:5433,[::1],two/books?pooler=transaction&sslmode=require',
  );
  assert.deepEqual(url, {
    hosts: [
      { host: 'one', port: 5433 },
      { host: '::1', port: 5432 },
      { host: 'two', port: 5432 },
    ],
    user: 'pay',
    password: 's@fe',
    database: 'books',
    schema: 'soquete',
    isPooled: true,
    tls: 'require',
  });
  assert.equal(describePostgresUrl(url!), 'postgres://pay@one:5433,::1:5432,two:5432/books (schema soquete)');
});

test('a directory of a Unix socket is a host', () => {
  const url = parsePostgresUrl('postgresql://pay@/books?host=/run/postgresql&schema=cell_1');
  assert.deepEqual(url?.hosts, [{ host: '/run/postgresql', port: 5432 }]);
  assert.equal(url?.schema, 'cell_1');
});

for (const text of [
  'postgres://host',
  'postgres://host/',
  'postgres:///books',
  'postgres://one,/books',
  'postgres://one:0/books',
  'postgres://one:70000/books',
  'postgres://one/books?schema=A-b',
  'postgres://one/books?pooler=session',
  'postgres://one/books?sslmode=maybe',
  'postgres://one/books?target_session_attrs=any',
  'postgres://one/%ZZ',
]) {
  test(`${text} stops the start, and the line does not have the password`, () => {
    const withPassword = text.replace('postgres://', 'postgres://me:secret/@:x@');
    assert.throws(
      () => readConfig({ STORE_URL: withPassword }),
      ({ message }: Error) =>
        /^STORE_URL=[^\n]* it takes sqlite:DIR, postgres:/.test(message) && !/secret|:x/.test(message),
    );
  });
}
