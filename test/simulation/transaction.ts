/** One transaction as a binlog holds it. Two with the same GTID that are not the same object are two different transactions. */
export interface Transaction {
  /** Of the server that wrote it first. */
  readonly uuid: string;
  readonly number: number;
  readonly writtenAtMs: number;
  readonly content: Content;
  /** The incarnations (server_uuid) that ever received it; what an acknowledgement rests on. */
  readonly receivedBy: Set<string>;
}

export type Content =
  /** A row of a client's, numbered through the whole history. */
  | { readonly kind: 'row'; readonly id: number }
  | { readonly kind: 'account' }
  | { readonly kind: 'barrier' }
  | { readonly kind: 'epoch'; readonly clusterId: string; readonly epoch: number; readonly term: number };

export function nameOf(transaction: Transaction): string {
  const { content } = transaction;
  const what =
    content.kind === 'row' ? `row ${content.id}` : content.kind === 'epoch' ? `epoch ${content.epoch}` : content.kind;
  return `${what} (${transaction.uuid.slice(0, 8)}:${transaction.number})`;
}
