import { type Reply, StoreFault } from '../storage/ports.ts';
import { Unavailable } from './api.ts';

/** A store's answer as a promise; a fault rejects with `Unavailable`, whose `cause` it is. */
export function ask<T>(call: (reply: Reply<T>) => void): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  call(answer => {
    if (answer instanceof StoreFault)
      reject(new Unavailable(`the store is ${answer.reason}: ${answer.detail}`, { cause: answer }));
    else resolve(answer);
  });
  return promise;
}
