/** What an operator's programs ask of a running soquete, over its door for operations. */
import { Pool } from 'undici';
import type { HeldLine, PaymentTimeline, SettledLines } from '../dashboard/api.ts';
import { reasonOf } from '../processor-simulator/admin-client.ts';
import { onOneLine } from '../settings/grammar.ts';

/** soquete could not be asked, or does not let this client; the message says what to change. */
export class CannotOperate extends Error {
  override name = 'CannotOperate';
}

export interface ActOrder {
  readonly correlationId: string;
  readonly act: 'retry' | 'settle' | 'close' | 'take-in';
  readonly who: string;
  readonly reason?: string | undefined;
  readonly on?: string | undefined;
  readonly requestedAt?: string | undefined;
  readonly anyway?: boolean;
}

export interface ActAnswer {
  readonly isDone: boolean;
  readonly said: string;
}

const TIMEOUT_MS = 30_000;
const CONNECTIONS_MAX = 4;

export class OperationsClient {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #pool: Pool;

  /** `url`: of soquete. `token`: what it takes as `OPS_TOKEN`. Connects when asked. */
  constructor(url: string, token: string | undefined) {
    this.#url = url;
    this.#token = token;
    this.#pool = new Pool(new URL(url).origin, {
      connections: CONNECTIONS_MAX,
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
    });
  }

  async held(): Promise<readonly HeldLine[]> {
    return this.#ask<readonly HeldLine[]>('/dashboard/held.json');
  }

  /** One payment's time line; undefined where soquete does not know it. */
  async story(correlationId: string): Promise<PaymentTimeline | undefined> {
    const path = `/dashboard/payment.json?id=${correlationId}`;
    const { status, text } = await this.#request('GET', path);
    if (status === 404) return undefined;
    if (status !== 200) throw this.#refused(path, status, text);
    return this.#read(path, text);
  }

  /** All that is settled, page by page in the order of arrival. */
  async *settled(): AsyncGenerator<SettledLines['payments']> {
    for (let after = 0; ; ) {
      const page = await this.#ask<SettledLines>(`/dashboard/settled.json?after=${after}`);
      yield page.payments;
      if (page.after === 0) return;
      ({ after } = page);
    }
  }

  async act(order: ActOrder): Promise<ActAnswer> {
    const path = '/dashboard/acts';
    const { status, text } = await this.#request('POST', path, JSON.stringify(order));
    if (status !== 200 && status !== 409 && status !== 422) throw this.#refused(path, status, text);
    const said = detailOf(text);
    // What has no word on it is not soquete's, so nothing was done.
    if (said === undefined) throw this.#refused(path, status, text);
    return { isDone: status === 200, said };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.destroy();
  }

  async #ask<Answer>(path: string): Promise<Answer> {
    const { status, text } = await this.#request('GET', path);
    if (status !== 200) throw this.#refused(path, status, text);
    return this.#read(path, text);
  }

  #read<Answer>(path: string, text: string): Answer {
    try {
      return JSON.parse(text);
    } catch {
      throw this.#refused(path, 200, text);
    }
  }

  async #request(
    method: 'GET' | 'POST',
    path: string,
    body?: string,
  ): Promise<{ status: number; text: string }> {
    const authorization = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    try {
      const answer = await this.#pool.request({
        method,
        path,
        headers: { ...authorization, ...type },
        body: body ?? null,
      });
      return { status: answer.statusCode, text: await answer.body.text() };
    } catch (error) {
      throw new CannotOperate(
        `soquete does not answer at ${this.#url} (${reasonOf(error)}); is it running? Another address is given with --url`,
      );
    }
  }

  #refused(path: string, status: number, text: string): CannotOperate {
    if (status === 401)
      return new CannotOperate('soquete wants its OPS_TOKEN: give it with --ops-token or OPS_TOKEN');
    return new CannotOperate(
      `soquete answers ${status} to ${path}: ${detailOf(text) ?? onOneLine(text.slice(0, 200))}`,
    );
  }
}

/** The `detail` of a JSON answer, if it has one. */
function detailOf(text: string): string | undefined {
  try {
    const { detail } = Object(JSON.parse(text)) as { detail?: unknown };
    return typeof detail === 'string' ? detail : undefined;
  } catch {
    return undefined;
  }
}
