/** Why the platform refused or failed to do something to a member. Stable: callers may switch on it. */
export type MemberErrorCode =
  /** Its data directory is not the incarnation that was to be discarded. */
  | 'OTHER_INCARNATION'
  /** Not enough disk for the old data and the new beside each other. */
  | 'NO_ROOM'
  /** Its process does not die, even from SIGKILL. */
  | 'PROCESS_STUCK'
  /** Transactions that only this member has could not be saved, so its data is kept as it is. */
  | 'ERRANT_NOT_SAVED'
  /** What the platform keeps about it can't be read. */
  | 'MEMBER_FILE_UNREADABLE'
  | 'UNKNOWN_MEMBER';

/** One line saying what was expected and what was found, and a hint saying what to do about it. */
export class MemberError extends Error {
  override readonly name = 'MemberError';
  readonly code: MemberErrorCode;
  readonly hint: string;

  constructor(code: MemberErrorCode, message: string, hint: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.hint = hint;
  }
}
