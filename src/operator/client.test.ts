import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { CannotOperate, OperationsClient } from './client.ts';

const correlationId = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';

test('what something else than soquete answers is said in one line, and no act is done by it', async t => {
  const pages = createServer((_, response) => void response.end('<html>\n<p>maintenance</p>\n</html>'));
  pages.listen(0, '127.0.0.1');
  await once(pages, 'listening');
  t.after(() => pages.close());
  await using soquete = new OperationsClient(
    `http://127.0.0.1:${(pages.address() as AddressInfo).port}`,
    undefined,
  );
  for (const asked of [
    () => soquete.held(),
    () => soquete.story(correlationId),
    () => soquete.settled().next(),
    () => soquete.act({ correlationId, act: 'close', who: 'me', reason: 'test' }),
  ])
    await assert.rejects(asked(), (error: unknown) => {
      assert.ok(error instanceof CannotOperate);
      assert.match(error.message, /^soquete answers 200 to .*maintenance.*$/);
      return true;
    });
});
