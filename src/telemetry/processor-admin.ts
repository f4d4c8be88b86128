import { AdminClient } from '../processor-simulator/admin-client.ts';

/** A client of a processor's administration with a backend's limits: a short wait, a short answer. */
export const openAdmin = (url: string, token: string): AdminClient =>
  new AdminClient(url, { token, timeoutMs: 3000, answerBytesMax: 64 * 1024 });
