/**
 * The parsers alone, in this process: HTTP against llhttp (the WebAssembly build inside undici) and
 * http-parser-js, JSON against `JSON.parse`, with requests as real clients send them.
 *
 *   node bench/parser.ts [ROUNDS, 31]
 *
 * Every parser gets the same bytes in one piece. llhttp's callbacks do nothing, and its input is copied into
 * the memory of WebAssembly, as it must be. "read" stands for what an application needs besides: from llhttp
 * a text for the method, the target and each field, from JSON.parse a payment whose UUID is checked and whose
 * amount is turned into cents. Last result on two shared, busy cores, times of ours: llhttp 1.15 to 1.31 over
 * the five clients (autocannon's request: 505 ns against 663), http-parser-js 6.6 to 7.3, JSON.parse 3.8 for
 * a payment (117 ns against 448). The rounds are interleaved, medians of CPU time are shown, and a checksum
 * says that the same was parsed.
 */
import { createRequire } from 'node:module';
import { HTTPParser } from 'http-parser-js';
import { COMPLETE, Parser } from '../src/http/parser.ts';
import { PAYMENT, PaymentFields, readPayment } from '../src/http/payment-json.ts';
import { median } from './tools/statistics.ts';
import { number, table } from './tools/table.ts';

const BODY = '{"correlationId":"4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3","amount":19.90}';
const lines = (...all: string[]): string => all.map(line => `${line}\r\n`).join('');

/** As captured from each client. */
const REQUESTS: Readonly<Record<string, string>> = {
  k6: `${lines(
    'POST /payments HTTP/1.1',
    'Host: localhost:9999',
    'User-Agent: Grafana k6/1.3.0',
    `Content-Length: ${BODY.length}`,
    'Content-Type: application/json',
    'Accept-Encoding: gzip',
    '',
  )}${BODY}`,
  autocannon: `${lines(
    'POST /payments HTTP/1.1',
    'Host: localhost:9999',
    'Connection: keep-alive',
    'content-type: application/json',
    `Content-Length: ${BODY.length}`,
    '',
  )}${BODY}`,
  curl: `${lines(
    'POST /payments HTTP/1.1',
    'Host: localhost:9999',
    'User-Agent: curl/8.5.0',
    'Accept: */*',
    'Content-Type: application/json',
    `Content-Length: ${BODY.length}`,
    '',
  )}${BODY}`,
  HAProxy: `${lines(
    'POST /payments HTTP/1.1',
    'host: localhost:9999',
    'user-agent: Grafana k6/1.3.0',
    `content-length: ${BODY.length}`,
    'content-type: application/json',
    'accept-encoding: gzip',
    '',
  )}${BODY}`,
  browser: lines(
    'GET /payments-summary?from=2026-07-10T12:34:56.000Z&to=2026-07-10T12:35:56.000Z HTTP/1.1',
    'Host: localhost:9999',
    'Connection: keep-alive',
    'sec-ch-ua-platform: "Linux"',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36',
    'sec-ch-ua: "Chromium";v="143", "Not=A?Brand";v="24", "Google Chrome";v="143"',
    'sec-ch-ua-mobile: ?0',
    'Accept: */*',
    'Sec-Fetch-Site: same-origin',
    'Sec-Fetch-Mode: cors',
    'Sec-Fetch-Dest: empty',
    'Referer: http://localhost:9999/',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Accept-Language: en-US,en;q=0.9,de;q=0.8',
    '',
  ),
};

/** Parses `bytes` again and again and answers a checksum: the sum of the lengths of the bodies. */
type Contender = (bytes: Buffer, times: number) => number;

function ours(bytes: Buffer, times: number): number {
  const parser = new Parser();
  let sum = 0;
  for (let time = 0; time < times; time++) {
    parser.next(0);
    if (parser.parse(bytes, bytes.length) !== COMPLETE) throw new Error('ours refused it');
    sum += parser.request.bodyEnd - parser.request.bodyStart;
  }
  return sum;
}

/** As far as it is used here: Node has it, the types that we load do not. */
declare const WebAssembly: {
  readonly Module: new (bytes: Buffer) => object;
  readonly Instance: new (
    module: object,
    imports: Readonly<Record<string, Readonly<Record<string, (...numbers: number[]) => number>>>>,
  ) => { readonly exports: Llhttp };
};

interface Llhttp {
  readonly memory: { readonly buffer: ArrayBuffer };
  llhttp_alloc(type: number): number;
  llhttp_execute(parser: number, start: number, length: number): number;
  malloc(bytes: number): number;
  _initialize?(): void;
}

/** llhttp's type of a parser of requests. */
const REQUEST = 1;

function llhttp(isRead: boolean): Contender {
  const require = createRequire(import.meta.url);
  const module = new WebAssembly.Module(require('undici/lib/llhttp/llhttp_simd-wasm.js'));
  let input = new Uint8Array(0);
  let sum = 0;
  let texts = 0;
  const text = (_?: number, at = 0, length = 0): number => {
    if (isRead) texts += Buffer.from(input.buffer, at, length).toString('latin1').length;
    return 0;
  };
  const nothing = (): number => 0;
  const { exports } = new WebAssembly.Instance(module, {
    env: {
      wasm_on_url: text,
      wasm_on_status: nothing,
      wasm_on_message_begin: nothing,
      wasm_on_header_field: text,
      wasm_on_header_value: text,
      wasm_on_headers_complete: nothing,
      wasm_on_body: (_?: number, _at?: number, length = 0): number => {
        sum += length;
        return 0;
      },
      wasm_on_message_complete: nothing,
    },
  });
  exports._initialize?.();
  const parser = exports.llhttp_alloc(REQUEST);
  const place = exports.malloc(64 * 1024);
  return (bytes, times) => {
    sum = 0;
    input = new Uint8Array(exports.memory.buffer, place, 64 * 1024);
    for (let time = 0; time < times; time++) {
      input.set(bytes);
      if (exports.llhttp_execute(parser, place, bytes.length) !== 0) throw new Error('llhttp refused it');
    }
    if (isRead && texts === 0) throw new Error('llhttp gave no texts');
    return sum;
  };
}

function httpParserJs(bytes: Buffer, times: number): number {
  let sum = 0;
  const parser = new HTTPParser(HTTPParser.REQUEST);
  parser[HTTPParser.kOnHeadersComplete] = () => {};
  parser[HTTPParser.kOnBody] = (_: Buffer, __: number, length: number) => {
    sum += length;
  };
  parser[HTTPParser.kOnMessageComplete] = () => {};
  for (let time = 0; time < times; time++) {
    if (parser.execute(bytes) instanceof Error) throw new Error('http-parser-js refused it');
  }
  return sum;
}

const fields = new PaymentFields();

function oursJson(bytes: Buffer, times: number): number {
  let sum = 0;
  for (let time = 0; time < times; time++) {
    if (readPayment(bytes, 0, bytes.length, fields) !== PAYMENT) throw new Error('ours refused it');
    sum += fields.cents;
  }
  return sum;
}

interface Payment {
  readonly correlationId: string;
  readonly amount: number;
}

function jsonParse(bytes: Buffer, times: number): number {
  let sum = 0;
  for (let time = 0; time < times; time++) sum += (JSON.parse(bytes.toString()) as Payment).amount;
  return Math.round(sum * 100);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

function jsonParseRead(bytes: Buffer, times: number): number {
  let sum = 0;
  for (let time = 0; time < times; time++) {
    const { correlationId, amount } = JSON.parse(bytes.toString()) as Payment;
    if (!UUID.test(correlationId)) throw new Error('no UUID');
    sum += Math.round(amount * 100);
  }
  return sum;
}

const HTTP: Readonly<Record<string, Contender>> = {
  ours,
  'llhttp (WebAssembly)': llhttp(false),
  'llhttp, read': llhttp(true),
  'http-parser-js': httpParserJs,
};
const JSON_READERS: Readonly<Record<string, Contender>> = {
  ours: oursJson,
  'JSON.parse': jsonParse,
  'JSON.parse, read': jsonParseRead,
};

const ROUND_MS = 10;

/** Time of the processor that this process had: what others take of it does not count. */
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** Nanoseconds for each time, as the median of interleaved rounds. */
function measure(contenders: Readonly<Record<string, Contender>>, bytes: Buffer, rounds: number): number[] {
  const all = Object.values(contenders);
  const sums = all.map(run => run(bytes, 1));
  if (new Set(sums).size !== 1) throw new Error(`checksums differ: ${sums.join(', ')}`);
  const times = all.map(run => {
    run(bytes, 20_000);
    const start = cpuMs();
    run(bytes, 5_000);
    return Math.max(1, Math.round((5_000 * ROUND_MS) / (cpuMs() - start)));
  });
  const results = all.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [at, run] of all.entries()) {
      const start = cpuMs();
      const sum = run(bytes, times[at]!);
      results[at]!.push(((cpuMs() - start) * 1e6) / times[at]!);
      if (sum !== sums[at]! * times[at]!) throw new Error('checksum of a round differs');
    }
  }
  return results.map(median);
}

const rounds = Number(process.argv[2] ?? 31);
const rows: string[][] = [];
function add(what: string, contenders: Readonly<Record<string, Contender>>, text: string): void {
  const bytes = Buffer.from(text);
  const medians = measure(contenders, bytes, rounds);
  for (const [at, name] of Object.keys(contenders).entries()) {
    const ns = medians[at]!;
    const ratio = ns / medians[0]!;
    rows.push([
      `${what}, ${bytes.length} bytes`,
      name,
      number(ns),
      number((bytes.length / ns) * 1e3),
      number(ratio),
    ]);
  }
}
for (const [client, text] of Object.entries(REQUESTS)) add(client, HTTP, text);
add('payment', JSON_READERS, BODY);
add(
  'payment and more',
  JSON_READERS,
  `${BODY.slice(0, -1)},"note":"ärger \\"x\\"","list":[1,-2.5e3,null,{"a":true}]}`,
);
console.log(table(['request', 'parser', 'ns', 'MB/s', 'times ours'], rows));
