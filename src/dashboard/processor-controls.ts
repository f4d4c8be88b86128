import { AdminClient } from '../processor-simulator/admin-client.ts';

/** A processor's administration as a backend asks it: it waits for little, and keeps little of an answer. */
export const openAdmin = (url: string, token: string): AdminClient =>
  new AdminClient(url, { token, timeoutMs: 3000, answerBytesMax: 64 * 1024 });
