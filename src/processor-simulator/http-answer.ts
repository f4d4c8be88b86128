/**
 * A processor's answers as bytes: whole ones as the official service writes them, broken ones as a socket
 * sees them.
 */
import { chunkedJson, dateText, Answer as HttpAnswer, json, raw } from '../http/response.ts';
import type { ProcessorAnswer } from './answer.ts';

/** The bytes of an answer to a client of HTTP/1.`minor`; of `never` there are none, nor will there be. */
export function httpAnswer(said: ProcessorAnswer, minor: number): HttpAnswer {
  if (said.delivery === 'whole' && !said.informed) return minor === 0 ? plain(said) : whole(said);
  switch (said.delivery) {
    case 'whole':
      return raw(informed(said) + whole(said).render(dateText(Date.now()), 0), 'keep');
    case 'cut':
      return raw(informed(said) + cut(said), 'close');
    case 'garbage':
      return raw('\0\x16\x03 this is no answer\r\n\r\n', 'close');
    case 'closed':
    case 'never':
      return raw('', 'destroy');
    case 'reset':
      return raw('', 'reset');
  }
}

/** Answers that are always the same are put together once. */
const made = new WeakMap<ProcessorAnswer, HttpAnswer>();

/** JSON in the chunked coding. */
function whole(said: ProcessorAnswer): HttpAnswer {
  let answer = made.get(said);
  if (answer === undefined) {
    if (said.body === '' || said.contentType !== undefined) answer = plain(said);
    else answer = chunkedJson(said.status, said.body, fields(said));
    made.set(said, answer);
  }
  return answer;
}

/** With a length: for bodies that are not JSON, and for clients that do not know the chunked coding. */
function plain(said: ProcessorAnswer): HttpAnswer {
  if (said.body === '') return new HttpAnswer(said.status, fields(said), '');
  if (said.contentType === undefined) return json(said.status, said.body, fields(said));
  return new HttpAnswer(said.status, `Content-Type: ${said.contentType}\r\n${fields(said)}`, said.body);
}

const fields = ({ retryAfterSeconds }: ProcessorAnswer): string =>
  retryAfterSeconds > 0 ? `Retry-After: ${retryAfterSeconds}\r\n` : '';

const informed = (said: ProcessorAnswer): string => (said.informed ? 'HTTP/1.1 102 Processing\r\n\r\n' : '');

/** A whole head, and a body that ends halfway. */
function cut(said: ProcessorAnswer): string {
  const text = json(said.status, said.body, fields(said)).render(dateText(Date.now()), 0);
  return text.slice(0, text.length - Math.ceil(said.body.length / 2));
}
