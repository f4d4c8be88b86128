const POLL_MS = 20;
/** However slow the machine is, what comes at all comes earlier. */
const DEADLINE_MS = 90_000;

/**
 * Waits until `holds`, asking again and again. Throws when it does not by the deadline; `what` is put into
 * words then.
 */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string),
  deadlineMs = DEADLINE_MS,
  pollMs = POLL_MS,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await holds())) {
    if (performance.now() > deadline) {
      throw new Error(`waited ${deadlineMs} ms for ${typeof what === 'string' ? what : what()}`);
    }
    await new Promise(resolve => setTimeout(resolve, pollMs));
  }
}
