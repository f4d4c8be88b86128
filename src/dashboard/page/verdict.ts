/** One sentence about everything: what an operator wants to know first. */
import type { DashboardView } from '../api.ts';
import { attemptsFail, circuitOfAll, isDown } from './circuits.ts';
import { decimals, duration, plural } from './format.ts';

export interface Headline {
  readonly look: '' | 'warn' | 'bad';
  readonly text: string;
}

/** The most urgent thing to say. Circuits count as `circuitOfAll` sums them up. */
export function headlineOf({ instances, processors, books, policy, held: holds }: DashboardView): Headline {
  const waiting = instances.reduce((sum, { unsettled }) => sum + unsettled, 0);
  const oldestMs = instances.reduce((so, { queue }) => Math.max(so, queue?.oldestMs ?? 0), 0);
  const difference =
    books?.sides.reduce((sum, { differenceCents }) => sum + Math.abs(differenceCents), 0) ?? 0;
  const pinned = instances.reduce((sum, { queue }) => sum + (queue?.pinned ?? 0), 0);
  const down = processors.filter(isDown);
  const gone = instances.filter(({ alive }) => !alive).map(({ name }) => name);
  const refusing = instances.filter(({ alive, reasons }) => alive && reasons.length > 0);
  if (difference > 0 && pinned === 0) {
    return {
      look: 'bad',
      text: `The books differ by ${decimals(difference)}, and no pinned payment explains it.`,
    };
  }
  if (refusing.length > 0 && refusing.length === instances.length - gone.length) {
    return { look: 'bad', text: `No backend takes payments: ${refusing[0]!.reasons.join('; ')}.` };
  }
  if (down.length === 2) return { look: 'bad', text: `Both processors fail. ${held(waiting)}` };
  if (down[0]?.name === 'default') {
    return {
      look: 'warn',
      text: `default fails. ${held(waiting)} After ${duration(policy.fallbackAfterMs)} fallback may take them.`,
    };
  }
  if (gone.length > 0) {
    const others = `the others carry on${waiting > 0 ? `, ${plural(waiting, 'payment')} on the way` : ''}`;
    return { look: 'warn', text: `${gone.join(' and ')} is gone; ${others}.` };
  }
  if (down[0] !== undefined) return { look: 'warn', text: 'fallback fails; default settles everything.' };
  const partly = processors.find(processor => circuitOfAll(processor) === 'partly open');
  if (partly !== undefined) {
    const failing = partly.circuits.filter(attemptsFail).map(({ instance }) => instance);
    return { look: 'warn', text: `${partly.name} fails for ${failing.join(' and ')} only.` };
  }
  const reasons = Object.entries(holds).map(([reason, count]) => `${count} ${reason}`);
  if (reasons.length > 0) {
    const count = Object.values(holds).reduce((sum, each) => sum + each, 0);
    return { look: 'warn', text: `${plural(count, 'payment')} held for an operator: ${reasons.join(', ')}.` };
  }
  if (pinned > 0) {
    return {
      look: 'warn',
      text: `${plural(pinned, 'payment')} pinned: only the same processor can say whether it was processed.`,
    };
  }
  if (waiting > 0 && oldestMs > 3000) {
    return { look: 'warn', text: `${waits(waiting)}, the oldest for ${duration(oldestMs)}.` };
  }
  return {
    look: '',
    text: waiting === 0 ? 'Every accepted payment is settled.' : 'Payments are settled as they come.',
  };
}

const held = (count: number): string => (count === 0 ? 'Nothing waits yet.' : `${waits(count)}, safe.`);

const waits = (count: number): string => `${plural(count, 'payment')} wait${count === 1 ? 's' : ''}`;
