/**
 * An operator's questions and acts over HTTP: what is held, what is settled, and a hand on one payment. Each
 * is an operation, so it has passed that door already.
 */

import { parseInstant } from '../domain/instant.ts';
import { idBytes, PROCESSORS, type Processor } from '../domain/payment.ts';
import type { Page, PageRequest } from '../http/page.ts';
import type { Wish } from '../operator/hand.ts';
import { actTextBytesMax, actWhoBytesMax, NO_REASON } from '../storage/acts.ts';
import type { HeldLine, SettledLines } from './api.ts';
import { isJson, JSON_TYPE, jsonPage } from './json-page.ts';
import { paymentLine } from './payment-timeline.ts';
import type { DashboardSource } from './source.ts';

/** Held payments shown at once: those that came first. */
export const HELD_SHOWN_MAX = 1000;
const SETTLED_SHOWN_MAX = 2000;

export async function showHeld(observed: DashboardSource): Promise<Page> {
  const held = await observed.heldPayments(HELD_SHOWN_MAX);
  const lines: HeldLine[] = held.map(payment => ({
    ...paymentLine(payment),
    retryAtMs: Number.isFinite(payment.retryAtMs) ? payment.retryAtMs : null,
  }));
  return jsonPage(200, lines);
}

/** A page of all that is settled, behind the `after` of the query. */
export async function showSettled(observed: DashboardSource, { query }: PageRequest): Promise<Page> {
  const after = new URLSearchParams(query).get('after') ?? '0';
  if (!/^\d{1,15}$/.test(after)) return detail(400, 'after takes what the page before said, or 0.');
  const page = await observed.settledPayments(Number(after), SETTLED_SHOWN_MAX);
  const lines: SettledLines = {
    payments: page.payments.map(({ correlationId, cents, processor, requestedAtMs }) => {
      return { correlationId, cents, processor: PROCESSORS[processor!], requestedAtMs };
    }),
    after: page.after,
  };
  return jsonPage(200, lines);
}

/**
 * Does one act: `{"correlationId","act","who","reason","on","requestedAt","anyway"}`, as `Wish` has them; 200
 * when it was done, 409 when something spoke against it. A page of another site cannot send this content
 * type without a preflight, which is never granted.
 */
export async function doAct(observed: DashboardSource, { body, contentType }: PageRequest): Promise<Page> {
  if (!isJson(contentType)) {
    return detail(422, `Send the act as JSON, with Content-Type: ${JSON_TYPE}.`);
  }
  const wish = readWish(body);
  if (typeof wish === 'string') return detail(422, wish);
  const { isDone, said } = await observed.hand.handle(wish);
  return isDone ? jsonPage(200, { detail: said }) : detail(409, said);
}

/** The wish that a body holds, or what is wrong with it. */
function readWish(body: string): Wish | string {
  let given: Readonly<Record<string, unknown>>;
  try {
    given = Object(JSON.parse(body));
  } catch {
    return 'Send a JSON object.';
  }
  const id = idBytes(String(given['correlationId']));
  if (id === undefined) return 'correlationId has to be a UUID.';
  const kind = (['retry', 'settle', 'close', 'take-in'] as const).find(kind => kind === given['act']);
  if (kind === undefined) return 'act is one of retry, settle, close, take-in.';
  const who = text(given['who'], actWhoBytesMax);
  if (who === undefined) return `who says who does it, in at most ${actWhoBytesMax} bytes.`;
  const reason =
    given['reason'] === undefined && kind === 'retry' ? NO_REASON : text(given['reason'], actTextBytesMax);
  if (reason === undefined) return `reason says why, in at most ${actTextBytesMax} bytes.`;
  const on = PROCESSORS.indexOf(given['on'] as Processor);
  if (kind === 'settle' && on < 0) return 'on names the processor that has it: default or fallback.';
  const requestedAtMs =
    given['requestedAt'] === undefined ? undefined : parseInstant(String(given['requestedAt']))?.ms;
  if (given['requestedAt'] !== undefined && requestedAtMs === undefined)
    return 'requestedAt is an instant such as 2026-07-10T12:34:56.789Z.';
  return {
    kind,
    id,
    who,
    reason,
    on: on < 0 ? undefined : (on as 0 | 1),
    requestedAtMs,
    anyway: given['anyway'] === true,
  };
}

/** A text of people, on one line; undefined for none, or for one that is too long. */
function text(given: unknown, bytesMax: number): string | undefined {
  if (typeof given !== 'string') return undefined;
  const line = given.replace(/\s+/g, ' ').trim();
  return line === '' || Buffer.byteLength(line) > bytesMax || /\p{Cc}/u.test(line) ? undefined : line;
}

const detail = (status: number, text: string): Page => jsonPage(status, { detail: text });
