import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readConfig } from './backend.ts';
import { UnusableSetting } from './grammar.ts';

const folder = mkdtempSync(join(tmpdir(), 'soquete-settings-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const complaint = (environment: NodeJS.ProcessEnv): string => {
  try {
    readConfig(environment);
    return '';
  } catch (error) {
    assert.ok(error instanceof UnusableSetting);
    assert.ok(!error.message.includes('\n'));
    return error.message;
  }
};

test('networks hold the addresses between their ends, in both versions', () => {
  const { opsFrom } = readConfig({ OPS_FROM: '10.0.0.0/30, 203.0.113.7 2001:db8::/64' });
  const expected = {
    '10.0.0.0': true,
    '10.0.0.3': true,
    '10.0.0.4': false,
    '203.0.113.7': true,
    '203.0.113.8': false,
    '::ffff:10.0.0.1': true,
    '2001:db8::ffff': true,
    '2001:db8:0:1::': false,
    '127.0.0.1': false,
    '10.0.0.1, 10.0.0.2': false,
    '': false,
  };
  for (const [address, isIn] of Object.entries(expected)) assert.equal(opsFrom.has(address), isIn, address);
});

test('everybody can be let in, of both versions', () => {
  const { opsFrom } = readConfig({ OPS_FROM: '0.0.0.0/0,::/0' });
  for (const address of ['203.0.113.7', '2001:db8::1', '::1']) assert.ok(opsFrom.has(address), address);
});

for (const [name, value] of [
  ['OPS_FROM', '10.0.0.0/33'],
  ['OPS_FROM', '::/129'],
  ['OPS_FROM', 'localhost'],
  ['OPS_FROM', '10.0.0.0/8/8'],
  ['OPS_FROM', '10.0.0/8'],
  ['OPS_TOKEN', 'two words'],
  ['OPS_TOKEN', 'é'],
  ['OPS_TOKEN_FILE', '/nowhere/at-all'],
  ['OPS_TOKEN_FILE', '/'],
  ['PROCESSOR_ADMIN_TOKEN_FILE', '/nowhere/at-all'],
  ['PUBLIC_HOST', 'http://pay.example'],
  ['PUBLIC_HOST', 'pay.example:443'],
  ['PUBLIC_HOST', 'pay..example'],
  ['CLIENT_ADDRESS', 'header'],
] as const) {
  test(`${name}=${value} stops the start with one line that names it`, () => {
    assert.match(complaint({ [name]: value }), new RegExp(`^${name}=.* cannot be used: it takes .+`));
  });
}

test('names of hosts are taken in any case', () => {
  assert.deepEqual(readConfig({ PUBLIC_HOST: 'Pay.Example, b' }).publicHosts, new Set(['pay.example', 'b']));
});

test('a token may stand in a file, with or without the end of its line', () => {
  for (const [name, setting] of [
    ['OPS_TOKEN', 'opsToken'],
    ['PROCESSOR_ADMIN_TOKEN', 'adminToken'],
  ] as const) {
    for (const [at, text] of ['s3cret', 's3cret\n', 's3cret\r\n'].entries()) {
      const path = join(folder, `${name}-${at}`);
      writeFileSync(path, text);
      assert.equal(readConfig({ [`${name}_FILE`]: path })[setting], 's3cret');
    }
    assert.equal(readConfig({ [name]: 's3cret' })[setting], 's3cret');
    assert.equal(readConfig({ [name]: '', [`${name}_FILE`]: '' })[setting], undefined);
    const path = join(folder, `${name}-0`);
    assert.match(
      complaint({ [name]: 'a', [`${name}_FILE`]: path }),
      new RegExp(`^${name}_FILE=.*: ${name} is set as well`),
    );
    for (const text of ['', '\n', 'one\ntwo']) {
      writeFileSync(path, text);
      assert.match(
        complaint({ [`${name}_FILE`]: path }),
        new RegExp(`^${name}_FILE=.* cannot be used: it takes a file`),
      );
    }
  }
});
