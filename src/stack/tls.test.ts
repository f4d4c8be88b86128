/** TLS at the front door, with a certificate and an authority that the test makes: a real handshake. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { withoutHaproxy } from '../testing/haproxy.ts';
import { freePort } from '../testing/ports.ts';
import { program } from '../testing/processes.ts';
import { launchStack, startStack } from '../testing/stack.ts';
import { readSettings } from './settings.ts';

const openssl = program('openssl');
const skip = withoutHaproxy || (openssl === undefined && 'openssl is not installed');

const folder = mkdtempSync(join(tmpdir(), 'soquete-'));
const file = (name: string): string => join(folder, name);
after(() => rmSync(folder, { recursive: true, force: true }));

/** As docs/operating.md has it. */
function run(...args: string[]): void {
  const { status, stderr } = spawnSync(openssl!, args, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
}

function authority(name: string): void {
  const subject = ['-subj', `/CN=${name}`, '-addext', 'basicConstraints=critical,CA:TRUE'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  run(
    'req',
    '-x509',
    ...key,
    '-days',
    '2',
    ...subject,
    '-keyout',
    file(`${name}.key`),
    '-out',
    file(`${name}.crt`),
  );
}

function certificate(name: string, by: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  run('req', ...key, '-subj', `/CN=${name}`, '-keyout', file(`${name}.key`), '-out', file(`${name}.csr`));
  writeFileSync(file(`${name}.ext`), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  const signer = ['-CA', file(`${by}.crt`), '-CAkey', file(`${by}.key`), '-set_serial', '1', '-days', '2'];
  run(
    'x509',
    '-req',
    '-in',
    file(`${name}.csr`),
    ...signer,
    '-extfile',
    file(`${name}.ext`),
    '-out',
    file(`${name}.crt`),
  );
  writeFileSync(
    file(`${name}.pem`),
    readFileSync(file(`${name}.crt`), 'latin1') + readFileSync(file(`${name}.key`), 'latin1'),
  );
}

before(() => {
  if (skip !== false) return;
  authority('authority');
  authority('stranger');
  certificate('server', 'authority');
  certificate('client', 'authority');
  certificate('impostor', 'stranger');
});

/** The status of `GET /health` over TLS, or the code of the error. */
function ask(port: number, as?: string): Promise<unknown> {
  return new Promise(resolve => {
    const options = {
      port,
      host: '127.0.0.1',
      path: '/health',
      agent: false as const,
      ca: readFileSync(file('authority.crt')),
      ...(as !== undefined && {
        cert: readFileSync(file(`${as}.crt`)),
        key: readFileSync(file(`${as}.key`)),
      }),
    };
    const asking = request(options, answer => {
      answer.resume();
      resolve(answer.statusCode);
    });
    asking.on('error', () => resolve('refused'));
    asking.end();
  });
}

test('HTTPS beside HTTP', { skip }, async () => {
  const TLS_PORT = String(await freePort());
  await using stack = await startStack({ env: { TLS_PORT, TLS_CERTIFICATE: file('server.pem') } });
  assert.match(stack.launcher.said(), new RegExp(`TLS on ${TLS_PORT}`));
  assert.equal(await ask(Number(TLS_PORT)), 200);
  assert.equal((await fetch(`${stack.url}/health`)).status, 200);
});

test('HTTPS for those who have a certificate of the authority', { skip }, async () => {
  const TLS_PORT = String(await freePort());
  const env = { TLS_PORT, TLS_CERTIFICATE: file('server.pem'), TLS_CLIENT_CA: file('authority.crt') };
  await using _stack = await startStack({ env });
  assert.equal(await ask(Number(TLS_PORT), 'client'), 200);
  assert.equal(await ask(Number(TLS_PORT), 'impostor'), 'refused');
  assert.equal(await ask(Number(TLS_PORT)), 'refused');
});

test('a certificate without its key ends the start, and says so', { skip }, async () => {
  const env = { TLS_PORT: String(await freePort()), TLS_CERTIFICATE: file('client.crt') };
  await using stack = await launchStack({ env });
  assert.equal(await stack.launcher.exited, 1);
  assert.match(stack.launcher.said(), /^soquete: HAProxy: .*client\.crt/m);
});

test('TLS_PORT needs a certificate and HAProxy in HTTP mode', () => {
  const refused = (env: NodeJS.ProcessEnv, line: RegExp): void =>
    assert.throws(() => readSettings({ TLS_PORT: '9443', ...env }), line);
  refused({}, /TLS_PORT needs TLS_CERTIFICATE/);
  refused({ TLS_CERTIFICATE: '/nowhere' }, /TLS_CERTIFICATE takes a PEM file/);
  writeFileSync(file('some.pem'), '-----BEGIN CERTIFICATE-----\n');
  refused({ TLS_CERTIFICATE: file('some.pem'), PROXY: 'tcp' }, /TLS_PORT needs PROXY=http/);
  refused({ TLS_CERTIFICATE: file('some.pem'), TLS_PORT: '' }, /TLS_CLIENT_CA need TLS_PORT/);
});
