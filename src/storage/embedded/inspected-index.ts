/** What a person asks of the embedded store: answered by its index, once that has all that the log holds. */

import type { ProcessorIndex, StoredPayment } from '../../domain/payment.ts';
import type { HeldCounts, History, InspectedPayment, Inspection, SettledPage } from '../inspection.ts';
import { type ProcessorUrls, type Reply, StoreFault } from '../ports.ts';
import type { IndexClient } from './index/index-client.ts';
import type { Order } from './shared-log/order.ts';
import { ownerNamed } from './shared-view.ts';
import { storedPayment } from './stored-payment.ts';

export class InspectedIndex implements Inspection {
  readonly #index: IndexClient;
  readonly #order: () => Order;

  /** `order`: the one that counts at present. */
  constructor(index: IndexClient, order: () => Order) {
    this.#index = index;
    this.#order = order;
  }

  latest(limit: number, reply: Reply<InspectedPayment[]>): void {
    this.#advanced(reply, () => this.#index.latest(limit, this.#named(reply)));
  }

  history(id: Uint8Array, reply: Reply<History | undefined>): void {
    this.#advanced(reply, () => {
      this.#index.history(id, found => {
        if (found === undefined || found instanceof StoreFault) reply(found);
        else reply({ ...found, payment: ownerNamed(this.#order(), found.payment) });
      });
    });
  }

  /** As the index has them: up to 100 ms old. */
  heldCounts(reply: Reply<HeldCounts>): void {
    this.#index.heldCounts(reply);
  }

  held(limit: number, reply: Reply<InspectedPayment[]>): void {
    this.#advanced(reply, () => this.#index.inspectHeld(limit, this.#named(reply)));
  }

  settled(after: number, limit: number, reply: Reply<SettledPage>): void {
    this.#advanced(reply, () => {
      this.#index.settled(after, limit, page => {
        if (page instanceof StoreFault) reply(page);
        else reply({ ...page, payments: page.payments.map(each => ownerNamed(this.#order(), each)) });
      });
    });
  }

  urls(reply: Reply<ProcessorUrls | undefined>): void {
    const { urls } = this.#order();
    reply(urls.length === 0 ? undefined : (urls as ProcessorUrls));
  }

  pinnedTo(processor: ProcessorIndex, limit: number, reply: Reply<StoredPayment[]>): void {
    this.#advanced(reply, () => {
      this.#index.pinnedTo(processor, limit, found => {
        reply(found instanceof StoreFault ? found : found.map(each => storedPayment(each)));
      });
    });
  }

  #named(reply: Reply<InspectedPayment[]>): Reply<InspectedPayment[]> {
    return found =>
      reply(found instanceof StoreFault ? found : found.map(each => ownerNamed(this.#order(), each)));
  }

  #advanced(reply: (fault: StoreFault) => void, then: () => void): void {
    this.#index.advance(answer => {
      if (answer instanceof StoreFault) reply(answer);
      else then();
    });
  }
}
