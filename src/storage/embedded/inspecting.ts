/** What the dashboard asks of payments, old and new: of the index, once that has all that the log has. */
import type { History, InspectedPayment } from '../inspection.ts';
import { type Reply, StoreFault } from '../ports.ts';
import type { IndexClient } from './index/index-client.ts';
import type { Order } from './shared-log/order.ts';
import { ownerNamed } from './shared-view.ts';

export function latestPayments(
  index: IndexClient,
  order: Order,
  limit: number,
  reply: Reply<InspectedPayment[]>,
): void {
  index.advance(answer => {
    if (answer instanceof StoreFault) reply(answer);
    else
      index.latest(limit, found => {
        reply(found instanceof StoreFault ? found : found.map(each => ownerNamed(order, each)));
      });
  });
}

export function paymentHistory(
  index: IndexClient,
  order: Order,
  id: Uint8Array,
  reply: Reply<History | undefined>,
): void {
  index.advance(answer => {
    if (answer instanceof StoreFault) reply(answer);
    else
      index.history(id, found => {
        if (found === undefined || found instanceof StoreFault) reply(found);
        else reply({ ...found, payment: ownerNamed(order, found.payment) });
      });
  });
}
