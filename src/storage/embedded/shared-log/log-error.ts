/** Why a log cannot be followed: the store is lost where it happens, or its start refused. */
export abstract class LogError extends Error {
  override name = 'LogError';
  /** What to do, for the line that refuses the start. */
  abstract readonly advice: string;
}

/** The log goes on where this instance cannot follow: it has to begin anew from the index. */
export class LogBehindError extends LogError {
  override name = 'LogBehindError';
  readonly advice =
    'put it back, or restore a backup of the whole directory; without it what it held may be settled again';
}

/** A segment of another store, or of another place in ours, stands where one of ours should. */
export class LogForeignError extends LogError {
  override name = 'LogForeignError';
  readonly advice =
    'move it away if it was put there; if it took the place of another file, restore a backup of the whole directory';
}

/** The log is of another version: nothing of it may be skipped. */
export class LogVersionError extends LogError {
  override name = 'LogVersionError';
  readonly advice = 'run that one, as another directory knows nothing of its payments';
}
