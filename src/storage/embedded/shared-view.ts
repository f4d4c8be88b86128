/** What all instances share, as the order of the log has it, in the words of the port. */
import { idTextWords } from '../../domain/payment.ts';
import type { InspectedPayment } from '../inspection.ts';
import type { Shared } from '../ports.ts';
import type { Order } from './shared-log/order.ts';
import { CHECKER, shareOf } from './shared-log/ordered-members.ts';

export function sharedOf({ members, generation, term, health }: Order): Shared {
  const instances = [...members.all]
    .map(member => ({
      name: member.name,
      epoch: member.epoch,
      beat: member.beat,
      alive: member.isAlive,
      generation: member.generation,
      unsettled: members.unsettledOf(member.epoch),
      figures: member.figures,
    }))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
  const reports = health.map(({ isFailing, minResponseMs, version }) => ({
    failing: isFailing,
    minResponseMs,
    version,
  }));
  return {
    generation,
    term,
    instances,
    health: [reports[0]!, reports[1]!],
    checker: members.living(members.holder(CHECKER))?.name ?? '',
  };
}

/** The index knows owners by number only; '' where none of those that live is it. */
export function ownerNamed({ members }: Order, payment: InspectedPayment): InspectedPayment {
  const owner = members.owner(Number(payment.owner), shareOf(idTextWords(payment.correlationId)[3]!));
  return { ...payment, owner: members.living(owner)?.name ?? '' };
}
