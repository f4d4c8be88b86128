/** What an error of Redis, or of the way to it, says of the call that it answers. */
import { StoreFault } from '../ports.ts';

/** Nothing was done, and it passes. */
const BUSY = ['LOADING', 'BUSY', 'TRYAGAIN', 'CLUSTERDOWN', 'MASTERDOWN', 'NOREPLICAS', 'NOAUTH', 'NOPERM'];
/** Nothing was done, and another server is to be asked. */
const ELSEWHERE = ['READONLY', 'MOVED', 'ASK'];

export interface RedisError {
  readonly fault: StoreFault;
  /** Another connection has to be made before anything else is asked. */
  readonly isConnectionOver: boolean;
}

export const errorText = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Whether the server itself answered so. */
export const isReply = (error: unknown): error is Error =>
  error instanceof Error && error.name === 'ReplyError';

export function redisErrorOf(error: unknown): RedisError {
  if (error instanceof StoreFault) return { fault: error, isConnectionOver: false };
  const text = errorText(error);
  if (!isReply(error)) return { fault: new StoreFault('unanswered', text), isConnectionOver: false };
  const word = text.split(' ', 1)[0]!;
  // Of a function that has begun the server says so, and where.
  if (word === 'OOM') return { fault: new StoreFault('full', text), isConnectionOver: false };
  if (word === 'MISCONF') {
    const isFull = text.includes('No space left');
    return { fault: new StoreFault(isFull ? 'full' : 'busy', text), isConnectionOver: false };
  }
  if (BUSY.includes(word)) return { fault: new StoreFault('busy', text), isConnectionOver: false };
  // Functions that were flushed are loaded again on the next connection.
  if (ELSEWHERE.includes(word) || text.includes('Function not found'))
    return { fault: new StoreFault('busy', text), isConnectionOver: true };
  return { fault: new StoreFault('lost', text), isConnectionOver: true };
}
