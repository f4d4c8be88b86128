/**
 * What the processors' own records mean for an act by hand. Pure: what was found goes in, what is to be said
 * and booked comes out.
 */
import { formatInstant } from '../domain/instant.ts';
import { decimal } from '../domain/money.ts';
import { DEFAULT, FALLBACK, PROCESSORS, type ProcessorIndex } from '../domain/payment.ts';
import type { Found } from '../processors/port.ts';

/** By `ProcessorIndex`. */
export type FoundAtBoth = readonly [Found, Found];

/** Whether an act may be done, with the `requestedAt` to book where it settles; else why it may not. */
export type Finding =
  | { readonly may: true; readonly requestedAtMs: number }
  | { readonly may: false; readonly because: string };

const other = (on: ProcessorIndex): ProcessorIndex => (on === 0 ? 1 : 0);

/** What was found, in words. */
export const describeFound = (found: FoundAtBoth): string =>
  PROCESSORS.map((name, index) => describeRecord(name, found[index]!)).join('; ');

function describeRecord(name: string, record: Found): string {
  switch (record.is) {
    case 'there':
      return `${name} has it with ${decimal(record.cents)} at ${formatInstant(record.requestedAtMs)}`;
    case 'absent':
      return `${name} has no record of it`;
    case 'unavailable':
      return `${name} does not answer`;
  }
}

/**
 * Whether a payment of `cents` may be booked as settled on `on`. `wanted`: the `requestedAt` that the
 * operator names. `anyway`: the operator knows what speaks against it.
 */
export function maySettle(
  cents: number,
  on: ProcessorIndex,
  wanted: number | undefined,
  found: FoundAtBoth,
  anyway: boolean,
): Finding {
  const name = PROCESSORS[on];
  const record = found[on];
  if (record.is === 'there') {
    const requestedAtMs = wanted ?? record.requestedAtMs;
    if (anyway) return { may: true, requestedAtMs };
    if (record.cents !== cents) {
      return no(
        `the amounts differ (${decimal(cents)} here): have ${name} put right, or book soquete's amount --anyway`,
      );
    }
    if (requestedAtMs !== record.requestedAtMs) {
      return no(`${name} has another requestedAt: leave --requested-at out, or book yours --anyway`);
    }
    if (found[other(on)].is === 'there')
      return no(
        `${PROCESSORS[other(on)]} has it as well: refund it at one of them, then book the other --anyway`,
      );
    return { may: true, requestedAtMs };
  }
  if (wanted === undefined) return no(`--requested-at is needed, as ${name} shows none`);
  if (anyway) return { may: true, requestedAtMs: wanted };
  return no(
    record.is === 'absent'
      ? `${name} would have no record of what soquete books: retry it, or book it --anyway`
      : `${name} cannot be asked: try again when it answers, or book it --anyway`,
  );
}

/** Whether a payment may be closed, which is to say that it is never settled. */
export function mayClose(found: FoundAtBoth, anyway: boolean): Finding {
  if (anyway) return { may: true, requestedAtMs: 0 };
  const there = found.findIndex(record => record.is === 'there');
  if (there >= 0) return no(`settle it --on ${PROCESSORS[there]}, or close it --anyway`);
  const silent = found.findIndex(record => record.is === 'unavailable');
  if (silent >= 0)
    return no(`${PROCESSORS[silent]} cannot be asked: try again when it answers, or close it --anyway`);
  return { may: true, requestedAtMs: 0 };
}

/** Whether a payment that soquete does not know may be taken in, and as what its processor has it. */
export function mayTakeIn(
  found: FoundAtBoth,
):
  | { readonly may: true; readonly on: ProcessorIndex; readonly cents: number }
  | Extract<Finding, { may: false }> {
  const silent = found.findIndex(record => record.is === 'unavailable');
  if (silent >= 0) return no(`${PROCESSORS[silent]} cannot be asked: try again when it answers`);
  const [byDefault, byFallback] = found;
  if (byDefault.is === 'there' && byFallback.is === 'there')
    return no('both have it: refund it at one of them first');
  const on = byDefault.is === 'there' ? DEFAULT : FALLBACK;
  const record = found[on];
  if (record.is !== 'there') return no('no processor has it: have its client send it');
  if (!Number.isSafeInteger(record.cents) || record.cents <= 0)
    return no(`${PROCESSORS[on]} has an amount that no payment can have`);
  return { may: true, on, cents: record.cents };
}

/** Whether a settled payment may be sent once more to the processor that it is booked on: nobody has it. */
export function mayResend(on: ProcessorIndex, found: FoundAtBoth): Finding {
  const name = PROCESSORS[on];
  if (found[on].is === 'there') return no(`it is settled, and ${name} has it: nothing is to be tried again`);
  if (found[other(on)].is === 'there')
    return no(
      `${PROCESSORS[other(on)]} has it, and ${name} would have it as well: refund it at ${PROCESSORS[other(on)]} first`,
    );
  const silent = found.findIndex(record => record.is === 'unavailable');
  if (silent >= 0) return no(`${PROCESSORS[silent]} cannot be asked: try again when it answers`);
  return { may: true, requestedAtMs: 0 };
}

const no = (because: string): Extract<Finding, { may: false }> => ({ may: false, because });
