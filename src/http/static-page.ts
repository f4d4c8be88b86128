/**
 * A page that never changes: its bytes, plain and compressed, and its entity tags are made once, when it is
 * first asked for. After that an answer is a choice between ready ones (RFC 9110 sections 12.5.3 and 13.1.2).
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Page, PageHandler } from './page.ts';
import { Answer } from './response.ts';

/** The codings that are served, the best first. */
const CODINGS = ['br', 'gzip', 'identity'] as const;
type Coding = (typeof CODINGS)[number];

/** A page in one coding. */
interface Form {
  /** Strong, so each coding has its own. */
  readonly tag: string;
  readonly whole: Answer;
  readonly unchanged: Answer;
}

type StaticForms = Readonly<Record<Coding, Form>>;

/** The handler of a page that `load` brings; asked again only if that fails. */
export function staticPage(load: () => Page | Promise<Page>): PageHandler {
  let forms: StaticForms | undefined;
  let loading: Promise<StaticForms> | undefined;
  const make = async (): Promise<StaticForms> => {
    try {
      forms = await makeForms(load);
      return forms;
    } finally {
      loading = undefined;
    }
  };
  return request => {
    const coding = codingFor(request.header('accept-encoding'));
    const tags = request.header('if-none-match');
    return () => {
      if (forms !== undefined) return choose(forms[coding], tags);
      loading ??= make();
      return loading.then(made => choose(made[coding], tags));
    };
  };
}

const choose = ({ tag, whole, unchanged }: Form, tags: string | undefined): Answer =>
  tags !== undefined && isAmong(tag, tags) ? unchanged : whole;

/** Compression runs in Node's own threads, not on the event loop. */
async function makeForms(load: () => Page | Promise<Page>): Promise<StaticForms> {
  const { status, contentType, body, fields = '' } = await load();
  const bytes = Buffer.from(body);
  const digest = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
  const bodies: Readonly<Record<Coding, Buffer>> = {
    br: await promisify(brotliCompress)(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    }),
    gzip: await promisify(gzip)(bytes, { level: 9 }),
    identity: bytes,
  };
  const form = (coding: Coding): [Coding, Form] => {
    const isPlain = coding === 'identity';
    const tag = isPlain ? `"${digest}"` : `"${digest}-${coding}"`;
    const all = `${fields}Vary: Accept-Encoding\r\nETag: ${tag}\r\n`;
    const type = `Content-Type: ${contentType}\r\n${isPlain ? '' : `Content-Encoding: ${coding}\r\n`}`;
    return [
      coding,
      { tag, whole: new Answer(status, type + all, bodies[coding]), unchanged: new Answer(304, all, '') },
    ];
  };
  return Object.fromEntries(CODINGS.map(form)) as Record<Coding, Form>;
}

let lastAccept: string | undefined;
let lastCoding: Coding = 'identity';

/** The coding to use for an `Accept-Encoding`: the one that is wanted most, and of equals the shortest. */
export function codingFor(accept: string | undefined): Coding {
  if (accept === lastAccept) return lastCoding;
  lastAccept = accept;
  lastCoding = bestCoding(accept ?? '');
  return lastCoding;
}

function bestCoding(accept: string): Coding {
  const weights = new Map<string, number>();
  for (const part of accept.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map(text => text.trim());
    const weight = parameters.find(text => text.startsWith('q='))?.slice(2) ?? '1';
    weights.set(name, /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight) ? Number(weight) : 0);
  }
  const others = weights.get('*') ?? 0;
  // What is not named is not wanted, but for the plain form, which is always there.
  const weightOf = (coding: Coding): number =>
    weights.get(coding) ?? (coding === 'identity' ? Math.max(others, 0.0001) : others);
  return CODINGS.reduce((best, coding) => (weightOf(coding) > weightOf(best) ? coding : best));
}

/** Whether an `If-None-Match` names the tag, or any. */
function isAmong(tag: string, tags: string): boolean {
  if (tags === tag || tags === '*') return true;
  return tags.split(',').some(one => one.trim().replace(/^W\//, '') === tag);
}
