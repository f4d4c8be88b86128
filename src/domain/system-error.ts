/** Errors of the operating system, such as a full disk. They are expected; no other error is. */
export interface SystemError extends Error {
  /** Such as `ENOSPC`. */
  readonly code: string;
  readonly syscall: string;
}

/** Whether a system call failed so. A bug, such as a `TypeError`, may have a `code`, but no `syscall`. */
export const isSystemError = (error: unknown): error is SystemError =>
  error instanceof Error && 'code' in error && 'syscall' in error;
