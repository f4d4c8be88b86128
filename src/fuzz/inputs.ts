/**
 * Inputs for the fuzzer: examples to begin with, and ways to spoil them.
 */
import { below, type Chance, pick } from '../domain/random.ts';
import { readExamples } from '../testing/examples.ts';

/** The bytes of all examples that are short enough to be worth spoiling. */
export function exampleInputs(): Buffer[] {
  return readExamples()
    .map(({ bytes }) => bytes)
    .filter(({ length }) => length < 2000);
}

const REQUEST_WORDS = [
  '\r\n',
  '\n',
  '\r',
  '\r\n\r\n',
  ' ',
  '\t',
  ':',
  ',',
  ';',
  '"',
  '\\',
  '\0',
  '\x0b',
  '\x7f',
  '\xff',
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST /x HTTP/1.1\r\nHost: a\r\n',
  'HEAD',
  'OPTIONS',
  'HTTP/1.0',
  'HTTP/1.1',
  'HTTP/2.0',
  'http://a/',
  '*',
  'Host: a\r\n',
  'Host: b\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive\r\n',
  'Expect: 100-continue\r\n',
  'X-A: b\r\n',
  'X-Request-Id: c\r\n',
  '0\r\n\r\n',
  '5\r\nhello\r\n',
  ';a=b',
  ';a="b"',
  'chunked',
  '00',
  'f',
  '9999999999999999',
];
const JSON_WORDS = [
  ...'{}[]",:\\/bfnrtu0123456789.eE+- \n\r\t'.split(''),
  '{"amount":',
  '"correlationId":',
  '"amount":',
  '"4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3"',
  '"\\u0061mount":',
  '\\ud800',
  '\\u0000',
  '\xc3\xa9',
  '\xed\xa0\x80',
  '\xf0\x9f\x98\x80',
  '\xef\xbb\xbf',
  'true',
  'null',
  '[[[[[[[[',
  ']]]]]]]]',
  '{"a":',
  '1e',
  '0.',
  '-0',
];

const PAYMENT = '{"correlationId":"4a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3","amount":19.90}';
export const JSON_INPUTS: readonly Buffer[] = [
  PAYMENT,
  '{"amount":1990e-2,"correlationId":"4A7901B8-7D26-4D9D-AA19-4DC1C7CF60B3","x":[1,{"y":null}],"z":"\\n\\ud83d"}',
  ' { "\\u0061mount" : 0.01 , "correlationId" : "\\u0034a7901b8-7d26-4d9d-aa19-4dc1c7cf60b3" } ',
  '{"amount":9999999999.99,"a":-0.5e+7,"b":[true,false,[],{}],"é":"😀"}',
  '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]',
].map(text => Buffer.from(text));

/** Spoils `input` in one to five places, at times with a part of `other`. */
export function mutate(input: Buffer, other: Buffer, draw: Chance, isJson: boolean): Buffer {
  const upTo = (limit: number) => below(draw, limit);
  const words = isJson ? JSON_WORDS : REQUEST_WORDS;
  let bytes = input;
  for (let times = 1 + upTo(5); times > 0; times--) {
    const at = upTo(bytes.length + 1);
    const length = upTo(Math.min(bytes.length - at, draw() < 0.8 ? 4 : 200) + 1);
    const part = bytes.subarray(at, at + length);
    const word = () => Buffer.from(pick(draw, words), 'latin1');
    let middle: Buffer;
    switch (upTo(8)) {
      case 0:
        middle = Buffer.from([upTo(256), ...part.subarray(1)]);
        break;
      case 1:
        middle = Buffer.alloc(0);
        break;
      case 2:
        middle = Buffer.concat([part, part]);
        break;
      case 3:
        middle = word();
        break;
      case 4: {
        const start = upTo(other.length);
        middle = Buffer.concat([part, other.subarray(start, start + upTo(other.length - start + 1))]);
        break;
      }
      case 5:
        middle = Buffer.from(
          part.toString('latin1').replace(/\d/, () => upTo(10).toString()),
          'latin1',
        );
        break;
      case 6:
        middle = Buffer.from(part.map(byte => (draw() < 0.5 ? byte ^ 0x20 : byte)));
        break;
      default:
        middle = Buffer.concat([part, word()]);
    }
    bytes = Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(at + length)]);
  }
  return bytes.length > 20_000 ? bytes.subarray(0, 20_000) : bytes;
}
