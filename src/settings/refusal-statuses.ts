/** How `REFUSAL_STATUSES` is written. */
import { NO_REFUSALS, REFUSAL_STATUSES } from '../domain/outcome.ts';
import type { SettingReader } from './grammar.ts';

/**
 * `4xx` stands for those that are refusals where nothing is said. A status by itself is one even if something
 * in between could have said it.
 */
export const refusalStatuses: SettingReader<ReadonlySet<number>> = {
  takes: `4xx, or statuses from 400 to 599 but ${NO_REFUSALS.slice(1).join(', ')}, with commas between`,
  read(text) {
    const found = new Set<number>();
    for (const part of text.split(',').map(each => each.trim())) {
      if (part === '4xx') for (const status of REFUSAL_STATUSES) found.add(status);
      else if (/^[45]\d\d$/.test(part) && !NO_REFUSALS.includes(Number(part))) found.add(Number(part));
      else return undefined;
    }
    return found;
  },
};
