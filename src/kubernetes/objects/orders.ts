/**
 * What the operator tells a member's process 1, in one annotation of its Pod, which the kubelet brings it as a file within a
 * moment. Every order names what it is about, so that one that comes late, twice or to another incarnation does nothing.
 * Orders are for what SQL can't do: mysqld must be killed, or its data is to be given up.
 */
export interface Orders {
  /** SIGKILL for the mysqld that was started no later than this, in milliseconds since 1970 by its machine's clock. */
  readonly killStartedBefore: number | null;
  readonly rebuild: {
    /** The server_uuid of the data to be set aside; other data is left alone. */
    readonly discard: string;
    /** One that was refused, for want of room say, is tried again when this changes. */
    readonly attempt: number;
    /** GTID text: if not empty, the logs that hold these are saved first. */
    readonly errant: string;
  } | null;
  /** Server_uuids whose data, set aside, nobody needs any more. */
  readonly drop: readonly string[];
}

export const NO_ORDERS: Orders = { killStartedBefore: null, rebuild: null, drop: [] };

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The annotation's value: an order a line, as member.sh reads it. */
export function ordersText({ killStartedBefore, rebuild, drop }: Orders): string {
  const lines: string[] = [];
  if (killStartedBefore !== null) lines.push(`kill ${Math.trunc(killStartedBefore)}`);
  if (rebuild !== null) {
    const errant = rebuild.errant.replaceAll(/\s/g, '');
    lines.push(`rebuild ${uuid(rebuild.discard)} ${Math.trunc(rebuild.attempt)} ${errant}`.trimEnd());
  }
  for (const dropped of drop) lines.push(`drop ${uuid(dropped)}`);
  return lines.map((line) => `${line}\n`).join('');
}

/** What the annotation says; lines that are no orders are passed over. */
export function parseOrders(text: string | undefined): Orders {
  let orders = NO_ORDERS;
  for (const line of (text ?? '').split('\n')) {
    const [verb, first = '', second = '', third = ''] = line.split(' ');
    if (verb === 'kill' && /^\d+$/.test(first)) orders = { ...orders, killStartedBefore: Number(first) };
    if (verb === 'rebuild' && UUID.test(first)) {
      orders = { ...orders, rebuild: { discard: first, attempt: Number(second), errant: third } };
    }
    if (verb === 'drop' && UUID.test(first)) orders = { ...orders, drop: [...orders.drop, first] };
  }
  return orders;
}

/** They become a directory's name. */
function uuid(value: string): string {
  const plain = value.toLowerCase();
  if (!UUID.test(plain)) throw new Error(`expected a server_uuid, found "${value}"`);
  return plain;
}

/** What the init container tells in its termination message. */
export interface PrepareReport {
  readonly ordinal: number;
  readonly serverUuid: string;
  /** Of the machine's kernel: an acknowledgement in its page cache dies with it. */
  readonly bootId: string;
  /** Server_uuids of the data set aside, oldest first. */
  readonly asides: readonly string[];
}

/** Null if the message is not a report: another program's words, or none. */
export function parsePrepareReport(message: string | undefined): PrepareReport | null {
  try {
    const value = JSON.parse(message ?? '') as Partial<PrepareReport> | null;
    const { ordinal, serverUuid, bootId, asides } = value ?? {};
    const sound =
      typeof ordinal === 'number' &&
      typeof serverUuid === 'string' &&
      UUID.test(serverUuid) &&
      typeof bootId === 'string' &&
      Array.isArray(asides) &&
      asides.every((aside) => typeof aside === 'string');
    return sound ? { ordinal, serverUuid, bootId, asides } : null;
  } catch {
    return null;
  }
}
