/**
 * Posts payments to a processor for some seconds, as fast as undici can, and says how many were processed.
 *
 *   node bench/suite/undici-poster.ts URL SECONDS CONNECTIONS
 */
import { randomUUID } from 'node:crypto';
import { Pool } from 'undici';

const [url = '', seconds = '1', connections = '64'] = process.argv.slice(2);
const pool = new Pool(url, { connections: Number(connections), pipelining: 1 });
const headers = { 'content-type': 'application/json' };
const startedAt = performance.now();
const endAt = startedAt + Number(seconds) * 1000;
let processed = 0;

async function post(): Promise<void> {
  while (performance.now() < endAt) {
    const body = `{"correlationId":"${randomUUID()}","amount":19.90,"requestedAt":"${new Date().toISOString()}"}`;
    const answer = await pool.request({ method: 'POST', path: '/payments', headers, body });
    await answer.body.dump();
    if (answer.statusCode === 200) processed += 1;
  }
}

await Promise.all(Array.from({ length: Number(connections) }, post));
console.log(`JSON${JSON.stringify({ processed, seconds: (performance.now() - startedAt) / 1000 })}`);
await pool.close();
