import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '../../settings/backend.ts';
import { describeRedisUrl, parseRedisUrl } from './url.ts';

test('an address has hosts, a user, a database, and a name of its own', () => {
  const url = parseRedisUrl('rediss://pay:s%40fe@one:6380,[::1],two/3?name=shop');
  assert.deepEqual(url, {
    hosts: [
      { host: 'one', port: 6380 },
      { host: '::1', port: 6379 },
      { host: 'two', port: 6379 },
    ],
    user: 'pay',
    password: 's@fe',
    database: 3,
    name: 'shop',
    sentinel: undefined,
    sentinelPassword: undefined,
    cells: undefined,
    replicas: undefined,
    isTls: true,
  });
  assert.equal(describeRedisUrl(url!), 'rediss://one:6380,::1:6379,two:6379/3 (name shop)');
});

test('a password needs no user, and all else has a standard', () => {
  const url = parseRedisUrl('redis://:secret@one');
  assert.deepEqual([url?.user, url?.password, url?.database, url?.name], [undefined, 'secret', 0, 'soquete']);
});

test('Sentinels are named by their hosts and by what they watch', () => {
  const url = parseRedisUrl('redis://:p@one,two:26380/1?sentinel=payments&sentinelPassword=s');
  assert.deepEqual(url?.hosts, [
    { host: 'one', port: 26_379 },
    { host: 'two', port: 26_380 },
  ]);
  assert.deepEqual([url?.sentinel, url?.sentinelPassword, url?.password], ['payments', 's', 'p']);
});

for (const text of [
  'redis://',
  'redis://one,',
  'redis://one:0',
  'redis://one:70000',
  'redis://one/books',
  'redis://one?name=a b',
  'redis://one?name=',
  'redis://one?sentinel=',
  'redis://one?cells=0',
  'redis://one?replicas=all',
  'redis://one?cells=many',
  'redis://one/1?cells=3',
  'redis://one?cells=3&sentinel=x',
  'redis://one?family=4',
  'redis://%ZZ:a@one',
]) {
  test(`${text} stops the start, and the line does not have the password`, () => {
    const withPassword = text.replace('redis://', 'redis://me:secret/@:x@');
    assert.throws(
      () => readConfig({ STORE_URL: withPassword }),
      ({ message }: Error) => /^STORE_URL=[^\n]* redis:\/\//.test(message) && !/secret|:x/.test(message),
    );
    assert.equal(parseRedisUrl(text), undefined);
  });
}
