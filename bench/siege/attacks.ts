/** What is done to a port that can be reached: out of malice, by mistake, or in another language. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';

export interface Attack {
  /** What it does, for whoever reads the table. */
  readonly about: string;
  /** Connections that are kept open: one that is closed is opened again. */
  readonly connections: number;
  /** What a connection does once it is there. */
  readonly act: (socket: Socket) => void;
  /** False: it takes nothing of its answers. */
  readonly reads?: boolean;
}

const HOST = 'Host: siege\r\n';
const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\n${HOST}${fields}\r\n`;
const post = (path: string, body: string, fields = ''): string =>
  `POST ${path} HTTP/1.1\r\n${HOST}${fields}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
const payment = (correlationId: string = randomUUID(), amount = '1.00'): string =>
  post('/payments', `{"correlationId":"${correlationId}","amount":${amount}}`);

/** Sends `request` again whenever something has come. */
const asksAgain =
  (request: () => string | Buffer) =>
  (socket: Socket): void => {
    socket.write(request());
    socket.on('data', () => socket.writable && socket.write(request()));
  };

/** Sends `text` once, and waits for what comes. */
const sends =
  (text: () => string | Buffer) =>
  (socket: Socket): void => {
    socket.write(text());
  };

/** Sends `before` at once, then `piece` again and again. */
const trickles =
  (before: string, piece: string, everyMs: number) =>
  (socket: Socket): void => {
    socket.write(before);
    const timer = setInterval(() => socket.writable && socket.write(piece), everyMs);
    socket.once('close', () => clearInterval(timer));
  };

const ONE_ID = '4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3';
const LONG_BODY = `{"correlationId":"${ONE_ID}","amount":1,"more":"${'a'.repeat(15_000)}"}`;
const DEEP_BODY = '['.repeat(8_000);

/** By name, each a single kind of hostility. */
export const ATTACKS: Readonly<Record<string, Attack>> = {
  'pipelined metrics': {
    about: 'silent for 1.3 s, then 256 pipelined GET /metrics, and nothing is read',
    connections: 90,
    reads: false,
    act: socket => void setTimeout(() => socket.write(get('/metrics').repeat(256)), 1_300),
  },
  'pipelined pages': {
    about: '600 pipelined GET / on each, and nothing is read',
    connections: 64,
    reads: false,
    act: sends(() => get('/').repeat(600)),
  },
  'pipelined heads': {
    about: '600 pipelined HEAD / on each, and nothing is read',
    connections: 64,
    reads: false,
    act: sends(() => `HEAD / HTTP/1.1\r\n${HOST}\r\n`.repeat(600)),
  },
  'the page': { about: 'GET / without pause', connections: 400, act: asksAgain(() => get('/')) },
  metrics: { about: 'GET /metrics without pause', connections: 400, act: asksAgain(() => get('/metrics')) },
  'dashboard data': {
    about: 'GET /dashboard.json without pause',
    connections: 64,
    act: asksAgain(() => get('/dashboard.json')),
  },
  'idle connections': { about: 'connections that say nothing', connections: 4_200, act: () => {} },
  'slow heads': {
    about: 'a byte of a head every 100 ms',
    connections: 800,
    act: trickles('GET /health HTTP/1.1\r\nHost: a\r\nA: ', 'a', 100),
  },
  'long slow heads': {
    about: '20 KiB of a head, then a byte every second',
    connections: 800,
    act: trickles(`GET /health HTTP/1.1\r\nHost: a\r\nA: ${'a'.repeat(20_000)}`, 'a', 1_000),
  },
  'slow bodies': {
    about: 'a byte of a body every 100 ms',
    connections: 800,
    act: trickles(`POST /payments HTTP/1.1\r\n${HOST}Content-Length: 16000\r\n\r\n{`, ' ', 100),
  },
  'slow readers': {
    about: 'pages asked for, 1 KiB read of them every second',
    connections: 400,
    reads: false,
    act: socket => {
      socket.write(get('/').repeat(20));
      const timer = setInterval(() => socket.read(1024), 1_000);
      socket.once('close', () => clearInterval(timer));
    },
  },
  'opened and closed': {
    about: 'connections that are closed at once',
    connections: 100,
    act: socket => socket.end(),
  },
  resets: {
    about: 'payments whose connection is reset at once',
    connections: 100,
    act: socket => socket.write(payment(), () => socket.resetAndDestroy()),
  },
  'half-closed': {
    about: 'a request, then the end of our side, and nothing more',
    connections: 400,
    act: socket => socket.end(get('/health')),
  },
  'unknown paths': { about: 'a 404 without pause', connections: 200, act: asksAgain(() => get('/admin')) },
  'unknown payments': {
    about: 'look-ups of ids that nobody has',
    connections: 200,
    act: asksAgain(() => get(`/payments/${randomUUID()}`)),
  },
  summaries: {
    about: 'summaries of windows of chance',
    connections: 64,
    act: asksAgain(() =>
      get(`/payments-summary?from=${new Date(Date.now() - Math.random() * 1e6).toISOString()}`),
    ),
  },
  'bodies too large': {
    about: 'a body of 20 KB, to be refused',
    connections: 200,
    act: asksAgain(() => post('/payments', 'a'.repeat(20_000))),
  },
  'heads too large': {
    about: 'a head of 30 KB, to be refused',
    connections: 200,
    act: asksAgain(() => get('/health', `A: ${'a'.repeat(30_000)}\r\n`)),
  },
  'long bodies': {
    about: 'payments of 15 KB',
    connections: 64,
    act: asksAgain(() => post('/payments', LONG_BODY)),
  },
  'deep JSON': {
    about: '8,000 brackets',
    connections: 64,
    act: asksAgain(() => post('/payments', DEEP_BODY)),
  },
  'tiny chunks': {
    about: 'a body in chunks of one byte',
    connections: 200,
    act: asksAgain(
      () =>
        `POST /payments HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${'1\r\n \r\n'.repeat(2_000)}0\r\n\r\n`,
    ),
  },
  'no HTTP': { about: 'bytes of chance', connections: 200, act: sends(() => randomBytes(2_000)) },
  'malformed requests': {
    about: 'two lengths, and a request hidden behind them',
    connections: 200,
    act: sends(
      () =>
        `POST /payments HTTP/1.1\r\n${HOST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${get('/health')}`,
    ),
  },
  'TLS hellos': {
    about: 'the first bytes of TLS',
    connections: 200,
    act: sends(() => Buffer.concat([Buffer.from('16030102000100', 'hex'), randomBytes(508)])),
  },
  'HTTP/2': {
    about: 'the preface of HTTP/2 without TLS',
    connections: 200,
    act: sends(() => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  },
  WebSockets: {
    about: 'upgrades to another protocol',
    connections: 200,
    act: asksAgain(() => get('/', 'Connection: Upgrade\r\nUpgrade: websocket\r\n')),
  },
  expectations: {
    about: 'Expect: 100-continue, and no body',
    connections: 400,
    act: sends(() => `POST /payments HTTP/1.1\r\n${HOST}Expect: 100-continue\r\nContent-Length: 70\r\n\r\n`),
  },
  'one payment': {
    about: 'one payment, again and again',
    connections: 200,
    act: asksAgain(() => payment(ONE_ID)),
  },
  'conflicting amounts': {
    about: 'one id, another amount each time',
    connections: 200,
    act: asksAgain(() => payment(ONE_ID, String(1 + Math.floor(Math.random() * 1e6)))),
  },
  'new payments': { about: 'payments without pause', connections: 64, act: asksAgain(() => payment()) },
  "another site's payments": {
    about: 'payments that a page of another site sends',
    connections: 64,
    act: asksAgain(() =>
      post('/payments', `{"correlationId":"${randomUUID()}","amount":1}`, 'Sec-Fetch-Site: cross-site\r\n'),
    ),
  },
};
