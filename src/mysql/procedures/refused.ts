/** A procedure found the server otherwise than it was observed; nothing was done. */
export class ProcedureRefusedError extends Error {
  readonly code = 'PROCEDURE_REFUSED';
}
