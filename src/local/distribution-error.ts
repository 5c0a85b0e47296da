/** What went wrong while finding, fetching or preparing MySQL. Stable: callers may switch on it. */
export type DistributionErrorCode =
  | 'BASEDIR_WITHOUT_MYSQLD'
  | 'MARIADB'
  | 'MYSQL_TOO_OLD'
  | 'MYSQL_TOO_NEW'
  | 'MYSQL_DOES_NOT_RUN'
  | 'MYSQL_LACKS_PLUGIN'
  | 'NO_APT'
  | 'NO_APT_SOURCE'
  | 'NO_NETWORK'
  | 'SIGNATURE_REFUSED'
  | 'NO_DISK_SPACE'
  | 'FETCH_FAILED'
  | 'TEMPLATE_FAILED'
  | 'DATADIR_NOT_EMPTY';

/** One line saying what was expected and what was found, and a hint saying what to do about it. */
export class DistributionError extends Error {
  override readonly name = 'DistributionError';
  readonly code: DistributionErrorCode;
  readonly hint: string;

  constructor(code: DistributionErrorCode, message: string, hint: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.hint = hint;
  }
}
