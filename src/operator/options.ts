/** Options that the operator's programs share. */
import { option } from '../settings/command-line.ts';
import { someText } from '../settings/grammar.ts';

export const opsTokenOption = option(
  'what soquete has as OPS_TOKEN',
  'TOKEN',
  someText('a token'),
  undefined,
  'OPS_TOKEN',
);
