/** The processors' administration, as far as the books and the controls need it. */
import { request } from 'node:http';
import { request as requestSecurely } from 'node:https';

const TIMEOUT_MS = 3000;
const ANSWER_BYTES_MAX = 64 * 1024;

export interface AdminOptions {
  /** Of the processor, with or without a path. */
  readonly url: string;
  readonly token: string;
}

export interface AdminAnswer {
  readonly status: number;
  /** As it came, at most 64 KiB. */
  readonly body: string;
}

/** Asks `method` of `path` under the processor's `/admin`. Rejects when no answer comes. */
export function askAdmin(
  { url, token }: AdminOptions,
  method: 'GET' | 'PUT',
  path: string,
  body?: string,
): Promise<AdminAnswer> {
  const send = url.startsWith('https:') ? requestSecurely : request;
  return new Promise((resolve, reject) => {
    const asked = send(
      `${url.replace(/\/$/, '')}/admin${path}`,
      {
        method,
        timeout: TIMEOUT_MS,
        agent: false,
        headers: {
          'x-rinha-token': token,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
      },
      answer => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (piece: string) => {
          text += piece;
          if (text.length > ANSWER_BYTES_MAX) asked.destroy(new Error('the answer is too long'));
        });
        answer.on('error', reject);
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: text }));
      },
    );
    asked.on('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.on('error', reject);
    asked.end(body);
  });
}
