/**
 * Pages for people and tools, beside the payments. What one costs decides how it is answered: a page that
 * never changes is made once (`static-page.ts`), one that is the same for all who ask is made at most four
 * times a second, and one that is made for a request waits for its turn.
 */
import { Queue } from 'mnemonist';
import { pageMakersMax, sharedPageMs } from './limits.ts';
import { POST, type Request } from './request.ts';
import { Answer } from './response.ts';

/** What a page says. `fields` are further field lines, each with its CR LF. */
export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly fields?: string;
}

/** Takes from a request for a page what the page needs: when it is made, that request may be gone. */
export type PageHandler = (request: Request) => MakePage;
export type MakePage = () => Answer | Promise<Answer>;

/** What a page is made from: a copy, since the request itself is gone after the first `await`. */
export interface PageRequest {
  readonly query: string | undefined;
  /** Only of a POST. */
  readonly body: string;
  readonly contentType: string | undefined;
}

const answerWith = ({ status, contentType, body, fields = '' }: Page): Answer =>
  new Answer(status, `Content-Type: ${contentType}\r\n${fields}`, Buffer.from(body));

/** What is made at most once in a quarter of a second, for all who ask: they share a making. */
class Shared<Made> {
  readonly #make: () => Promise<Made>;
  readonly #nowMs: () => number;
  #latest: Made | Promise<Made> | undefined;
  #isMaking = false;
  #madeAtMs = -Infinity;

  constructor(make: () => Promise<Made>, nowMs: () => number) {
    this.#make = make;
    this.#nowMs = nowMs;
  }

  /** A failure is shared as well: it may cost as much. */
  get latest(): Made | Promise<Made> {
    const nowMs = this.#nowMs();
    if (!this.#isMaking && nowMs - this.#madeAtMs >= sharedPageMs) {
      this.#isMaking = true;
      this.#madeAtMs = nowMs;
      const making = this.#make();
      this.#latest = making;
      making.then(
        made => {
          this.#isMaking = false;
          this.#latest = made;
        },
        () => {
          this.#isMaking = false;
        },
      );
    }
    return this.#latest!;
  }
}

/** The handler of a page that is the same for all who ask. `nowMs` never goes back. */
export const sharedPage = (make: () => Promise<Page>, nowMs: () => number): PageHandler =>
  sharedForms(
    () => 'only',
    async () => ({ only: await make() }),
    nowMs,
  );

/** The same for a page that has a few forms, which are made together; a request's query names its form. */
export function sharedForms<Form extends string>(
  formOf: (query: string | undefined) => Form,
  make: () => Promise<Readonly<Record<Form, Page>>>,
  nowMs: () => number,
): PageHandler {
  const shared = new Shared(async () => {
    const forms = Object.entries<Page>(await make()).map(([form, page]) => [form, answerWith(page)]);
    return Object.fromEntries(forms) as Readonly<Record<Form, Answer>>;
  }, nowMs);
  return request => {
    const form = formOf(request.query);
    return () => {
      const { latest } = shared;
      return latest instanceof Promise ? latest.then(forms => forms[form]) : latest[form];
    };
  };
}

/** Makes pages for single requests, few at a time: the others wait, first come, first served. */
export class PageMakers {
  readonly #countMax: number;
  readonly #waiting = new Queue<() => void>();
  #count = 0;

  constructor(countMax = pageMakersMax) {
    this.#countMax = countMax;
  }

  /** The handler of a page that is made by `make`. */
  handler(make: (request: PageRequest) => Promise<Page>): PageHandler {
    return request => {
      const copy = pageRequest(request);
      return () => this.#make(make, copy);
    };
  }

  async #make(make: (request: PageRequest) => Promise<Page>, request: PageRequest): Promise<Answer> {
    if (this.#count >= this.#countMax) await new Promise<void>(resolve => this.#waiting.enqueue(resolve));
    else this.#count++;
    try {
      return answerWith(await make(request));
    } finally {
      // The place goes on to the next.
      const next = this.#waiting.dequeue();
      if (next === undefined) this.#count--;
      else next();
    }
  }
}

const pageRequest = (request: Request): PageRequest => ({
  query: request.query,
  body: request.method === POST ? new TextDecoder().decode(request.body()) : '',
  contentType: request.header('content-type'),
});
