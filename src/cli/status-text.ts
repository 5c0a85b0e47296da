/** A status as lines for people. */
import type { JournalEntry } from '../control/port.ts';
import type { MemberStatus, Status } from '../local/status.ts';
import { columns, type Colours } from './terminal.ts';

export function statusLines(status: Status, colours: Colours): string[] {
  const { bold, dim } = colours;
  const lines = [
    `${bold(status.name)}  ${painted(status.state, colours)}${status.reason === '' ? '' : `  ${status.reason}`}`,
  ];
  const facts = [
    ...(status.mysql === null ? [] : [`MySQL ${status.mysql.version}`]),
    ...(status.epoch === 0 ? [] : [`epoch ${status.epoch}`]),
    ...(status.durability === null ? [] : [durabilityWords(status.durability)]),
  ];
  if (facts.length > 0) lines.push(dim(facts.join(' · ')));
  if (status.endpoints !== null) {
    const { primary, read } = status.endpoints;
    lines.push(`writes ${bold(`${primary.host}:${primary.port}`)}   reads ${bold(`${read.host}:${read.port}`)}`);
  }
  if (status.members.length > 0) {
    const rows = status.members.map((member) => memberRow(member, colours));
    const head = ['MEMBER', 'ROLE', 'STATE', 'LAG', 'PID', 'PORT', ''].map((title) => dim(title));
    lines.push('', ...columns([head, ...rows]));
  }
  if (status.lastEvents.length > 0) {
    lines.push('', dim('LAST EVENTS'), ...status.lastEvents.map((event) => eventLine(event, colours)));
  }
  return lines;
}

function memberRow(member: MemberStatus, colours: Colours): string[] {
  const { ordinal, role, state, lagSeconds, pid, port, reason } = member;
  const fine = state === 'writable' || state === 'following';
  return [
    String(ordinal),
    role === 'primary' ? colours.bold(role) : role,
    fine ? colours.green(state) : colours.yellow(state),
    lagSeconds === null ? '-' : `${lagSeconds < 10 ? lagSeconds.toFixed(1) : Math.round(lagSeconds)} s`,
    pid === null ? '-' : String(pid),
    port === null ? '-' : String(port),
    reason,
  ];
}

function durabilityWords({ mode, required, ackers }: NonNullable<Status['durability']>): string {
  if (required === 0) return `${mode}: a commit waits for nobody`;
  const acks = required === 1 ? '1 acknowledgement' : `${required} acknowledgements`;
  return `${mode}: a commit waits for ${acks} of member${ackers.length === 1 ? '' : 's'} ${ackers.join(', ')}`;
}

export function painted(state: Status['state'], { green, yellow, red, dim }: Colours): string {
  switch (state) {
    case 'healthy':
      return green(state);
    case 'blocked':
    case 'lost':
    case 'unattended':
    case 'failing-over':
      return red(state);
    case 'stopped':
      return dim(state);
    case 'creating':
    case 'degraded':
    case 'switching':
    case 'starting':
      return yellow(state);
    default:
      return state satisfies never;
  }
}

/** Journal kinds as a column of words. */
const KIND_WORDS: Readonly<Record<string, string>> = {
  state: 'is now',
  record: 'decided',
  act: 'does',
  done: 'done',
  failed: 'failed',
  request: 'asked for',
};

/** `06:42:04.123  is now     failing-over: …` */
export function eventLine({ at, kind, text, ms }: JournalEntry, colours: Colours): string {
  const word = (KIND_WORDS[kind] ?? kind).padEnd(9);
  const shown = kind === 'failed' ? colours.red(word) : kind === 'state' ? colours.bold(word) : word;
  return `${colours.dim(localTime(at))}  ${shown}  ${text}${ms === undefined ? '' : colours.dim(` (${ms} ms)`)}`;
}

/** The time of day here, to the millisecond; with the date if it is another day. */
export function localTime(at: string, now = new Date()): string {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return at;
  const two = (value: number): string => String(value).padStart(2, '0');
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
  if (date.toDateString() === now.toDateString()) return time;
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}`;
}
