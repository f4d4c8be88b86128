/** How many descriptors (files, sockets) the system lets each of our processes open. */
import { readFileSync } from 'node:fs';

/** Where the system does not say. */
const USUAL = 1024;

/** The hard limit: Node.js and HAProxy raise their soft one up to it. */
export function descriptorsMax(limits = ownLimits()): number {
  const hard = /^Max open files +\S+ +(\d+|unlimited)/m.exec(limits)?.[1];
  if (hard === undefined) return USUAL;
  return hard === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(hard);
}

function ownLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return ''; // Not Linux.
  }
}
